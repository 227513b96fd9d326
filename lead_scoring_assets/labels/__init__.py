"""When an outcome counts as known: the maturity rule and the ground truth. Models and metrics are not here."""
