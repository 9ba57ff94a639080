"""The web half of Loop: people, work, data and decisions. Never imports torch."""
