"""Labelers made of code, who use the same services as people, and the hidden preference they judge by."""
