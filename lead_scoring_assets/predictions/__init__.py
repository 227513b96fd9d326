"""Batch scores: which leads to call first. Training and judging models is not done here."""
