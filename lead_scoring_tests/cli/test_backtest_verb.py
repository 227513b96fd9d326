"""backtest as a person types it: formats, a picture, refusals."""

import contextlib
import csv
import io
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from lead_scoring_assets.cli import main
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.lakehouse.content_hash import content_hash
from lead_scoring_assets.settings import SETTINGS_FILE, Home
from lead_scoring_tests.backtesting.worlds import SETTINGS, world


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    root = tmp_path_factory.mktemp("backtest")
    (root / SETTINGS_FILE).write_text(SETTINGS, encoding="utf-8")
    found, made = Installation(Home(root)), world(months=10, turns_in=5)
    for table, rows in (("lead_features", made.features), ("ground_truth_labels", made.labels)):
        found.lakehouse.replace_periods(table, sorted(set(rows["period"].to_pylist())), rows)
    return found


@pytest.fixture(autouse=True)
def _at_home(house: Installation, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("LEAD_SCORING_HOME", "DAGSTER_HOME"):
        monkeypatch.setenv(name, str(house.home.root))


def run(*words: str) -> Result:
    """A verb goes to the installation's folder; the next one is typed where this one was."""
    with contextlib.chdir(Path.cwd()):
        return CliRunner().invoke(main, ["backtest", *words])


def test_the_table_stands_on_stdout_and_the_progress_does_not(house: Installation) -> None:
    before = {name: content_hash(house.lakehouse.scan(name)) for name in house.lakehouse.names()}
    told = run("--window", "2")
    assert told.exit_code == 0, told.output
    assert told.stdout.splitlines()[1].split() == ["frozen", "expanding", "sliding"]
    assert "minus frozen" in told.stdout
    assert "on those of the last 2 months" in told.stdout
    assert "100%" in told.stderr
    assert "100%" not in told.stdout
    assert run("--window", "2").stdout == told.stdout
    # Nothing is written but what was asked for.
    assert {name: content_hash(house.lakehouse.scan(name)) for name in house.lakehouse.names()} == before
    assert not house.home.reports.exists()


def test_csv_and_json_say_the_same_and_leave_out_what_is_not_known() -> None:
    words = ("--policy", "sliding", "--policy", "frozen", "--from", "2008-07", "--through", "2008-08")
    rows = list(csv.DictReader(io.StringIO(run(*words, "--format", "csv").stdout)))
    lines = [json.loads(line) for line in run(*words, "--format", "json").stdout.splitlines()]
    assert [{name: "" if v is None else str(v) for name, v in line.items()} for line in lines] == rows
    assert {row["policy"] for row in rows} == {"frozen", "sliding"}
    assert {row["period"] for row in rows} == {"all", "2008-07", "2008-08"}
    differs = {(row["policy"], row["figure"]) for row in rows if row["difference"]}
    assert differs == {("sliding", figure) for figure in ("auc_within_periods", "auc", "brier", "captured_at_capacity")}


def test_a_search_an_algorithm_and_a_picture(house: Installation) -> None:
    plain = run("--policy", "frozen", "--format", "csv").stdout
    assert run("--policy", "frozen", "--algorithm", "xgboost", "--format", "csv").stdout != plain
    told = run("--policy", "frozen", "--tune", "--plot", "--format", "csv")
    assert told.exit_code == 0, told.output
    picture = house.home.reports / "backtest.svg"
    assert str(picture) in told.stderr
    assert picture.read_bytes().startswith(b"<svg ")
    picture.unlink()
    picture.parent.rmdir()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--from", "May"], "period 'May' is not one of this system's periods"),
        (["--through", "2012-01"], "no backtest over 2008-02 to 2012-01"),
        (["--from", "2008-02", "--through", "2008-02"], "of 60 training leads"),
        (["--window", "0"], "--window"),
        (["--policy", "thawed"], "thawed"),
        (["--algorithm", "oracle"], "oracle"),
    ],
)
def test_what_cannot_be_done_is_said(words: list[str], told: str) -> None:
    found = run(*words)
    assert found.exit_code == 2
    assert told in found.output
    assert "Traceback" not in found.output


def test_before_anything_was_materialised_it_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / SETTINGS_FILE).write_text(SETTINGS, encoding="utf-8")
    for name in ("LEAD_SCORING_HOME", "DAGSTER_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    found = run()
    assert found.exit_code == 2
    assert "lead-scoring materialize" in found.output
