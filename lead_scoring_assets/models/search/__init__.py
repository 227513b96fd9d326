"""The search for a recipe: folds in time, trials of the algorithms that compete, and which of them is chosen."""
