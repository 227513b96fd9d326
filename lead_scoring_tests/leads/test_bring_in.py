"""Bringing a period in: exactly once, whoever is killed, whoever else does it, and never past what came before."""

import random
import shutil
import time
from multiprocessing.process import BaseProcess
from pathlib import Path

import pyarrow.compute as pc
import pytest

from lead_scoring_assets.contracts.findings import Finding
from lead_scoring_assets.errors import LakehouseError, LeadScoringError
from lead_scoring_assets.lakehouse.query import query
from lead_scoring_assets.leads import quality
from lead_scoring_tests.leads import bringing_in
from lead_scoring_tests.leads.bringing_in import KEYS, bring, contents, land, make, open_home
from lead_scoring_tests.processes import PROCESSES

# A fault that one kill in five would show stays hidden in 7 runs of 100; after each write it is looked for besides.
KILLS = 12


def start(home: Path) -> BaseProcess:
    process = PROCESSES.Process(target=bringing_in.run, args=(str(home),))
    process.start()
    return process


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = make(tmp_path_factory.mktemp("undisturbed") / "home")
    bring(home)
    return home


def findings(home: Path, key: str) -> dict[str, Finding]:
    """Every contract check of the raw tables."""
    installation = open_home(home)
    judges = (
        quality.rows_accounted_for,
        quality.lead_versions_whole,
        quality.activity_versions_whole,
        quality.outcome_versions_whole,
        quality.leads_keep_contract,
        quality.activities_keep_contract,
        quality.outcomes_keep_contract,
    )
    period = installation.settings.calendar.period(key)
    return {judge.__name__: judge(installation, period) for judge in judges}


def assert_whole(home: Path) -> None:
    for key in KEYS:
        assert {name: found.sentence for name, found in findings(home, key).items() if not found.passed} == {}


def contents_when_new(home: Path, other: Path) -> dict[str, str]:
    """Content of every table of a new home in which the same files have landed."""
    shutil.copytree(home / "data" / "landing", other / "data" / "landing")
    shutil.copy(home / "lead_scoring.yaml", other)
    bring(other)
    return contents(other)


def test_every_kind_of_statement_occurs_and_every_row_is_accounted_for(undisturbed: Path) -> None:
    lakehouse = open_home(undisturbed).lakehouse
    files = lakehouse.read("arrived_files")
    for name in ("accepted", "rejected", "duplicates"):
        assert pc.sum(files[name]).as_py() > 0
    for table in ("raw_leads", "raw_activities", "raw_outcomes"):
        assert pc.max(lakehouse.read(table)["version"]).as_py() >= 2
    reasons = " ".join(lakehouse.read("rejected_rows")["reason"].to_pylist())
    for told in ("expected at least 15", "contradicts what was said first", "contradiction", "expected one of visit"):
        assert told in reasons
    assert_whole(undisturbed)
    assert not (undisturbed / "data" / "tmp" / "ingestion").exists()


def test_bringing_in_again_changes_nothing(undisturbed: Path) -> None:
    before = contents(undisturbed)
    first, *_ = bring(undisturbed)
    assert contents(undisturbed) == before
    assert first.later == [KEYS[1], KEYS[2]]
    assert_whole(undisturbed)


@pytest.mark.slow
def test_killed_again_and_again_and_then_completed_gives_the_same_tables(undisturbed: Path, tmp_path: Path) -> None:
    home = make(tmp_path / "home")
    begun = time.monotonic()
    whole = start(make(tmp_path / "timed"))
    whole.join()
    assert whole.exitcode == 0
    usual = time.monotonic() - begun
    moments, kills = random.Random(2024), 0
    while kills < KILLS:
        victim = start(home)
        victim.join(moments.uniform(0.02, 1.0) * usual)
        if victim.is_alive():
            victim.kill()
            kills += 1
        victim.join()
        assert victim.exitcode in (0, -9)
    bring(home)
    assert contents(home) == contents(undisturbed)
    assert_whole(home)
    assert not (home / "data" / "tmp" / "ingestion").exists()


def test_a_period_whose_writing_was_cut_short_does_not_count_as_ingested(
    undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After every single write: the next period refuses, until this one has been done again."""
    home = make(tmp_path / "home")
    bring(home, KEYS[0])
    tables = ["raw_leads", "raw_activities", "raw_outcomes", "rejected_rows", "arrived_files"]
    from lead_scoring_assets.lakehouse.tables import Lakehouse

    real = Lakehouse.replace_periods
    for broken in tables:

        def fail_there(self: Lakehouse, table: str, periods: list[str], rows, at: str = broken):
            if table == at and rows.num_rows:
                raise KeyboardInterrupt
            return real(self, table, periods, rows)

        monkeypatch.setattr(Lakehouse, "replace_periods", fail_there)
        with pytest.raises(KeyboardInterrupt):
            bring(home, KEYS[0])
        monkeypatch.setattr(Lakehouse, "replace_periods", real)
        with pytest.raises(LeadScoringError, match=rf"{KEYS[0]}: .* not ingested"):
            bring(home, KEYS[1])
    bring(home)
    assert contents(home) == contents(undisturbed)


def test_two_processes_at_once_take_turns(undisturbed: Path, tmp_path: Path) -> None:
    home = make(tmp_path / "home")
    both = [start(home) for _ in range(2)]
    for process in both:
        process.join()
    assert [process.exitcode for process in both] == [0, 0]
    assert contents(home) == contents(undisturbed)
    assert_whole(home)


def test_outcomes_that_came_before_their_leads_end_in_the_same_tables(undisturbed: Path) -> None:
    lakehouse = open_home(undisturbed).lakehouse
    leads = {row["lead_id"]: row["period"] for row in lakehouse.read("raw_leads").to_pylist() if row["version"] == 1}
    outcomes = lakehouse.read("raw_outcomes").to_pylist()
    assert any(leads[row["lead_id"]] > row["period"] for row in outcomes if row["lead_id"] in leads)


# --- What came before


def test_a_period_is_refused_while_an_earlier_one_is_not_ingested(tmp_path: Path) -> None:
    home = make(tmp_path / "home")
    with pytest.raises(LeadScoringError, match=f"{KEYS[1]} cannot be ingested") as refused:
        bring(home, KEYS[1])
    for told in (f"{KEYS[0]}: ", "leads/2024-05/a.csv", "not ingested", "lead-scoring materialize", "move the files"):
        assert told in str(refused.value)
    assert open_home(home).lakehouse.names() == []
    bring(home, *KEYS[:2])


@pytest.mark.parametrize("is_same_size", [True, False])
def test_a_file_that_changed_after_it_was_ingested_is_noticed(is_same_size: bool, tmp_path: Path) -> None:
    home = make(tmp_path / "home")
    bring(home, *KEYS[:2])
    path = home / "data" / "landing" / "leads" / KEYS[0] / "a.csv"
    text = path.read_text()
    path.write_text(text.replace(",20\n", ",99\n") if is_same_size else text + "\n")
    with pytest.raises(LeadScoringError, match=f"{KEYS[0]}: leads/{KEYS[0]}/a.csv changed since"):
        bring(home, KEYS[2])
    bring(home)
    assert contents(home) == contents_when_new(home, tmp_path / "with the changed file")
    assert_whole(home)


def test_a_file_that_came_late_into_an_earlier_folder_is_noticed(tmp_path: Path) -> None:
    home = make(tmp_path / "home")
    bring(home, *KEYS[:2])
    land(home, "outcomes", KEYS[1], "late.csv", "lead_id,outcome,outcome_at", ["x,lost,2024-06-02"])
    with pytest.raises(LeadScoringError, match=f"{KEYS[1]}: outcomes/{KEYS[1]}/late.csv not ingested"):
        bring(home, KEYS[2])
    bring(home)
    assert contents(home) == contents_when_new(home, tmp_path / "with the late file")
    assert_whole(home)


def test_files_that_were_taken_away_and_folders_of_no_period_are_no_hindrance(
    undisturbed: Path, tmp_path: Path
) -> None:
    home = make(tmp_path / "home")
    bring(home, *KEYS[:2])
    (home / "data" / "landing" / "leads" / KEYS[0] / "a.csv").unlink()
    land(home, "leads", "2024-99", "a.csv", "lead_id", [])
    land(home, "leads", "2023-01", "a.csv", "lead_id", [])
    bring(home, KEYS[2])
    assert contents(home) == contents(undisturbed)
    assert_whole(home)


def test_a_damaged_memory_of_checksums_is_passed_over(undisturbed: Path, tmp_path: Path) -> None:
    home = make(tmp_path / "home")
    bring(home, *KEYS[:2])
    for content in (b"", b"[]", b"\xff", b'{"leads/2024-05/a.csv": "x"}'):
        (home / "data" / "tmp" / "landed_checksums.json").write_bytes(content)
        bring(home, KEYS[2])
        assert contents(home) == contents(undisturbed)


def test_a_column_that_is_new_in_the_settings_begins_where_it_begins(tmp_path: Path) -> None:
    """Nothing has to start again: what came before lacks the column, and says something new when it comes with it."""
    home = make(tmp_path / "home")
    bring(home, KEYS[0])
    settings = home / "lead_scoring.yaml"
    added = "  colour: {kind: text, role: context, required: false, why: w}\nactivities:"
    settings.write_text(settings.read_text().replace("activities:", added))
    again = [f"{KEYS[0]}-{i},{KEYS[0]}-0{1 + i % 9}T08:00:00+04:00,{20 + i},{'red' if i else ''}" for i in range(3)]
    land(home, "leads", KEYS[1], "b.csv", "lead_id,created_at,age,colour", again)
    bring(home, KEYS[1])
    assert_whole(home)
    ids = [f"{KEYS[0]}-{i}" for i in range(3)]
    rows = query(
        "SELECT lead_id, colour FROM leads WHERE lead_id IN ($1, $2, $3) QUALIFY row_number() OVER "
        "(PARTITION BY lead_id ORDER BY version DESC) = 1 ORDER BY 1",
        {"leads": open_home(home).lakehouse.scan("raw_leads")},
        ids,
    )
    # The first one said nothing new.
    assert rows["colour"].to_pylist() == [None, "red", "red"]


def test_a_column_that_is_of_another_kind_now_is_refused_by_name(tmp_path: Path) -> None:
    home = make(tmp_path / "home")
    bring(home, KEYS[0])
    settings = home / "lead_scoring.yaml"
    text = settings.read_text()
    settings.write_text(text.replace("age: {kind: integer, role: feature,", "age: {kind: number, role: feature,"))
    with pytest.raises(LakehouseError, match=r"raw_leads.*age"):
        bring(home, KEYS[1])
