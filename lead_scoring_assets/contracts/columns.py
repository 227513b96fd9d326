"""Columns of leads and outcomes, and the rule that nothing known only after the outcome becomes a feature."""

from collections.abc import Iterable, Mapping
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from lead_scoring_assets.errors import LeakageError

Kind = Literal["integer", "number", "category", "text", "timestamp"]
Role = Literal["identifier", "feature", "sensitive", "context", "forbidden"]
Availability = Literal["at_creation", "after_outcome"]


class Column(BaseModel):
    """What one column may hold, when its value is known, and what it may be used for.

    `role`: identifier (names the row) · feature (a model may use it) · sensitive (kept for fairness, never a feature) ·
    context (kept for people) · forbidden (would leak the outcome). `missing`: values that mean "not there".
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    kind: Kind
    role: Role
    why: str = Field(min_length=1)
    available: Availability = "at_creation"
    required: bool = True
    minimum: float | None = None
    maximum: float | None = None
    categories: tuple[str, ...] = ()
    missing: tuple[float | str, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.role == "feature" and self.available == "after_outcome":
            raise ValueError("a column that is available after_outcome cannot be a feature; set `role: forbidden`")
        if self.role == "feature" and self.kind in ("text", "timestamp"):
            raise ValueError(f"a {self.kind} column cannot be a feature; use integer, number or category")
        if self.kind == "category" and self.role == "feature" and not self.categories:
            raise ValueError("a category feature needs its list of `categories`")
        if self.kind in ("integer", "number") and self.categories:
            raise ValueError(f"categories belong to category columns, not to a column of kind {self.kind}")
        if len(set(self.categories)) < len(self.categories) or any(not c or c != c.strip() for c in self.categories):
            raise ValueError(f"categories must be distinct texts without outer blanks, found {list(self.categories)}")
        if self.kind not in ("integer", "number") and (self.minimum is not None or self.maximum is not None):
            raise ValueError("minimum and maximum belong to integer and number columns only")
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            raise ValueError(f"minimum {self.minimum:g} is above maximum {self.maximum:g}")
        return self

    @property
    def is_numeric(self) -> bool:
        return self.kind in ("integer", "number")


LEAD_KEYS: Mapping[str, Column] = {
    "lead_id": Column(kind="text", role="identifier", why="names the lead in every table"),
    "created_at": Column(kind="timestamp", role="context", why="event time: when the lead came to be"),
    "known_at": Column(kind="timestamp", role="context", required=False, why="when this system could first know it"),
}

OUTCOME_COLUMNS: Mapping[str, Column] = {
    "lead_id": Column(kind="text", role="identifier", why="the lead whose outcome this is"),
    "outcome": Column(
        kind="category",
        role="forbidden",
        available="after_outcome",
        why="what became of the lead",
        categories=("converted", "disqualified", "lost"),
    ),
    "outcome_at": Column(
        kind="timestamp", role="forbidden", available="after_outcome", why="event time of the outcome"
    ),
    "known_at": Column(
        kind="timestamp", role="context", required=False, available="after_outcome", why="when this system knew it"
    ),
    "reason": Column(kind="text", role="context", required=False, available="after_outcome", why="in the rep's words"),
    "provenance": Column(
        kind="text", role="context", required=False, available="after_outcome", why="says when a value is simulated"
    ),
}


class Registry:
    """All lead columns of one installation, in the order of the settings file."""

    def __init__(self, columns: Mapping[str, Column]) -> None:
        self.lead_columns: Mapping[str, Column] = {**LEAD_KEYS, **columns}
        self.outcome_columns: Mapping[str, Column] = OUTCOME_COLUMNS

    @property
    def features(self) -> Mapping[str, Column]:
        """The columns a model may use, in registry order."""
        return {name: column for name, column in self.lead_columns.items() if column.role == "feature"}

    @property
    def numeric_features(self) -> list[str]:
        return [name for name, column in self.features.items() if column.is_numeric]

    @property
    def category_features(self) -> list[str]:
        return [name for name, column in self.features.items() if not column.is_numeric]

    def assert_no_leakage(self, names: Iterable[str], where: str) -> None:
        """Refuse by name every column in `names` that a model must not see.

        Raises:
            LeakageError: naming each offender, its role and why.
        """
        offenders = [name for name in names if name not in self.features]
        if offenders:
            known = {**self.outcome_columns, **self.lead_columns}
            told = "; ".join(
                f"{name} ({known[name].role}: {known[name].why})" if name in known else f"{name} (not in the registry)"
                for name in offenders
            )
            raise LeakageError(
                f"{where} may hold features only, found {told}. Take the column out, or declare it a feature in "
                "lead_scoring.yaml if it is known when a lead is created."
            )
