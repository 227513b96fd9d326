"""Features computed from activities, as they are declared. How they are computed is `features/plan.py`'s affair."""

from collections.abc import Mapping
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Measure = Literal["count", "distinct", "sum", "points", "days_since_first", "days_since_last"]


class Aggregate(BaseModel):
    """What a lead did, or what was done to it, in the `days` before it was scored, as one number.

    `measure`: count (activities) · distinct (different values of `column`) · sum (of `value`) · points (each activity
    counts as many as `points` gives its type) · days_since_first, days_since_last (whole days; empty without any).
    `of`: the activity types that count (none: all). `maximum`: larger results are cut to it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    measure: Measure
    of: tuple[str, ...] = ()
    column: Literal["activity_type", "detail", "rep"] | None = None
    points: Mapping[str, float] = {}
    # A limit, so that a partition's features are computed from a bounded stretch of activities.
    days: int = Field(ge=1, le=3650, strict=True)
    maximum: float | None = Field(default=None, gt=0)
    why: str = Field(min_length=1)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.column is not None) != (self.measure == "distinct"):
            raise ValueError("`column` (activity_type, detail or rep) belongs to the measure distinct, which needs it")
        if bool(self.points) != (self.measure == "points"):
            raise ValueError("`points` (activity type: points) belong to the measure points, which needs them")
        if self.points and self.of:
            raise ValueError("with `points`, the types are those that have points; leave `of` out")
        if len(set(self.of)) < len(self.of):
            raise ValueError(f"`of` names a type twice: {list(self.of)}")
        if any(value <= 0 for value in self.points.values()):
            raise ValueError(f"points must be above 0, found {dict(self.points)}")
        return self

    @property
    def types(self) -> tuple[str, ...]:
        """The activity types that count; none means all."""
        return tuple(self.points) or self.of
