"""How a candidate takes over the traffic of an API: shadow, canary, guards, approvals."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from lead_scoring_assets.settings.values import Amount, Count, Days, Section, Share

_WATCHED_SO_MUCH_OFTENER = 4
Percent = Annotated[int, Field(ge=1, le=100, strict=True)]


class RolloutPolicy(Section):
    """The shares, how long each lasts, what takes the candidate back, and whose word is needed."""

    steps_percent: tuple[Percent, ...] = (5, 10, 50, 100)  # of the leads; a later share holds the earlier one
    dwell_days: tuple[Days, ...] = (1, 1, 2)  # at each share below 100
    shadow_days: Days = 14  # and `shadow_leads`, whichever is later
    shadow_leads: Count = 2_000
    fast_track_hours: Count = 24  # instead of both, where a second person approves
    watch_hours: Count = 48  # after it took over
    evaluation_minutes: Count = 60  # from one look to the next; a quarter of it in the hours after it took over
    longest_step_days: Count = 90  # a candidate that is held or not answered for so long is taken back
    approval_before_percent: tuple[Percent, ...] = (100,)
    maximum_error_rate: Share = 0.02
    minimum_requests: Count = 200  # of each model, before errors and latency are judged
    maximum_latency_ratio: Annotated[float, Field(gt=1, strict=True)] = 1.5
    maximum_latency_ms: Amount = 50.0  # a ratio of a few milliseconds is noise: both limits must be passed
    maximum_conversion_drop: Share = 0.10
    minimum_matured_leads: Count = (
        1_000  # of each model; of so many, 12.5 % that became 6 % are seen with a probability of 98 %
    )
    business_from_percent: Percent = 50  # from this share on nothing goes further before so many leads have matured
    maximum_offline_gap: Share = 0.20  # KS distance of the shadow's scores from those on its holdout, beyond chance
    minimum_correlation: Share | None = None  # of both models' scores; told and nothing more: a better model may differ

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        steps = list(self.steps_percent)
        if not steps or steps != sorted(set(steps)) or steps[-1] != 100:
            raise ValueError(f"steps_percent must rise and end with 100, found {steps}")
        if len(self.dwell_days) != len(steps) - 1:
            raise ValueError(
                f"dwell_days needs one number for each share below 100, that is {len(steps) - 1}, found {list(self.dwell_days)}"
            )
        if strangers := [share for share in self.approval_before_percent if share not in steps]:
            raise ValueError(f"approval_before_percent names {strangers}, which steps_percent does not hold")
        return self

    def minutes_between_looks(self, is_watched: bool) -> float:
        """`is_watched`: in the hours after the candidate took over."""
        return self.evaluation_minutes / (_WATCHED_SO_MUCH_OFTENER if is_watched else 1)
