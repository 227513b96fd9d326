"""What the live model may not fall below while the API serves it, and how many cases it takes to say so."""

from typing import Annotated

from pydantic import Field

from lead_scoring_assets.settings.values import Amount, Count, Section, Share


class Guardrails(Section):
    """Limits of the live model's service. `null`: not watched."""

    minimum_conversion_rate: Share | None = 0.08  # of a matured cohort that it scored; rolled back
    minimum_matured_leads: Count = 300
    maximum_latency_p95_ms: Amount | None = 500.0  # an alert
    maximum_latency_p99_ms: Amount | None = 500.0  # a critical one
    minimum_latency_requests: Count = 100
    maximum_error_rate: Share | None = 0.01  # rolled back, where more than chance
    minimum_error_requests: Count = 500
    minimum_daily_predictions: Count | None = 100  # an alert
    window_minutes: Annotated[int, Field(ge=1, le=1_440, strict=True)] = 60
    interval_seconds: Annotated[int, Field(ge=5, strict=True)] = 30
