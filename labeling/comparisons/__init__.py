"""Completions, comparisons of K of them, and rankings."""
