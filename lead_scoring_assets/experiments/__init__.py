"""A/B tests: who gets which arm, how long a test needs, what its outcomes prove. Serving, and taking live, are not here."""
