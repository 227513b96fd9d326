"""What it gave the business: conversions, revenue, time to contact, benefit. On matured leads, with intervals."""
