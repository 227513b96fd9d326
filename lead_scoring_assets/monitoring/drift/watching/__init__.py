"""Watching what features alone do not show: scores, promises, outcomes and arrivals, period by period, in tables."""
