"""A model built again from its record: the same code, snapshot and settings give the same bytes, or the difference is named."""
