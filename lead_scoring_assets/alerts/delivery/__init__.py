"""Bringing alerts to people: who is told of what and when, in which words, through which channel, until it has arrived."""
