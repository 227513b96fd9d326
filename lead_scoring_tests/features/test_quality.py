"""The checks of the features: quiet on what the plan builds, and each planted fault is told with its numbers."""

from pathlib import Path

import pyarrow as pa
import pytest

from lead_scoring_assets.features import quality
from lead_scoring_assets.features.plan import build_features
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.settings import Home
from lead_scoring_tests.features.worlds import DAY, KNOWN, lead, leads_table

SETTINGS = """
name: checked
periods: {cadence: month, start: 2024-04-01}
columns: {size: {kind: number, role: feature, missing: [-1], why: test}}
"""
JUDGEMENTS = [quality.every_lead_has_features, quality.no_forbidden_columns, quality.no_empty_features]


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    """Two leads of June, one of them told twice; and one of July."""
    (tmp_path / "lead_scoring.yaml").write_text(SETTINGS, encoding="utf-8")
    opened = Installation(Home(tmp_path))
    rows = [lead("a"), lead("a", KNOWN + DAY, version=2), lead("b", size=-1.0), lead("a", KNOWN + 20 * DAY, version=3)]
    opened.lakehouse.replace_periods("raw_leads", ["2024-06", "2024-07"], leads_table(rows))
    built = build_features(leads_table(rows), opened.settings.registry)
    opened.lakehouse.replace_periods("lead_features", ["2024-06", "2024-07"], built)
    return opened


def june(installation: Installation) -> pa.Table:
    return installation.lakehouse.read("lead_features", periods=["2024-06"])


def test_what_the_plan_builds_passes(installation: Installation) -> None:
    period = installation.settings.calendar.period("2024-06")
    assert [judge(installation, period).passed for judge in JUDGEMENTS] == [True, True, True]
    assert quality.every_lead_has_features(installation, period).numbers == {"leads": 2}
    assert quality.no_empty_features(installation, period).numbers == {"size": 0.5}


@pytest.mark.parametrize(
    ("plant", "told"),
    [
        (lambda rows: rows[:1], "of 2 leads 1 have no features; 0 rows have no lead, 0 leads"),
        (lambda rows: rows[:0], "of 2 leads 2 have no features"),
        (lambda rows: pa.concat_tables([rows, rows[:1]]), "0 rows have no lead, 1 leads have more than one row"),
        (
            lambda rows: pa.concat_tables([rows, rows[:1].set_column(1, "lead_id", pa.array(["z"]))]),
            "of 2 leads 0 have no features; 1 rows have no lead",
        ),
    ],
)
def test_a_missing_a_strange_and_a_repeated_row_are_counted(
    installation: Installation, plant: object, told: str
) -> None:
    assert june(installation).column_names[1] == "lead_id"
    installation.lakehouse.replace_periods("lead_features", ["2024-06"], plant(june(installation)))  # type: ignore[operator]
    finding = quality.every_lead_has_features(installation, installation.settings.calendar.period("2024-06"))
    assert not finding.passed
    assert told in finding.sentence
    # July is another slice.
    assert quality.every_lead_has_features(installation, installation.settings.calendar.period("2024-07")).passed


def test_a_column_that_is_no_feature_fails_only_where_it_holds_something(tmp_path: Path) -> None:
    (tmp_path / "lead_scoring.yaml").write_text(SETTINGS, encoding="utf-8")
    opened = Installation(Home(tmp_path))
    built = build_features(leads_table([lead("a"), lead("b", KNOWN + 20 * DAY)]), opened.settings.registry)
    built = built.append_column('out"come', pa.array(["converted", None]))
    opened.lakehouse.replace_periods("lead_features", ["2024-06", "2024-07"], built)
    calendar = opened.settings.calendar
    finding = quality.no_forbidden_columns(opened, calendar.period("2024-06"))
    assert not finding.passed
    assert 'out"come' in finding.sentence
    # Left from before a change of the settings, and empty since.
    assert quality.no_forbidden_columns(opened, calendar.period("2024-07")).passed


def test_a_feature_that_is_nearly_always_empty_is_named(installation: Installation) -> None:
    rows = june(installation)
    emptied = rows.set_column(rows.column_names.index("size"), "size", pa.nulls(rows.num_rows, pa.float64()))
    installation.lakehouse.replace_periods("lead_features", ["2024-06"], emptied)
    period = installation.settings.calendar.period("2024-06")
    finding = quality.no_empty_features(installation, period)
    assert (finding.passed, finding.sentence) == (False, "size 100% empty")
    installation.lakehouse.replace_periods("lead_features", ["2024-06"], rows[:0])
    assert quality.no_empty_features(installation, period).sentence == "no leads in this period"
