"""Rows in bulk for benchmarks."""
