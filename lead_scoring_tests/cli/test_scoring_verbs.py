"""worklist and score as a person types them: formats, files, reps, refusals."""

import contextlib
import csv
import io
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from lead_scoring_assets.cli import main
from lead_scoring_assets.lakehouse.content_hash import content_hash
from lead_scoring_assets.predictions.period_scores import NAMED_SCHEMA, score_live
from lead_scoring_tests.conftest import MakeHome
from lead_scoring_tests.predictions.conftest import LEADS, World, build

AUGUST = "2008-08"
FORMULA = "=2+5"


@pytest.fixture(scope="module")
def world(make_home: MakeHome) -> World:
    """August is scored, and its best lead has a formula for a name."""
    world = build(make_home, "verbs")
    scores = score_live(world.house, world.home.settings.calendar.period(AUGUST))
    assert scores is not None
    best = scores["lead_id"][0].as_py()
    for table, rows in (("lead_scores", scores), ("lead_features", world.house.lakehouse.read("lead_features"))):
        rows = rows.filter(pa.compute.equal(rows["period"], AUGUST))
        renamed = [FORMULA if lead == best else lead for lead in rows["lead_id"].to_pylist()]
        place = rows.column_names.index("lead_id")
        world.house.lakehouse.replace_periods(table, [AUGUST], rows.set_column(place, "lead_id", pa.array(renamed)))
    return world


@pytest.fixture
def home(world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The folder that a person is in; the installation is elsewhere."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LEAD_SCORING_HOME", str(world.home.root))
    monkeypatch.setenv("DAGSTER_HOME", str(world.home.root))
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path


def run(*words: str) -> Result:
    """A verb goes to the installation's folder; the next one is typed where this one was."""
    with contextlib.chdir(Path.cwd()):
        return CliRunner().invoke(main, list(words))


def read(file: Path) -> list[dict[str, object]]:
    if file.suffix == ".parquet":
        found: list[dict[str, object]] = pq.read_table(file).to_pylist()
        return found
    return list(csv.DictReader(io.StringIO(file.read_text(encoding="utf-8"))))


def rows_of(told: Result) -> list[dict[str, str]]:
    assert told.exit_code == 0, told.output
    return list(csv.DictReader(io.StringIO(told.stdout)))


def test_the_worklist_can_be_piped_and_its_formulas_are_harmless(home: Path) -> None:
    rows = rows_of(run("worklist", "--top", "3", "--format", "csv"))
    assert [row["priority"] for row in rows] == ["1", "2", "3"]
    assert rows[0]["lead_id"] == f"'{FORMULA}"
    assert rows[0]["period"] == AUGUST
    assert list(rows[0])[:6] == ["period", "priority", "lead_id", "probability", "bucket", "model_version"]
    assert "odds" in rows[0]["reasons_for"] + rows[0]["reasons_against"]
    assert FORMULA in run("worklist").output


def test_a_list_for_each_rep(home: Path) -> None:
    told = run("worklist", "--capacity", "4", "--reps", "aisha, omar", "--format", "csv")
    rows = rows_of(told)
    assert [(row["rep"], row["place"]) for row in rows] == [
        (rep, str(i)) for rep in ("aisha", "omar") for i in range(1, 5)
    ]
    assert f"{LEADS + 3 - 8} open leads are beyond the capacity" in told.stderr
    (home / "reps.txt").write_text("aisha\n\nomar\n", encoding="utf-8")
    assert rows_of(run("worklist", "--capacity", "4", "--reps", "@reps.txt", "--format", "csv")) == rows
    assert "omar" in run("worklist", "--capacity", "4", "--reps", "aisha,omar").stdout


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["worklist", "--reps", "a"], "--reps needs --capacity"),
        (["worklist", "--capacity", "3"], "Name the reps with --reps"),
        (["worklist", "--capacity", "3", "--reps", "a,a"], "Name each rep once"),
        (["worklist", "--capacity", "3", "--reps", "@nobody.txt"], "nobody.txt cannot be read"),
        (["worklist", "--period", "2008-06"], "no lead of 2008-06 has been scored"),
        (["score", "--model", "12"], "there is no model '12'"),
        (["score", "--period", "2009-05"], "2009-05 has no leads to score"),
        (["score", "--period", "May"], "period 'May' is not one of this system's periods"),
        (["score", "--format", "parquet"], "needs --out"),
        (["score", "--out", "x.csv"], "--out needs --format"),
    ],
)
def test_what_cannot_be_done_is_said(home: Path, words: list[str], told: str) -> None:
    found = run(*words)
    assert found.exit_code == 2
    assert told in found.output
    assert "Traceback" not in found.output


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_scores_of_a_named_model_go_into_a_file_here(home: Path, world: World, form: str) -> None:
    before = content_hash(world.house.lakehouse.scan("lead_scores"))
    for _ in range(2):  # again is the same file
        told = run("score", "--period", "2008-06", "--model", "2", "--format", form, "--out", f"scores.{form}")
        assert told.exit_code == 0, told.output
        assert f"{LEADS} leads of 2008-06 scored by v2" in told.stderr
    found = read(home / f"scores.{form}")
    assert list(found[0]) == NAMED_SCHEMA.names
    assert {str(row["model_version"]) for row in found} == {"2"}
    assert [str(row["priority"]) for row in found] == [str(i + 1) for i in range(LEADS)]
    assert content_hash(world.house.lakehouse.scan("lead_scores")) == before


def test_scores_on_the_screen_and_in_a_pipe(home: Path) -> None:
    told = run("score")
    assert told.exit_code == 0, told.output
    assert "the best 20 are shown" in told.stderr
    assert FORMULA in told.stdout
    rows = rows_of(run("score", "--format", "csv"))
    assert len(rows) == LEADS + 3
    assert rows[0]["lead_id"] == f"'{FORMULA}"


def test_explain_tells_the_odds_and_writes_the_picture(home: Path) -> None:
    told = run("explain", "L0003", "--compare", "--plot", "why.svg")
    assert told.exit_code == 0, told.output
    assert "odds_times" in told.output
    assert "Surrogate: R²" in told.output
    assert (home / "why.svg").read_bytes().startswith(b"<svg ")
    other = run("explain", "L0003", "--plot", "why.png")
    assert other.exit_code == 2
    assert "ends in .svg" in other.output
    assert not (home / "why.png").exists()
    rows = list(csv.DictReader(io.StringIO(run("explain", "L0003", "--format", "csv").stdout)))
    assert {row["feature"] for row in rows} >= {"age", "job"}
    assert "surrogate_log_odds" not in rows[0]
    missing = run("explain", "nobody")
    assert missing.exit_code == 2
    assert "no lead 'nobody'" in missing.output
