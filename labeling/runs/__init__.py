"""Runs: queue, admission, launch, supervise, follow metrics, publish."""
