"""Furniture with no rules of its own: errors, clock, atomic files, pagination, Markdown, audit events."""
