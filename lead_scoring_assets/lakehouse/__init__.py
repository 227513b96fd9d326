"""Delta tables on one machine: atomic writes, time travel, content hashes, the IO manager and the query engine.

What the rows mean is not known here; rooms bring their own columns.
"""
