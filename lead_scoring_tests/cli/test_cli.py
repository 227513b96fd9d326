"""The verbs at their edges, in process: exit codes, errors for people, output that can be piped."""

from pathlib import Path

import pyarrow as pa
import pytest
from click.testing import CliRunner, Result

from lead_scoring_assets.cli import main
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.settings import Home
from lead_scoring_tests.conftest import MakeHome


@pytest.fixture
def home(make_home: MakeHome, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = make_home("cli")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("LEAD_SCORING_HOME", str(folder))
    monkeypatch.setenv("DAGSTER_HOME", str(folder))
    return folder


def run(*words: str) -> Result:
    return CliRunner().invoke(main, list(words))


def test_without_a_verb_the_help_is_shown() -> None:
    told = run("--help")
    assert told.exit_code == 0
    assert "Example:" in told.output


@pytest.mark.parametrize(
    "words", [["status"], ["arrive"], ["materialize"], ["worklist"], ["score"], ["results"], ["check"]]
)
def test_before_anything_was_prepared_each_verb_says_what_to_do(home: Path, words: list[str]) -> None:
    told = run(*words)
    assert told.exit_code == 2, told.output
    assert "error:" in told.output
    assert "Traceback" not in told.output
    assert "lead-scoring" in told.output


def test_a_folder_that_is_no_installation_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LEAD_SCORING_HOME", "DAGSTER_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    told = run("status")
    assert told.exit_code == 2
    assert "no lead_scoring.yaml" in told.output
    assert "LEAD_SCORING_HOME" in told.output


def test_an_unknown_period_is_named(home: Path) -> None:
    (home / "data").mkdir()
    (home / "data" / "clock.json").write_text('{"now": "2009-01-01T00:00:00+00:00"}')
    told = run("materialize", "--through", "2008-5")
    assert told.exit_code == 2
    assert "'2008-5'" in told.output
    told = run("materialize", "--through", "2009-03")
    assert told.exit_code == 2
    assert "is not over" in told.output
    told = run("materialize", "--from", "2008-01", "--through", "2008-02")
    assert told.exit_code == 2
    assert "period 2008-01 lies before this system's first one, 2008-05" in told.output
    for begin in ("2008-08", "2099-01"):
        told = run("materialize", "--from", begin, "--through", "2008-07")
        assert told.exit_code == 2
        assert f"no period from {begin} to 2008-07: expected the earlier one first" in told.output


def test_rows_with_more_columns_than_a_terminal_can_hold_stand_below_each_other(
    home: Path,
) -> None:
    wide = {f"column_{number}": [f"value {number}", None] for number in range(20)}
    Installation(Home(home)).lakehouse.append("wide", pa.table(wide))
    told = run("query", "SELECT * FROM wide ORDER BY 1").output.splitlines()
    assert [line for line in told if line.startswith("row ")] == ["row 1 of 2", "row 2 of 2"]
    assert [line.strip().split(maxsplit=1) for line in told[1:21]] == [[f"column_{n}", f"value {n}"] for n in range(20)]
    long = ", ".join(f"column_{n} AS a_heading_of_{'x' * 12}_{n}" for n in range(4))
    assert "row 1 of 2" in run("query", f"SELECT {long} FROM wide").output  # no heading is cut
    side_by_side = run("query", "SELECT column_1, column_2 FROM wide").output.splitlines()
    assert all(name in side_by_side[1] for name in ("column_1", "column_2"))
