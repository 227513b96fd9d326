"""From raw tables to training rows: whatever may not be known is changed, one kind after the other, and no row moves.

Each kind has its counterpart: the same change to what may be known does move rows, or the test would prove nothing.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from lead_scoring_assets.contracts.aggregates import Aggregate
from lead_scoring_assets.contracts.columns import Column, Registry
from lead_scoring_assets.contracts.validation import arrow_schema
from lead_scoring_assets.features.plan import build_features
from lead_scoring_assets.labels.maturity import labels_known_in
from lead_scoring_assets.models.training_set import TrainingWindow, build_training_set
from lead_scoring_assets.periods import PeriodCalendar
from lead_scoring_assets.settings import Labels

CALENDAR = PeriodCalendar("month", datetime(2024, 1, 1, tzinfo=UTC))
PERIOD = CALENDAR.period("2024-08")
LATER = CALENDAR.period("2024-11")
RULE = Labels(conversion_window_days=30, corrections_days=60)
REGISTRY = Registry(
    {
        "size": Column(kind="integer", role="feature", minimum=0, why="w"),
        "source": Column(kind="category", role="feature", categories=("web", "event"), why="w"),
        "gender": Column(kind="category", role="sensitive", categories=("f", "m"), why="w"),
        "note": Column(kind="text", role="context", why="w"),
        "closed_by": Column(kind="text", role="forbidden", available="after_outcome", why="w"),
    },
    ("visit", "call"),
    {
        "visits": Aggregate(measure="count", of=("visit",), days=30, why="w"),
        "minutes": Aggregate(measure="sum", days=90, why="w"),
        "pages": Aggregate(measure="distinct", column="detail", days=90, why="w"),
        "quiet_days": Aggregate(measure="days_since_last", days=90, why="w"),
    },
)
MAY_NOT_BE_SEEN = ("gender", "note", "closed_by")
DETAILS_OF_OUTCOMES = ("reason", "rep", "deal_value", "currency", "provenance")


@dataclass(frozen=True)
class World:
    """Raw tables as frames, with everything that was ever said."""

    leads: pd.DataFrame
    activities: pd.DataFrame
    outcomes: pd.DataFrame

    def training_rows(self) -> pa.Table:
        """What the model of `PERIOD` learns from, through features and labels of every period so far."""
        leads, activities, outcomes = (
            _table(self.leads, REGISTRY.lead_columns),
            _table(self.activities, REGISTRY.activity_columns),
            _table(self.outcomes, REGISTRY.outcome_columns),
        )
        features = build_features(leads, REGISTRY, activities)
        labels = pa.concat_tables(labels_known_in(period, leads, outcomes, RULE) for period in CALENDAR.through(LATER))
        window = TrainingWindow.of(PERIOD, timedelta(days=RULE.conversion_window_days), 3)
        return build_training_set(PERIOD, window, features, labels, REGISTRY)


def _table(frame: pd.DataFrame, columns: Any) -> pa.Table:
    schema = pa.schema([("period", pa.string()), *arrow_schema(columns), ("version", pa.int64())])
    return pa.Table.from_pandas(frame[schema.names], schema=schema, preserve_index=False)


def build_world(seed: int, n: int = 250) -> World:
    """Leads over ten months with late and corrected rows, activities around them, outcomes and their corrections."""
    draw = np.random.default_rng(seed)

    def days(low: float, high: float, size: int) -> pd.Series:
        return pd.Series(pd.to_timedelta(draw.uniform(low, high, size) * 86_400, unit="s").round("us"))

    created = pd.Series(pd.Timestamp("2024-01-05", tz="UTC") + days(0, 290, n))
    leads = pd.DataFrame(
        {
            "lead_id": [f"L{i}" for i in range(n)],
            "created_at": created,
            "known_at": created + days(0, 1, n) + (draw.random(n) < 0.1) * pd.Timedelta(days=60),
            "size": draw.integers(0, 500, n),
            "source": draw.choice(["web", "event"], n),
            "gender": draw.choice(["f", "m"], n),
            "note": "as told",
            "closed_by": "",
            "version": 1,
        }
    )
    corrected = leads.sample(frac=0.3, random_state=seed)
    corrected = corrected.assign(
        known_at=corrected["known_at"] + days(1, 90, len(corrected)).to_numpy(), size=corrected["size"] + 1, version=2
    )
    m = 6 * n
    of = draw.integers(0, n, m)
    occurred = created.iloc[of].reset_index(drop=True) + days(-100, 60, m)
    activities = pd.DataFrame(
        {
            "activity_id": [f"A{i}" for i in range(m)],
            "lead_id": leads["lead_id"].iloc[of].to_numpy(),
            "occurred_at": occurred,
            "known_at": occurred + days(0, 10, m),
            "activity_type": draw.choice(["visit", "call"], m),
            "detail": draw.choice(["prices", "team", "contact"], m),
            "value": draw.uniform(0, 30, m).round(1),
            "rep": None,
            "version": 1,
        }
    )
    again = activities.sample(frac=0.1, random_state=seed)
    again = again.assign(
        known_at=again["known_at"] + days(1, 90, len(again)).to_numpy(), value=again["value"] + 1, version=2
    )
    said = draw.random(n) < 0.7
    happened = created[said] + days(0, 45, n)[said]
    outcomes = pd.DataFrame(
        {
            "lead_id": leads["lead_id"][said],
            "outcome": draw.choice(["converted", "lost", "disqualified", "no_response"], said.sum()),
            "outcome_at": happened,
            "known_at": happened + days(0, 20, n)[said],
            "reason": "as told",
            "rep": "R1",
            "deal_value": 1000.0,
            "currency": "AED",
            "provenance": None,
            "version": 1,
        }
    )
    taken_back = outcomes.sample(frac=0.3, random_state=seed)
    taken_back = taken_back.assign(
        known_at=taken_back["known_at"] + days(1, 50, len(taken_back)).to_numpy(), outcome="converted", version=2
    )
    return World(
        *(_placed(pd.concat(parts)) for parts in ((leads, corrected), (activities, again), (outcomes, taken_back)))
    )


@functools.cache
def unchanged(seed: int) -> tuple[World, pa.Table]:
    """A world, and its training rows."""
    world = build_world(seed)
    return world, world.training_rows()


def _placed(rows: pd.DataFrame) -> pd.DataFrame:
    """With the period in which each row became known; what is known exactly at a period's end belongs to it."""
    just_before = rows["known_at"] - pd.Timedelta(microseconds=1)
    return rows.assign(period=just_before.dt.strftime("%Y-%m")).reset_index(drop=True)


END = pd.Timestamp(PERIOD.end)
Change = Callable[[World], World]


def _other(values: pd.Series, rows: pd.Series) -> pd.Series:
    """`values` with others in `rows`, of the same kind."""
    if values.dtype == object:
        swap = {
            "web": "event",
            "event": "web",
            "converted": "lost",
            "lost": "converted",
            "visit": "call",
            "call": "visit",
        }
        return values.where(~rows, values.map(lambda value: swap.get(value, "changed")))
    return values.where(~rows, values + 7)


def change_unseen_columns(world: World) -> World:
    everywhere = pd.Series(True, index=world.leads.index)
    return replace(
        world,
        leads=world.leads.assign(**{name: _other(world.leads[name], everywhere) for name in MAY_NOT_BE_SEEN}),
    )


def change_details_of_outcomes(world: World) -> World:
    everywhere = pd.Series(True, index=world.outcomes.index)
    changed = {name: _other(world.outcomes[name], everywhere) for name in DETAILS_OF_OUTCOMES}
    return replace(world, outcomes=world.outcomes.assign(**changed))


def change_what_is_known_later(world: World) -> World:
    def changed(rows: pd.DataFrame, names: tuple[str, ...]) -> pd.DataFrame:
        late = rows["known_at"] > END
        assert late.any()
        return rows.assign(**{name: _other(rows[name], late) for name in names})

    return World(
        changed(world.leads, ("size", "source")),
        changed(world.activities, ("activity_type", "detail", "value")),
        changed(world.outcomes, ("outcome",)),
    )


def drop_what_is_known_later(world: World) -> World:
    return World(*(rows[rows["known_at"] <= END] for rows in (world.leads, world.activities, world.outcomes)))


def _first_rows(world: World) -> pd.DataFrame:
    """Of each lead what its first score is made from: the last version that was known in the period of its arrival."""
    first_period = world.leads.groupby("lead_id")["period"].transform("min")
    return world.leads[world.leads["period"] == first_period].sort_values("version").groupby("lead_id").tail(1)


def _scored(world: World) -> pd.Series:
    return world.activities["lead_id"].map(_first_rows(world).set_index("lead_id")["known_at"])


def change_activities_after_scoring(world: World) -> World:
    scored = _scored(world)
    later = (world.activities["occurred_at"] > scored) | (world.activities["known_at"] > scored)
    assert later.any()
    changed = {name: _other(world.activities[name], later) for name in ("activity_type", "detail", "value")}
    return replace(world, activities=world.activities.assign(**changed))


def change_corrections_of_leads(world: World) -> World:
    again = ~world.leads.index.isin(_first_rows(world).index)
    assert again.any()
    return replace(world, leads=world.leads.assign(size=_other(world.leads["size"], pd.Series(again))))


@pytest.mark.parametrize(
    "change",
    [
        change_unseen_columns,
        change_details_of_outcomes,
        change_what_is_known_later,
        drop_what_is_known_later,
        change_activities_after_scoring,
        change_corrections_of_leads,
    ],
)
@pytest.mark.parametrize("seed", range(2))
def test_what_may_not_be_known_moves_no_training_row(change: Change, seed: int) -> None:
    world, rows = unchanged(seed)
    assert rows.num_rows > 30
    assert change(world).training_rows().equals(rows)


def change_a_feature(world: World) -> World:
    first = pd.Series(world.leads.index.isin(_first_rows(world).index))
    return replace(world, leads=world.leads.assign(size=_other(world.leads["size"], first)))


def change_activities_before_scoring(world: World) -> World:
    scored = _scored(world)
    before = (world.activities["occurred_at"] <= scored) & (world.activities["known_at"] <= scored)
    return replace(world, activities=world.activities.assign(value=_other(world.activities["value"], before)))


def change_outcomes_known_by_then(world: World) -> World:
    known = world.outcomes["known_at"] <= END
    return replace(world, outcomes=world.outcomes.assign(outcome=_other(world.outcomes["outcome"], known)))


@pytest.mark.parametrize("change", [change_a_feature, change_activities_before_scoring, change_outcomes_known_by_then])
@pytest.mark.parametrize("seed", range(2))
def test_the_trap_closes_when_what_was_known_moves(change: Change, seed: int) -> None:
    world, rows = unchanged(seed)
    assert not change(world).training_rows().equals(rows)
