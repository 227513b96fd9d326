"""Lead scoring: leads in, scores out, outcomes back, and a model that is replaced only with cause.

Each folder is a room with its pure logic and a thin Dagster shell; `definitions.py` is the front door.
"""
