"""A private Valkey: the broker. Its configuration goes through stdin, so that the password is in no process list."""

from __future__ import annotations

import signal

import redis

from labeling.core.stack.binaries import valkey_server
from labeling.core.stack.directory import DataDirectory, Ports
from labeling.core.stack.identity import service_identity
from labeling.core.stack.processes import Service


def valkey_service(directory: DataDirectory, ports: Ports, *, mark: dict[str, str], fast: bool) -> Service:
    """Say how to run the broker. `fast` keeps nothing on disk: for tests only."""
    program = valkey_server()
    home = directory.path / "valkey"
    home.mkdir(mode=0o700, exist_ok=True)
    identity = service_identity(program, home)
    identity.own(home)
    configuration = [
        "bind 127.0.0.1",
        f"port {ports.valkey}",
        f"requirepass {ports.valkey_password}",
        "maxmemory-policy noeviction",
        "databases 64",
        'save ""',
        f"appendonly {'no' if fast else 'yes'}",
        "appendfsync everysec",
    ]
    return Service(
        name="valkey",
        argv=[str(program), "-"],
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C", **mark},
        cwd=home,
        stop=[(signal.SIGTERM, 10.0)],
        identity=identity,
        stdin="\n".join([*configuration, ""]).encode(),
        ready=lambda: is_ready(ports),
        tier=1,
    )


def is_ready(ports: Ports) -> bool:
    """Whether the broker answers and has read its file."""
    client = redis.Redis.from_url(ports.redis_url(), socket_connect_timeout=2, socket_timeout=2)
    try:
        return bool(client.ping())
    except (redis.ConnectionError, redis.TimeoutError, redis.BusyLoadingError):
        return False
    finally:
        client.close()
