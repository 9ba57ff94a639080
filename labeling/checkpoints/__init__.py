"""The registry of checkpoints: files, hash, metrics and lineage."""
