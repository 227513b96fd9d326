"""The doctor at a home: it reads the raw tables as known now and what was refused, and says when there is nothing yet."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
import yaml

from lead_scoring_assets.clock import ReplayClock
from lead_scoring_assets.contracts.columns import Column
from lead_scoring_assets.contracts.validation import LINE, validate
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.onboarding.diagnoses_arrivals import diagnose_arrivals
from lead_scoring_assets.onboarding.doctor import examine_installation
from lead_scoring_assets.settings import Home
from lead_scoring_tests.onboarding.worlds import AS_OF, SETTINGS, World, clean_world, faults, only

REJECTED = pa.schema([(name, pa.string()) for name in ("period", "entity", "source_file", "reason")])
FILES = pa.schema([*((name, pa.string()) for name in ("period", "source_file", "problem")), ("rows_in", pa.int64())])


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    (tmp_path / "lead_scoring.yaml").write_text(yaml.safe_dump({**SETTINGS, "clock": "replay"}), encoding="utf-8")
    home = Home(tmp_path)
    ReplayClock(home.clock_file).move_to(AS_OF)
    return Installation(home)


def ingest(installation: Installation, world: World) -> None:
    """The world's tables as ingestion leaves them: by the month in which a row became known, with versions."""
    for table, frame in (("leads", world.leads), ("outcomes", world.outcomes), ("activities", world.activities)):
        rows = frame.assign(period=frame["known_at"].dt.strftime("%Y-%m"), version=1)
        for period, part in rows.groupby("period"):
            arrow = pa.Table.from_pandas(part, preserve_index=False)
            installation.lakehouse.replace_periods(f"raw_{table}", [str(period)], arrow)


def refused(
    *reasons: str, rows_in: int = 1000, problem: str | None = None, entity: str = "leads"
) -> tuple[pa.Table, pa.Table]:
    rejected = [{"period": "2024-01", "entity": entity, "source_file": "f", "reason": reason} for reason in reasons]
    files = [{"period": "2024-01", "source_file": "leads/2024-01/a.csv", "rows_in": rows_in, "problem": problem}]
    return pa.Table.from_pylist(rejected, REJECTED), pa.Table.from_pylist(files, FILES)


def test_before_anything_was_ingested_it_says_what_to_do_first(installation: Installation) -> None:
    (told,) = examine_installation(installation)
    assert (told.severity, told.name) == ("problem", "no tables")
    assert told.remedy.startswith("materialise arrivals first: `lead-scoring materialize`")


def test_a_home_is_examined_as_its_tables_are(installation: Installation) -> None:
    world = clean_world(11, 300, months=3)
    started = pd.Timestamp("2024-01-01", tz="UTC")
    ingest(installation, world)
    rejected, files = refused()
    installation.lakehouse.replace_periods("rejected_rows", ["2024-01"], rejected)
    installation.lakehouse.replace_periods("arrived_files", ["2024-01"], files)
    found = examine_installation(installation)
    told = {each.name: each for each in found}
    plain = {each.name: each for each in world.plant(settings=installation.settings).examine()}
    assert {name: told[name] for name in plain} == plain
    assert set(told) - set(plain) == {"rejected rows", "unseen category in rejected rows", "unreadable file"}
    assert world.leads["known_at"].min() > started


def test_the_clock_of_the_home_says_what_is_known(installation: Installation, tmp_path: Path) -> None:
    world = clean_world(11, 300, months=3)
    ingest(installation, world)
    installation.home.clock_file.unlink()
    ReplayClock(installation.home.clock_file).move_to(datetime(2024, 2, 1, tzinfo=UTC))
    earlier = Installation(installation.home)
    rate = next(each for each in examine_installation(earlier) if each.name == "conversion rate")
    known = int((world.leads["known_at"] <= pd.Timestamp("2024-02-01", tz="UTC")).sum())
    assert rate.numbers["matured"] + rate.numbers["immature"] == known


def test_rejected_rows_are_told_by_their_most_frequent_reasons() -> None:
    several = "age: expected at most 110, found '998'; job: is required and empty"
    reasons = ["age: expected at most 110, found '999'"] * 30 + [several] * 5
    told = only(diagnose_arrivals(*refused(*reasons)), "rejected rows")
    assert told.severity == "warning"
    assert told.sentence.startswith(
        "35 of 1,000 rows (3.5%) were rejected, most of all 35 × leads.age: expected at most 110; 5 × leads.job: is required"
    )
    assert only(diagnose_arrivals(*refused(*reasons, rows_in=100)), "rejected rows").severity == "problem"
    assert faults(diagnose_arrivals(*refused(*reasons, rows_in=35_000))) == []


@pytest.mark.parametrize("word", ["clerk", "it's", 'say "hi"', "a, found b", "größe"])
def test_categories_that_nobody_declared_are_named_with_what_was_found(word: str) -> None:
    """On the contract's own sentences: whoever changes those changes this."""
    job = Column(kind="category", role="feature", categories=("x", "y"), why="w")
    rows = pa.table({LINE: [1, 2], "job": [word, word]})
    reasons = validate(rows, {"job": job}).reasons["reason"].to_pylist()
    assert len(reasons) == 2
    told = only(diagnose_arrivals(*refused(*reasons)), "unseen category in rejected rows")
    assert told.subject == "raw_leads.job"
    assert repr(word)[1:-1] in told.sentence.replace("\\\\", "\\")
    assert told.numbers == {"rows": 2}


def test_a_file_that_could_not_be_read_is_named() -> None:
    told = only(diagnose_arrivals(*refused(problem="no header")), "unreadable file")
    assert told.sentence == "1 files could not be read, first leads/2024-01/a.csv: no header"
    assert told.severity == "problem"


def test_nothing_refused_is_well(installation: Installation) -> None:
    nothing: Any = (REJECTED.empty_table(), FILES.empty_table())
    assert faults(diagnose_arrivals(*nothing)) == []
