"""Made-up histories to replay: one feature that decides, until it turns round, or that drifts and changes nothing."""

from datetime import timedelta

import numpy as np
import pyarrow as pa

from lead_scoring_assets.settings import Settings, parse_settings

WINDOW = timedelta(days=10)
TRAINING_COST = 20.0  # two conversions
SETTINGS = """
name: made-up
periods: {start: 2008-01-01}
columns:
  x: {kind: number, role: feature, why: w}
  c: {kind: category, role: feature, why: w, categories: [a, b]}
labels: {conversion_window_days: 10}
training:
  window_months: 3
  minimum_rows: 60
  minimum_positives: 10
  minimum_holdout_rows: 30
  minimum_holdout_positives: 5
  algorithms: [logistic]
  rounds: 12
  parameters: {max_depth: 2, eta: 0.3}
  tuning: {trials: 1, folds: 2}
evaluation: {bootstrap_samples: 200, value_per_conversion: 10.0}
gate: {minimum_auc: 0.52, minimum_precision_at_10_percent: 0.0, mode: refresh, refresh_margin: 0.05, traceable: recorded}
performance: {minimum_rows: 50, minimum_positives: 5, minimum_auc: 0.5}
drift: {minimum_rows: 50}
retraining: {causes: [performance], cooldown_days: 0, backoff_days: 0, backoff_days_at_most: 0}
"""
INSTANT = pa.timestamp("us", tz="UTC")


def settings_of(**replaced: str) -> Settings:
    text = SETTINGS
    for old, new in replaced.items():
        assert old in text
        text = text.replace(old, new)
    return parse_settings(text, "the test")


def tables(
    months: int = 24,
    leads_a_month: int = 200,
    *,
    turns_in: int | None = None,
    moves_by: float = 0.0,
    seed: int = 1,
    settings: Settings | None = None,
) -> tuple[pa.Table, pa.Table]:
    """`lead_features` and `ground_truth_labels`. `turns_in`: the month from which on the feature says the opposite.

    `moves_by`: how far the feature moves each month, its meaning staying what it is: drift that costs nothing.
    """
    calendar, draws = (settings or settings_of()).calendar, np.random.default_rng(seed)
    rows, known = [], []
    for month in range(months):
        period = calendar.containing(calendar.start + timedelta(days=30.44 * month + 10))
        for lead in range(leads_a_month):
            created = period.start + (period.end - period.start) * float(draws.uniform(0.001, 0.999))
            x = float(draws.normal())
            slope = -1.5 if turns_in is not None and month >= turns_in else 1.5
            converted = int(draws.random() < 1 / (1 + np.exp(1.0 - slope * x)))
            wait = WINDOW * float(draws.uniform(0.1, 0.9) if converted else 1.0)
            name = f"lead-{month:03}-{lead:05}"
            rows.append((period.key, name, created, created, x + moves_by * month, "ab"[int(draws.integers(2))]))
            value = float(draws.uniform(5, 15)) if converted and draws.random() < 0.5 else None
            moment = created + wait
            known.append((calendar.containing(moment).key, name, moment, converted, 1, value))
    features = dict(
        zip(("period", "lead_id", "created_at", "known_at", "x", "c"), zip(*rows, strict=True), strict=True)
    )
    labels = dict(
        zip(
            ("period", "lead_id", "label_known_at", "label", "revision", "deal_value"),
            zip(*known, strict=True),
            strict=True,
        )
    )
    types = {"created_at": INSTANT, "known_at": INSTANT, "label_known_at": INSTANT, "label": pa.int8()}
    return tuple(  # type: ignore[return-value]
        pa.table({name: pa.array(values, types.get(name)) for name, values in table.items()})
        for table in (features, labels)
    )
