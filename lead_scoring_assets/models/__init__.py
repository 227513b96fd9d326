"""From matured labels to a model: snapshot, search, training, calibration, and the registry that keeps it."""
