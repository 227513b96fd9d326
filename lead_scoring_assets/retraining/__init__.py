"""When to train again: causes, episodes, and the sensors that carry a decision out. Training itself is in `models`."""
