"""A made-up company whose data are as they should be: nothing depends on anything that it should not."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from lead_scoring_assets.onboarding.diagnosis import Diagnosis
from lead_scoring_assets.onboarding.doctor import examine
from lead_scoring_assets.settings import Settings

AS_OF = datetime(2025, 3, 1, tzinfo=UTC)
FIRST = "2024-01-01"
REGIONS = ("north", "south", "east", "west")
RHYTHM = np.array([0] * 7 + [1, 3, 6, 8, 8, 6, 6, 8, 8, 6, 3, 1] + [0] * 5) / 64

SETTINGS: dict[str, Any] = {
    "name": "made-up",
    "currency": "AED",
    "periods": {"start": "2024-01-01"},
    "columns": {
        "age": {"kind": "integer", "role": "feature", "minimum": 15, "maximum": 110, "why": "w"},
        "score": {"kind": "number", "role": "feature", "required": False, "why": "w"},
        "region": {"kind": "category", "role": "feature", "categories": list(REGIONS), "why": "w"},
        "plan": {
            "kind": "category", "role": "feature", "required": False, "why": "w",
            "categories": ["basic", "plus", "unsure"],
        },
        "note": {"kind": "text", "role": "context", "required": False, "why": "w"},
    },
    "activities": {"types": ["visit", "call"]},
    "training": {
        "minimum_rows": 500, "minimum_positives": 50, "minimum_holdout_rows": 100, "minimum_holdout_positives": 10,
    },
}  # fmt: skip


def settings_with(**changes: Any) -> Settings:
    """The made-up company's settings; `columns` are added to its own, other sections are replaced."""
    columns = {**SETTINGS["columns"], **changes.pop("columns", {})}
    return Settings.model_validate({**SETTINGS, **changes, "columns": columns})


@dataclass(frozen=True)
class World:
    """One company's tables, as pandas frames, so that a fault is planted in one line."""

    leads: pd.DataFrame
    outcomes: pd.DataFrame
    activities: pd.DataFrame
    settings: Settings

    def plant(self, **changes: Any) -> "World":
        return replace(self, **changes)

    def tables(self) -> list[pa.Table]:
        """Leads, outcomes, activities."""
        return [pa.Table.from_pandas(t, preserve_index=False) for t in (self.leads, self.outcomes, self.activities)]

    def examine(self) -> list[Diagnosis]:
        return examine(*self.tables(), self.settings, as_of=AS_OF)


def clean_world(seed: int, leads_a_month: int = 500, months: int = 14) -> World:
    """Leads of 14 months (to the end of February 2025), 12 % of which convert, most of them within the window of 30 days."""
    draw = np.random.default_rng(seed)
    starts = pd.date_range(FIRST, periods=months, freq="MS")
    n = draw.poisson(leads_a_month, months)
    lengths = np.repeat(starts.days_in_month.to_numpy(), n)
    days = np.floor(draw.random(n.sum()) * lengths).astype("timedelta64[D]")
    created = np.repeat(starts.to_numpy(), n) + days + _time_of_day(draw, n.sum())
    total = int(n.sum())
    age = draw.integers(18, 80, total)
    leads = pd.DataFrame(
        {
            "lead_id": [f"lead-{k:06}" for k in range(total)],
            "created_at": pd.Series(created).dt.tz_localize("UTC").dt.as_unit("us"),
            "age": age,
            "score": np.where(draw.random(total) < 0.04, np.nan, draw.normal(50, 10, total).round(2)),
            "region": draw.choice(REGIONS, total),
            "plan": pd.Series(draw.choice(["basic", "plus", "unsure"], total)).mask(draw.random(total) < 0.03),
            "note": draw.choice(["met at a fair", "asks for a visa", "+971 50 123 4567", "-", "-5"], total),
        }
    )
    leads["known_at"] = leads["created_at"]
    converts = draw.random(total) < 0.06 + 0.12 * (age - 18) / 62
    delay = pd.to_timedelta(draw.exponential(np.where(converts, 7, 12), total), unit="D")
    outcomes = pd.DataFrame(
        {
            "lead_id": leads["lead_id"],
            "outcome": np.where(converts, "converted", "lost"),
            "outcome_at": (leads["created_at"] + delay).dt.as_unit("us"),
            "deal_value": np.where(converts, draw.lognormal(9, 1, total).round(2), np.nan),
            "currency": np.where(converts, "AED", None),
        }
    )
    outcomes["known_at"] = outcomes["outcome_at"]
    # Half of the losses are never reported.
    told = (outcomes["outcome_at"] <= AS_OF) & (converts | (draw.random(total) < 0.5))
    visits = draw.integers(0, total, 2 * total)
    occurred = leads["created_at"].dt.tz_localize(None).to_numpy()[visits]
    activities = pd.DataFrame(
        {
            "activity_id": [f"a-{k}" for k in range(2 * total)],
            "lead_id": leads["lead_id"].to_numpy()[visits],
            "occurred_at": pd.Series(occurred).dt.tz_localize("UTC"),
            "activity_type": draw.choice(["visit", "call"], 2 * total),
        }
    )
    activities["known_at"] = activities["occurred_at"]
    return World(leads, outcomes[told].reset_index(drop=True), activities, settings_with())


def _time_of_day(draw: np.random.Generator, n: int) -> Any:
    hours = draw.choice(24, n, p=RHYTHM / RHYTHM.sum())
    return hours.astype("timedelta64[h]") + draw.integers(0, 3600 * 1000, n).astype("timedelta64[ms]")


def faults(diagnoses: list[Diagnosis]) -> list[tuple[str, str]]:
    """What was found, without what is well: names and subjects."""
    return [(told.name, told.subject) for told in diagnoses if told.severity != "ok"]


def only(diagnoses: list[Diagnosis], name: str) -> Diagnosis:
    """The one diagnosis of that name that is not well."""
    found = [told for told in diagnoses if told.name == name and told.severity != "ok"]
    assert len(found) == 1, (name, diagnoses)
    return found[0]
