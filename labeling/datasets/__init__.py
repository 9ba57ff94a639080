"""Snapshots: freeze, write, verify, download."""
