"""From raw leads to what a model may see. Encoding for a particular model library is not done here."""
