"""How a new version comes to its share of the leads: shadow, canary, the way back."""
