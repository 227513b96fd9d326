"""Which leads are learned from and judged on: exact borders, and a trap for everything that must not leak."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lead_scoring_assets.contracts.columns import Column, Registry
from lead_scoring_assets.models.training_set import HOLDOUT, KEYS, TRAIN, TrainingWindow, build_training_set
from lead_scoring_assets.periods import Period, PeriodCalendar
from lead_scoring_assets.settings import Home

REGISTRY = Home(Path(__file__).resolve().parents[2]).settings.registry
CALENDAR = PeriodCalendar("month", datetime(2008, 5, 1, tzinfo=UTC))
PERIOD = CALENDAR.period("2009-03")
CONVERSION_WINDOW = timedelta(days=30)
WINDOW = TrainingWindow.of(PERIOD, CONVERSION_WINDOW, 6)
TICK = timedelta(microseconds=1)
TIMESTAMP = pa.timestamp("us", tz="UTC")
SMALL = Registry({"x": Column(kind="number", role="feature", why="test")})


def features_of(leads: dict[str, datetime], known_at: dict[str, datetime] | None = None, **columns: object) -> pa.Table:
    known = {**leads, **(known_at or {})}
    table = {
        "period": pa.array(["any"] * len(leads)),
        "lead_id": pa.array(list(leads)),
        "created_at": pa.array(list(leads.values()), TIMESTAMP),
        "known_at": pa.array([known[lead] for lead in leads], TIMESTAMP),
    }
    return pa.table({**table, **(columns or {"x": [float(i) for i in range(len(leads))]})})


def labels_of(known_at: dict[str, datetime], labels: dict[str, int] | None = None) -> pa.Table:
    values = [(labels or {}).get(lead, 0) for lead in known_at]
    return pa.table(
        {
            "lead_id": pa.array(list(known_at)),
            "label": pa.array(values, pa.int8()),
            "label_known_at": pa.array(list(known_at.values()), TIMESTAMP),
        }
    )


def build(features: pa.Table, labels: pa.Table, registry: Registry = SMALL) -> pa.Table:
    return build_training_set(PERIOD, WINDOW, features, labels, registry)


# The window.


def test_the_window_of_a_period() -> None:
    def day(year: int, month: int, date: int) -> datetime:
        return datetime(year, month, date, tzinfo=UTC)

    assert TrainingWindow(day(2008, 6, 30), day(2008, 12, 31), day(2009, 1, 30), day(2009, 3, 2)) == WINDOW


@given(st.integers(0, 60), st.integers(1, 120), st.integers(1, 36))
def test_borders_of_any_window(month: int, days: int, months: int) -> None:
    period = CALENDAR.containing(CALENDAR.start + timedelta(days=30.5 * month))
    conversion_window = timedelta(days=days)
    window = TrainingWindow.of(period, conversion_window, months)
    assert window.start < window.embargo < window.holdout < window.end
    assert window.end == period.end - conversion_window  # the holdout's labels are complete
    assert window.holdout - window.embargo == conversion_window
    # Holdouts of successive periods share no lead: no model has seen its own.
    assert TrainingWindow.of(CALENDAR.next(period), conversion_window, months).holdout == window.end


@pytest.mark.parametrize(
    ("created_at", "split"),
    [
        (WINDOW.start - TICK, None),
        (WINDOW.start, TRAIN),
        (WINDOW.embargo - TICK, TRAIN),
        (WINDOW.embargo, None),
        (WINDOW.holdout - TICK, None),
        (WINDOW.holdout, HOLDOUT),
        (WINDOW.end - TICK, HOLDOUT),
        (WINDOW.end, None),
        (PERIOD.end, None),
    ],
)
def test_borders_are_exact(created_at: datetime, split: str | None) -> None:
    rows = build(features_of({"a": created_at}), labels_of({"a": min(created_at + CONVERSION_WINDOW, PERIOD.end)}))
    assert rows["split"].to_pylist() == ([] if split is None else [split])


@pytest.mark.parametrize("late", ["label", "features"])
@pytest.mark.parametrize(("delay", "n"), [(timedelta(0), 1), (TICK, 0)])
def test_known_at_the_end_of_the_period_is_known_and_later_is_not(late: str, delay: timedelta, n: int) -> None:
    moment = PERIOD.end + delay
    rows = build(
        features_of({"a": WINDOW.holdout}, {"a": moment} if late == "features" else None),
        labels_of({"a": moment if late == "label" else PERIOD.end}),
    )
    assert rows.num_rows == n


def test_a_lead_without_label_is_left_out_and_not_lost() -> None:
    rows = build(features_of({"a": WINDOW.start, "b": WINDOW.start}), labels_of({"b": WINDOW.embargo}, {"b": 1}))
    assert rows.select(["lead_id", "label"]).to_pylist() == [{"lead_id": "b", "label": 1}]


def test_a_label_that_is_corrected_later_changes_the_later_training_set_and_not_the_earlier() -> None:
    later = CALENDAR.next(PERIOD)
    features = features_of(dict.fromkeys(("a", "b", "c"), WINDOW.holdout))
    first = labels_of(dict.fromkeys(["a", "b", "c"], PERIOD.end), {"a": 0, "b": 1, "c": 1})
    revised = labels_of(dict.fromkeys(["a", "b", "c"], PERIOD.end + TICK), {"a": 1, "b": 1, "c": 1})
    taken_back = pa.array([1, 1, None], pa.int8())
    revised = revised.set_column(revised.column_names.index("label"), "label", taken_back)
    labels = pa.concat_tables([revised, first])

    def seen(period: Period, window: TrainingWindow) -> dict[str, int]:
        rows = build_training_set(period, window, features, labels, SMALL)
        return dict(zip(rows["lead_id"].to_pylist(), rows["label"].to_pylist(), strict=True))

    assert seen(PERIOD, WINDOW) == {"a": 0, "b": 1, "c": 1}
    assert build(features, labels).equals(build(features, first))
    # The same leads, a period later: one has changed, and one is not known any more, which is not a no.
    assert seen(later, WINDOW) == {"a": 1, "b": 1}


def test_a_corrected_lead_is_learned_from_as_it_came() -> None:
    rows = [("2009-02", "a", WINDOW.holdout, 1.0), ("2009-03", "a", PERIOD.end, 2.0), ("2009-03", "b", PERIOD.end, 3.0)]
    features = pa.table(
        {
            "period": [row[0] for row in rows],
            "lead_id": [row[1] for row in rows],
            "created_at": pa.array([WINDOW.holdout] * 3, TIMESTAMP),
            "known_at": pa.array([row[2] for row in rows], TIMESTAMP),
            "x": [row[3] for row in rows],
        }
    )
    labels = labels_of({"a": PERIOD.end, "b": PERIOD.end})
    for table in (features, features.take([2, 1, 0])):
        built = build(table, labels)
        assert list(zip(built["lead_id"].to_pylist(), built["x"].to_pylist(), strict=True)) == [("a", 1.0), ("b", 3.0)]


# A world of leads, some of which may not be seen.


def world() -> tuple[pa.Table, pa.Table]:
    """Two leads a day over 14 months around the window; some features and many labels become known late."""
    rng = np.random.default_rng(0)
    first = WINDOW.start - timedelta(days=60)
    leads = {f"lead-{i:04}": first + timedelta(hours=12 * i) for i in range(840)}
    known = {lead: born + timedelta(days=float(rng.choice([0, 1, 200]))) for lead, born in leads.items()}
    columns: dict[str, object] = {}
    for name, column in REGISTRY.lead_columns.items():
        if name not in ("lead_id", "created_at", "known_at"):
            columns[name] = (
                rng.integers(0, 30, len(leads)).astype(float)
                if column.is_numeric
                else rng.choice(column.categories, len(leads))
            )
    labelled = {
        lead: max(born, leads[lead] + timedelta(days=float(rng.uniform(1, 60)))) for lead, born in known.items()
    }
    return features_of(leads, known, **columns), labels_of(labelled, {lead: int(rng.random() < 0.3) for lead in leads})


def changed(table: pa.Table, name: str, rows: np.ndarray) -> pa.Table:
    """`table` with other values in `rows` of column `name`."""
    values = table[name].to_pylist()
    for i in np.flatnonzero(rows):
        values[i] = "changed" if isinstance(values[i], str) else 1 - values[i]
    return table.set_column(table.column_names.index(name), name, pa.array(values, table[name].type))


def instants(table: pa.Table, name: str) -> np.ndarray:
    return np.array(table[name].to_pylist(), dtype=object)


def test_nothing_that_may_not_be_known_moves_a_training_row() -> None:
    features, labels = world()
    rows = build(features, labels, REGISTRY)
    assert {TRAIN, HOLDOUT} == set(rows["split"].to_pylist())

    unknown_label = instants(labels, "label_known_at") > PERIOD.end
    unknown_features = instants(features, "known_at") > PERIOD.end
    created = instants(features, "created_at")
    outside = (
        (created < WINDOW.start) | (created >= WINDOW.end) | ((created >= WINDOW.embargo) & (created < WINDOW.holdout))
    )
    assert unknown_label.sum() > 20
    assert unknown_features.sum() > 20
    assert outside.sum() > 20
    everywhere = np.ones(len(created), dtype=bool)

    assert build(features, changed(labels, "label", unknown_label), REGISTRY).equals(rows)
    assert build(features, labels.filter(pa.array(~unknown_label)), REGISTRY).equals(rows)
    for name in REGISTRY.features:
        assert build(changed(features, name, unknown_features | outside), labels, REGISTRY).equals(rows)
    for name in ("duration", "day", "month"):
        assert build(changed(features, name, everywhere), labels, REGISTRY).equals(rows)
    assert build(features.drop_columns(["duration", "day", "month"]), labels, REGISTRY).equals(rows)
    assert build(features.append_column("outcome", pa.array(["converted"] * len(created))), labels, REGISTRY).equals(
        rows
    )
    assert rows.column_names == [*KEYS, *REGISTRY.features]


def test_the_trap_closes_when_something_known_moves() -> None:
    """Without this, the test above could not fail."""
    features, labels = world()
    rows = build(features, labels, REGISTRY)
    used = np.isin(features["lead_id"].to_pylist(), rows["lead_id"].to_pylist())
    for name in REGISTRY.features:
        assert not build(changed(features, name, used), labels, REGISTRY).equals(rows)
    assert not build(features, changed(labels, "label", used), REGISTRY).equals(rows)


def test_each_lead_is_in_one_split_once_and_in_order() -> None:
    features, labels = world()
    rows = build(features, labels, REGISTRY).to_pandas()
    assert rows["lead_id"].is_unique
    assert rows["lead_id"].is_monotonic_increasing
    train, holdout = rows[rows["split"] == TRAIN], rows[rows["split"] == HOLDOUT]
    assert holdout["created_at"].min() - train["created_at"].max() > CONVERSION_WINDOW
    shuffled = np.random.default_rng(1).permutation(features.num_rows)
    assert build(features.take(shuffled), labels.take(shuffled[::-1]), REGISTRY).to_pandas().equals(rows)


def test_every_known_lead_of_the_window_is_there() -> None:
    """The same selection, written as a loop."""
    features, labels = world()
    label_known = dict(zip(labels["lead_id"].to_pylist(), labels["label_known_at"].to_pylist(), strict=True))
    expected = []
    for row in features.select(["lead_id", "created_at", "known_at"]).to_pylist():
        born = row["created_at"]
        split = (
            TRAIN if WINDOW.start <= born < WINDOW.embargo else HOLDOUT if WINDOW.holdout <= born < WINDOW.end else None
        )
        if split and row["known_at"] <= PERIOD.end and label_known[row["lead_id"]] <= PERIOD.end:
            expected.append((row["lead_id"], split))
    rows = build(features, labels, REGISTRY)
    assert list(zip(rows["lead_id"].to_pylist(), rows["split"].to_pylist(), strict=True)) == expected


@pytest.mark.parametrize("name", ["default", 'a"b', "select", "it's", "größe in m²"])
def test_odd_names_of_features(name: str) -> None:
    registry = Registry({name: Column(kind="number", role="feature", why="test")})
    features = features_of({"a": WINDOW.start}, **{name: [7.0]})
    assert build(features, labels_of({"a": WINDOW.embargo}), registry)[name].to_pylist() == [7.0]


def test_no_rows_have_the_schema_of_rows() -> None:
    features, labels = world()
    assert build(features[:0], labels[:0], REGISTRY).schema == build(features, labels, REGISTRY).schema
