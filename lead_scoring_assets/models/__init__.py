"""From training set to decision: training, evaluation, the gate, the registry and what was deployed when."""
