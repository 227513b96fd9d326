"""Planted violations turn the gate red: the exit code that `.ci/run` stands on."""

import shutil
from pathlib import Path

import deltalake
import pyarrow as pa
import pytest

from lead_scoring_assets.installation import Installation
from lead_scoring_assets.promotion.deployments import Deployments
from lead_scoring_assets.settings import Home
from lead_scoring_tests.conftest import MakeHome, RunVerb

pytestmark = pytest.mark.slow(minutes=3)

PERIOD = "2008-09"


@pytest.fixture
def home(short_home: Path, tmp_path: Path) -> Path:
    """A copy to spoil. Model files keep their place: the registry knows them by their full path."""
    copy = tmp_path / "spoiled"
    shutil.copytree(short_home, copy, ignore=shutil.ignore_patterns("dagster"))
    return copy


def spoil(home: Path, table: str, change: str, period: str = PERIOD) -> None:
    """Rewrite one period of a table behind the system's back, by a DuckDB expression over `rows`."""
    from lead_scoring_assets.lakehouse.query import query

    lakehouse = Installation(Home(home)).lakehouse
    rows = lakehouse.read(table, periods=[period])
    spoiled = query(change, {"rows": rows}).cast(rows.schema)
    deltalake.write_deltalake(
        lakehouse.path(table), spoiled, mode="overwrite", predicate=f"period = '{period}'", partition_by=["period"]
    )


def test_the_unspoiled_tables_pass(home: Path, run_verb: RunVerb) -> None:
    done = run_verb(home, "check", "--from", "2008-08")
    assert "2 of 2 periods done" in done.stderr
    assert " 0 failed" in done.stderr


PLANTED = [
    ("raw_leads", "SELECT * REPLACE (-5 AS age) FROM rows LIMIT 100", "2008-08", "raw_leads:leads_keep_contract"),
    ("raw_leads", "FROM rows", "2008-08", "arrived_files:rows_accounted_for"),
    ("raw_leads", "FROM rows", "2008-08", "lead_features:every_lead_has_features"),
    ("raw_outcomes", "SELECT * REPLACE ('maybe' AS outcome) FROM rows", PERIOD, "raw_outcomes:outcomes_keep_contract"),
    (
        "ground_truth_labels",
        "SELECT * REPLACE (created_at AS label_known_at) FROM rows UNION ALL FROM rows",
        PERIOD,
        "ground_truth_labels:no_label_before_its_time",
    ),
    ("ground_truth_labels", "FROM rows", PERIOD, "ground_truth_labels:one_label_per_lead"),
    (
        "training_set",
        "SELECT * REPLACE ('train' AS split) FROM rows UNION ALL FROM rows",
        PERIOD,
        "training_set:nothing_leaks",
    ),
    ("trained_model", "SELECT * REPLACE ('0' AS fingerprint) FROM rows", PERIOD, "trained_model:model_or_reason"),
    ("promotion_decision", "SELECT * REPLACE ('' AS reason) FROM rows", PERIOD, "promotion_decision:decision_recorded"),
]


def test_every_spoiled_table_and_a_changed_model_file_stop_the_gate_and_are_named(
    home: Path, run_verb: RunVerb
) -> None:
    for table, change, period, _ in PLANTED:
        spoil(home, table, change, period)
    # Another model than that of the spoiled row: August's.
    [model] = (home / "data" / "mlflow").rglob("*/model.ubj")
    content = bytearray(model.read_bytes())
    content[len(content) // 2] ^= 1
    model.write_bytes(bytes(content))
    done = run_verb(home, "check", "--from", "2008-08", check=False)
    assert done.returncode == 1, done.stderr
    stopped = [line for line in done.stderr.splitlines() if line.startswith("stop: check")]
    for _, _, _, check in PLANTED:
        assert any(f"check {check} failed: " in line for line in stopped), (check, stopped)
    [told] = [line for line in stopped if "trained_model:model_or_reason" in line]
    assert "fingerprint differs" in told
    assert "was changed since training" in told


def test_a_blocking_check_fails_the_main_job_and_keeps_what_comes_after_from_running(
    home: Path, run_verb: RunVerb
) -> None:
    """The verb that `.ci/run` stands on. August was spoiled after it was checked: it holds labels that are September's."""
    lakehouse = Installation(Home(home)).lakehouse
    later = lakehouse.read("ground_truth_labels", periods=[PERIOD])
    august = lakehouse.read("ground_truth_labels", periods=["2008-08"])
    stolen = later.set_column(0, "period", pa.array(["2008-08"] * later.num_rows))
    lakehouse.replace_periods("ground_truth_labels", ["2008-08"], pa.concat_tables([august, stolen]))
    before = lakehouse.version("training_set")
    done = run_verb(home, "materialize", "--from", PERIOD, "--through", PERIOD, "--again", check=False)
    assert done.returncode == 1, done.stderr
    assert "stop: check ground_truth_labels:one_label_per_lead failed" in done.stderr
    assert lakehouse.version("training_set") == before


def test_a_step_that_fails_fails_the_main_job_in_one_sentence(home: Path, run_verb: RunVerb) -> None:
    settings = home / "lead_scoring.yaml"
    settings.write_text(settings.read_text().replace("max_depth: 4", "max_depth: -4"))
    champion = Deployments(Installation(Home(home)).lakehouse).newest()
    done = run_verb(home, "materialize", "--from", PERIOD, "--through", PERIOD, "--again", check=False)
    assert done.returncode == 1, done.stderr
    assert "stop: 2008-09: trained_model: " in done.stderr
    assert "0 of 1 periods done" in done.stderr
    assert "Check training.parameters" in done.stderr
    assert "Traceback" not in done.stderr
    assert Deployments(Installation(Home(home)).lakehouse).newest() == champion


def test_a_narrowed_contract_is_noticed_and_done_again_accounts_for_every_row(home: Path, run_verb: RunVerb) -> None:
    settings = home / "lead_scoring.yaml"
    settings.write_text(settings.read_text().replace("minimum: 15, maximum: 110", "minimum: 15, maximum: 30"))
    done = run_verb(home, "check", "--through", "2008-05", check=False)
    assert done.returncode == 1
    assert "expected at most 30" in done.stderr
    run_verb(home, "materialize", "--through", "2008-05", "--again")
    files = Installation(Home(home)).lakehouse.read("arrived_files", periods=["2008-05"]).to_pandas()
    rejected = files.groupby("entity")["rejected"].sum()
    assert rejected["leads"] > 1_000
    # Outcomes whose leads are rejected stay, because a lead may come later; a check counts them.
    assert rejected["outcomes"] == 0
    assert (files["rows_in"] == files["accepted"] + files["rejected"] + files["duplicates"]).all()


def test_bad_files_are_told_and_the_rest_of_the_month_stays(make_landed_home: MakeHome, run_verb: RunVerb) -> None:
    home = make_landed_home("bad files")
    landed = home / "data" / "landing" / "leads" / "2008-05"
    [good] = list(landed.glob("*.csv"))
    lines = good.read_text().splitlines(keepends=True)
    (landed / "empty.csv").write_text("")
    (landed / "semicolons.csv").write_text("".join(lines[:50]).replace(",", ";"))
    # Every tenth row damaged, the last cut off in the middle, under lead ids of their own.
    mine = [line.replace("bank-", "mine-", 1) for line in lines[1:501]]
    damaged = [line.replace(",2008-05", ",2008-99", 1) if n % 10 == 0 else line for n, line in enumerate(mine)]
    (landed / "damaged.csv").write_text(lines[0] + "".join(damaged)[:-40])
    done = run_verb(home, "materialize", "--through", "2008-05")
    assert "0 failed" in done.stderr
    lakehouse = Installation(Home(home)).lakehouse
    arrived = lakehouse.read("arrived_files").to_pylist()
    files = {Path(row["source_file"]).name: row for row in arrived if row["entity"] == "leads"}
    assert (files["damaged.csv"]["rows_in"], files["damaged.csv"]["rejected"]) == (500, 51)
    assert (files["semicolons.csv"]["rows_in"], files["semicolons.csv"]["rejected"]) == (49, 49)
    assert "found a semicolon" in files["semicolons.csv"]["problem"]
    assert "is empty" in files["empty.csv"]["problem"]
    assert files[good.name]["accepted"] == len(lines) - 1
    rejected = lakehouse.read("rejected_rows").to_pylist()
    assert {row["source_line"] for row in rejected if "damaged" in row["source_file"]} >= {2, 12, 22}
    accepted = lakehouse.read("raw_leads").num_rows
    assert accepted == len(lines) - 1 + 449


def test_settings_that_cannot_be_used_are_named(make_home: MakeHome, run_verb: RunVerb) -> None:
    home = make_home("bad settings")
    settings = home / "lead_scoring.yaml"
    settings.write_text(settings.read_text().replace("psi_drift: 0.25", "psi_drift: lots"))
    done = run_verb(home, "status", check=False)
    assert done.returncode == 2
    assert "drift.psi_drift" in done.stderr
    assert "'lots'" in done.stderr
    assert "Traceback" not in done.stderr
