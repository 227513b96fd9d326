"""What retraining would have given: every month of history, walked forward, under several ways to choose the window."""
