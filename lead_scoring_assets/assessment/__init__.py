"""What a trained model is worth and why it scores as it does: figures, model card, fairness, explanations, reasons."""
