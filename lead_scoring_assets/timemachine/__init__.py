"""The closed loop over years of recorded history: what would other rules for retraining have given, in money?"""
