"""Bringing one's own data: looking at exports of a CRM, drafting the settings for them, saying what is wrong with them.

Nothing is ingested here.
"""
