"""One append-only log of what happened: episodes, alerts, deployments, approvals. What to do about it is not here."""
