"""The other side of each comparison: TRL's trainers, `transformers` generation, PPO with four separate models."""
