"""The loop: rounds, autopilot and the overview."""
