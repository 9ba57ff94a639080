"""Template tags of projects and their people."""
