"""How the API does: latency, errors, throughput, and the guardrails of the live model."""
