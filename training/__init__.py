"""The torch half of Loop: datasets in, checkpoints and completions out. Never imports Django."""
