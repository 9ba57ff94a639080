"""How well labelers agree, and with whom."""
