"""Stand-ins for a company's CRM: they write files of the kinds that real sources give, and say what is simulated.

Nothing here reads a table, scores a lead or trains a model.
"""
