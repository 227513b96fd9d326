"""What the checks of the raw tables say when a fault is planted behind ingestion's back."""

import shutil
from collections.abc import Callable
from pathlib import Path

import deltalake
import pytest

from lead_scoring_assets.contracts.findings import Finding
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.lakehouse.query import query
from lead_scoring_assets.leads import quality
from lead_scoring_assets.periods import Period
from lead_scoring_tests.leads.bringing_in import KEYS, bring, make, open_home

Judge = Callable[[Installation, Period], Finding]
JUNE = KEYS[1]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = make(tmp_path_factory.mktemp("sound") / "home")
    bring(home)
    return home


@pytest.fixture
def home(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "spoiled"))


def judged(home: Path, judge: Judge) -> Finding:
    installation = open_home(home)
    return judge(installation, installation.settings.calendar.period(JUNE))


def spoil(home: Path, table: str, change: str) -> None:
    """Rewrite June by a DuckDB expression over `rows`."""
    lakehouse = open_home(home).lakehouse
    rows = lakehouse.read(table, periods=[JUNE])
    deltalake.write_deltalake(
        lakehouse.path(table),
        query(change, {"rows": rows}).cast(rows.schema),
        mode="overwrite",
        predicate=f"period = '{JUNE}'",
        partition_by=["period"],
    )


@pytest.mark.parametrize(
    ("table", "change", "judge", "told"),
    [
        ("raw_leads", "FROM rows LIMIT 3", quality.rows_accounted_for, "leads/2024-06/a.csv: 67 rows in, 1"),
        ("raw_activities", "FROM rows WHERE false", quality.rows_accounted_for, "activities/2024-06/a.csv"),
        ("arrived_files", "FROM rows WHERE entity = 'leads'", quality.rows_accounted_for, "0 rows in"),
        ("raw_leads", "FROM rows UNION ALL FROM rows", quality.lead_versions_whole, "lead_id in raw_leads"),
        ("raw_leads", "SELECT * REPLACE (version + 1 AS version) FROM rows", quality.lead_versions_whole, "lack one"),
        ("raw_activities", "SELECT * REPLACE (2 AS version) FROM rows", quality.activity_versions_whole, "activity_id"),
        ("raw_outcomes", "SELECT * REPLACE (0 AS version) FROM rows", quality.outcome_versions_whole, "raw_outcomes"),
        ("raw_leads", "SELECT * REPLACE (-5 AS age) FROM rows", quality.leads_keep_contract, "at least 15, found '-5'"),
        ("raw_leads", "SELECT * REPLACE (NULL AS known_at) FROM rows", quality.leads_keep_contract, "known_at empty"),
        (
            "raw_leads",
            "SELECT * REPLACE (known_at - INTERVAL 1 MONTH AS known_at) FROM rows",
            quality.leads_keep_contract,
            "outside 2024-06",
        ),
        (
            "raw_activities",
            "SELECT * REPLACE ('' AS lead_id) FROM rows",
            quality.activities_keep_contract,
            "is required",
        ),
        (
            "raw_activities",
            "SELECT * REPLACE ('nan'::DOUBLE AS value) FROM rows",
            quality.activities_keep_contract,
            "value: expected a number, found 'nan'",
        ),
        ("raw_outcomes", "SELECT * REPLACE ('maybe' AS outcome) FROM rows", quality.outcomes_keep_contract, "'maybe'"),
        ("raw_outcomes", "SELECT * REPLACE (1 AS deal_value) FROM rows", quality.outcomes_keep_contract, "currency"),
    ],
)
def test_a_planted_fault_is_named(home: Path, table: str, change: str, judge: Judge, told: str) -> None:
    assert judged(home, judge).passed
    spoil(home, table, change)
    found = judged(home, judge)
    assert not found.passed
    assert told in found.sentence


def test_activities_of_leads_that_never_came_are_counted_with_examples(home: Path) -> None:
    # Activities are of leads 0 to 44, and leads 40 to 44 never came; every third activity was refused as a fax.
    found = judged(home, quality.activities_have_leads)
    assert not found.passed
    assert (
        "3 of 49 activities are of leads that have not arrived (6.1%), such as lead_id 2024-06-41, 2024-06-42"
        in found.sentence
    )
    spoil(home, "raw_activities", "SELECT * REPLACE ('2024-05-1' AS lead_id) FROM rows")
    assert judged(home, quality.activities_have_leads).passed


def test_outcomes_that_do_not_fit_their_leads_are_counted_with_examples(home: Path) -> None:
    found = judged(home, quality.outcomes_fit_their_leads)
    assert not found.passed
    assert found.numbers == {"unknown_lead": 10, "before_lead": 0}
    assert "10 outcomes are of leads that have not arrived, such as lead_id 2024-07-1, " in found.sentence
    spoil(home, "raw_outcomes", "SELECT * REPLACE (outcome_at - INTERVAL 2 YEAR AS outcome_at) FROM rows")
    assert judged(home, quality.outcomes_fit_their_leads).numbers["before_lead"] > 0


def test_conversions_that_are_taken_back_are_counted_with_examples(home: Path) -> None:
    assert judged(home, quality.outcomes_reversed).passed
    lakehouse = open_home(home).lakehouse
    may = lakehouse.read("raw_outcomes", periods=[KEYS[0]])
    converted = query("SELECT * REPLACE ('converted' AS outcome) FROM rows", {"rows": may}).cast(may.schema)
    lakehouse.replace_periods("raw_outcomes", [KEYS[0]], converted)
    spoil(home, "raw_outcomes", "SELECT * REPLACE ('disqualified' AS outcome) FROM rows")
    found = judged(home, quality.outcomes_reversed)
    assert not found.passed
    assert found.numbers == {"reversed": 4}
    assert "such as lead_id 2024-05-0, 2024-05-2, 2024-05-4, 2024-05-6" in found.sentence


def test_many_rejected_rows_and_unreadable_files_are_worth_a_look(home: Path) -> None:
    assert not judged(home, quality.few_rejected).passed
    spoil(home, "arrived_files", "SELECT * REPLACE (0 AS rejected) FROM rows")
    assert judged(home, quality.few_rejected).passed
    assert judged(home, quality.files_readable).passed
    spoil(home, "arrived_files", "SELECT * REPLACE ('is empty' AS problem) FROM rows")
    assert "is empty" in judged(home, quality.files_readable).sentence
