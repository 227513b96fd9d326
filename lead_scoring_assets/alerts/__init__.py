"""Telling people: failed runs and failed checks become alerts in the event log and a log channel."""
