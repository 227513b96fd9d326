"""Telling people: what failed, drifted or went live becomes alerts, which are kept, delivered, acknowledged and resolved."""
