"""Which model is live: the gate, what was deployed when, and the way back."""
