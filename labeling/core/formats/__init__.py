"""How numbers are written, where it differs from what Django says of a language."""
