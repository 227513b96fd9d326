"""How good scores were, each figure with its uncertainty. Who trains and who decides stands in the rooms above."""
