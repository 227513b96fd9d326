"""Columns of leads, activities and outcomes, and the rule that nothing known only after the outcome becomes a feature."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from lead_scoring_assets.contracts.aggregates import Aggregate
from lead_scoring_assets.errors import LeakageError

Entity = Literal["leads", "activities", "outcomes"]
ENTITIES: tuple[Entity, ...] = ("leads", "activities", "outcomes")
RAW_TABLES: Mapping[Entity, str] = {entity: f"raw_{entity}" for entity in ENTITIES}
IDENTIFIERS: Mapping[Entity, str] = {"leads": "lead_id", "activities": "activity_id", "outcomes": "lead_id"}
"""The column that names what a row is about: rows with the same one are versions of each other."""
EVENT_TIMES: Mapping[Entity, str] = {"leads": "created_at", "activities": "occurred_at", "outcomes": "outcome_at"}

Kind = Literal["integer", "number", "category", "text", "timestamp"]
Role = Literal["identifier", "feature", "sensitive", "context", "forbidden"]
Availability = Literal["at_creation", "at_scoring", "after_outcome"]


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

OUTCOMES = ("converted", "disqualified", "lost", "no_response", "open")
"""`no_response`: tried and not reached so far. `open`: worked on again; takes back what was said before."""


def _after(kind: Kind, role: Role, why: str, **more: bool | float | tuple[str, ...]) -> Column:
    return Column.model_validate({"kind": kind, "role": role, "why": why, "available": "after_outcome", **more})


OUTCOME_COLUMNS: Mapping[str, Column] = {
    "lead_id": Column(kind="text", role="identifier", why="the lead whose outcome this is"),
    "outcome": _after("category", "forbidden", "what became of the lead", categories=OUTCOMES),
    "outcome_at": _after("timestamp", "forbidden", "event time of the outcome"),
    "known_at": _after("timestamp", "context", "when this system knew it", required=False),
    "reason": _after("text", "forbidden", "why, in the rep's words", required=False),
    "rep": _after("text", "forbidden", "who worked the lead to its outcome", required=False),
    "deal_value": _after("number", "forbidden", "worth of the deal, in `currency`", required=False, minimum=0),
    "currency": _after("text", "forbidden", "three letters, such as AED", required=False),
    "provenance": _after("text", "context", "says when a value is simulated", required=False),
}


def activity_columns(types: Sequence[str]) -> Mapping[str, Column]:
    """Columns of activities (touches): each row is one event, such as a visit of the web site or a call."""
    return {
        "activity_id": Column(kind="text", role="identifier", why="names the activity"),
        "lead_id": Column(kind="text", role="identifier", why="the lead that did it, or to whom it was done"),
        "occurred_at": Column(kind="timestamp", role="context", why="event time: when it happened"),
        "known_at": Column(
            kind="timestamp", role="context", required=False, why="when this system could first know it"
        ),
        "activity_type": Column(kind="category", role="context", why="what happened", categories=tuple(types)),
        "detail": Column(kind="text", role="context", required=False, why="page, subject, topic: what was touched"),
        "value": Column(
            kind="number", role="context", required=False, why="how much: minutes of a call, pages of a visit"
        ),
        "rep": Column(kind="text", role="context", required=False, why="who called or met"),
    }


class Registry:
    """All columns of one installation, in the order of the settings file: of leads, activities and outcomes, and the
    features that are computed from activities."""

    def __init__(
        self,
        columns: Mapping[str, Column],
        activity_types: Sequence[str] = (),
        aggregates: Mapping[str, Aggregate] | None = None,
    ) -> None:
        self.lead_columns: Mapping[str, Column] = {**LEAD_KEYS, **columns}
        self.activity_columns: Mapping[str, Column] = activity_columns(activity_types)
        self.outcome_columns: Mapping[str, Column] = OUTCOME_COLUMNS
        self.activity_types = tuple(activity_types)
        self.aggregates: Mapping[str, Aggregate] = dict(aggregates or {})

    def columns(self, entity: Entity) -> Mapping[str, Column]:
        """The contract of one raw table."""
        contracts: Mapping[Entity, Mapping[str, Column]] = {
            "leads": self.lead_columns,
            "activities": self.activity_columns,
            "outcomes": self.outcome_columns,
        }
        return contracts[entity]

    @cached_property
    def lead_features(self) -> Mapping[str, Column]:
        """Features that stand in the lead itself, in registry order."""
        return {name: column for name, column in self.lead_columns.items() if column.role == "feature"}

    @cached_property
    def features(self) -> Mapping[str, Column]:
        """The columns a model may use, in registry order: those of the lead, then those computed from activities."""
        computed = {
            name: Column(
                kind="number",
                role="feature",
                available="at_scoring",
                required=False,
                minimum=0,
                maximum=aggregate.maximum,
                why=aggregate.why,
            )
            for name, aggregate in self.aggregates.items()
        }
        return {**self.lead_features, **computed}

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
            known = {**self.activity_columns, **self.outcome_columns, **self.lead_columns}
            told = "; ".join(
                f"{name} ({known[name].role}: {known[name].why})" if name in known else f"{name} (not in the registry)"
                for name in offenders
            )
            raise LeakageError(
                f"{where} may hold features only, found {told}. Take the column out, or declare it a feature in "
                "lead_scoring.yaml if it is known when a lead is created."
            )
