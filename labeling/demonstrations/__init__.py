"""Demonstrations and their revisions."""
