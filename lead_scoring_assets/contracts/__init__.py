"""The one registry of columns: what each may hold, when it is known, and what it may be used for.

Training, scoring, drift and ingestion read this registry; there is no second list. Reading files is not done here.
"""
