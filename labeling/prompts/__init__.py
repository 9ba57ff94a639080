"""Prompts: import, hygiene and the split by owner."""
