"""Where leads come in: sources, ingestion of the landing folder, and the quarantine of rows that break their contract.

Features, labels and models made from these rows live in the rooms of those names.
"""
