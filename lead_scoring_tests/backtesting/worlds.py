"""Made-up worlds to walk through: one feature that decides, for ever or until it turns round."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa

from lead_scoring_assets.backtesting.walk_forward import Walked, training_settings, walk_forward
from lead_scoring_assets.periods import Period
from lead_scoring_assets.settings import Settings, parse_settings

CONVERSION_WINDOW = timedelta(days=10)
SETTINGS = """
name: made-up
periods: {start: 2008-01-01}
columns:
  x: {kind: number, role: feature, why: w}
labels: {conversion_window_days: 10}
training:
  minimum_rows: 60
  minimum_positives: 10
  minimum_holdout_rows: 30
  minimum_holdout_positives: 5
  algorithms: [logistic]
  rounds: 5
  tuning: {trials: 2, folds: 2}
evaluation: {bootstrap_samples: 200}
"""
INSTANT = pa.timestamp("us", tz="UTC")


def settings_of(change: Callable[[str], str] = str) -> Settings:
    return parse_settings(change(SETTINGS), "the test")


@dataclass(frozen=True)
class World:
    """`features` and `labels` as the tables have them; everything is known at `as_of`, and all leads have matured."""

    features: pa.Table
    labels: pa.Table
    settings: Settings
    judged: tuple[Period, ...]
    as_of: datetime

    def walk(self, **options: object) -> Walked:
        given = {"features": self.features, "labels": self.labels, "judged": self.judged, "as_of": self.as_of}
        return walk_forward(settings=self.settings, **{"window_months": 3, **given, **options})  # type: ignore[arg-type]


def world(
    months: int = 14,
    leads_a_month: int = 150,
    *,
    turns_in: int | None = None,
    empty: tuple[int, ...] = (),
    seed: int = 1,
) -> World:
    """`turns_in`: the month from which on the feature says the opposite. `empty`: months in which nobody arrives."""
    settings, draws = training_settings(settings_of(), None, is_tuned=False), np.random.default_rng(seed)
    start = settings.calendar.start
    periods = settings.calendar.through(settings.calendar.containing(start + timedelta(days=30.4 * months - 15)))
    rows, known = [], []
    for month, period in enumerate(periods):
        for lead in range(0 if month in empty else leads_a_month):
            created = period.start + (period.end - period.start) * float(draws.uniform(0.001, 0.999))
            x = float(draws.normal())
            slope = -1.5 if turns_in is not None and month >= turns_in else 1.5
            converted = draws.random() < 1 / (1 + np.exp(0.5 - slope * x))
            wait = CONVERSION_WINDOW * float(draws.uniform(0.1, 0.9) if converted else 1.0)
            rows.append((period.key, f"lead-{month:02}-{lead:04}", created, x))
            known.append((settings.calendar.containing(created + wait).key, int(converted), created + wait))
    columns = list(zip(*rows, strict=True))
    told = list(zip(*known, strict=True))
    features = {
        "period": pa.array(columns[0]),
        "lead_id": pa.array(columns[1]),
        "created_at": pa.array(columns[2], INSTANT),
        "known_at": pa.array(columns[2], INSTANT),
        "x": pa.array(columns[3]),
    }
    labels = {
        "period": pa.array(told[0]),
        "lead_id": pa.array(columns[1]),
        "label": pa.array(told[1], pa.int8()),
        "label_known_at": pa.array(told[2], INSTANT),
    }
    as_of = settings.calendar.next(periods[-1]).end
    return World(pa.table(features), pa.table(labels), settings, tuple(periods[1:]), as_of)


def moments(table: pa.Table, name: str) -> np.ndarray:
    return np.array(table[name].to_pylist(), dtype=object)


def replaced(table: pa.Table, name: str, values: np.ndarray) -> pa.Table:
    place = table.column_names.index(name)
    return table.set_column(place, name, pa.array(values.tolist(), table[name].type))
