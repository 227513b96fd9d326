"""How well the live scores do: on matured leads, and before labels mature what can be said, marked as an estimate."""
