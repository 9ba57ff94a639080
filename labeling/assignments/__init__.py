"""Tasks and slots: claim, lease, draft, submit, skip, expire. Knows no kind of work by name."""
