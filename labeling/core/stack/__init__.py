"""The servers and processes behind `manage.py up`, as plain children of one supervisor.

binaries    where PostgreSQL and Valkey are on this machine
identity    the unprivileged account that runs them when we are root
directory   one data directory: its lock, ports, password and logs
processes   what a service is; starting one, asking it to stop
guard       a tiny program that ends everything when the supervisor is killed
postgres    a private cluster: initdb, version check, readiness
valkey      the broker
application web server, workers, beat
guardline   our end of the guard's pipe
supervisor  start in order, watch, restart with back-off, stop in order
startup     what `manage.py up` does, step by step
"""
