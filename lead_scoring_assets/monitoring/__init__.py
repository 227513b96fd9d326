"""What the live data and the live models look like against what was expected: drift, performance, reports.
Not here: decisions about retraining; this room measures and says how sure it is, `retraining/` draws the conclusion."""
