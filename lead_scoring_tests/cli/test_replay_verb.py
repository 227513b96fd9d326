"""replay as a person types it: the table, JSON, the page, the settings file, refusals; and that Dagster does the same."""

import contextlib
import json
import re
from datetime import date
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from lead_scoring_assets.cli import main, replay_homes
from lead_scoring_assets.cli.replay_words import show_agreement
from lead_scoring_assets.errors import LeadScoringError
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.lakehouse.content_hash import content_hash
from lead_scoring_assets.settings import SETTINGS_FILE, Home, parse_settings
from lead_scoring_assets.setup import simulated_settings
from lead_scoring_assets.timemachine.agreement import compare, replayed_alike
from lead_scoring_assets.timemachine.loop import Step
from lead_scoring_assets.timemachine.recorded import Recorded, read_recorded
from lead_scoring_assets.timemachine.settings_file import with_values
from lead_scoring_tests.conftest import RunVerb, environment
from lead_scoring_tests.timemachine.worlds import SETTINGS, tables
from lead_scoring_tests.verbs import Verbs

WORDS = ("--policy", "quarterly", "--policy", "PSI 0.2")


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    root = tmp_path_factory.mktemp("replay")
    (root / SETTINGS_FILE).write_text(SETTINGS, encoding="utf-8")
    found = Installation(Home(root))
    for table, rows in zip(("lead_features", "ground_truth_labels"), tables(months=16, turns_in=8), strict=True):
        found.lakehouse.replace_periods(table, sorted(set(rows["period"].to_pylist())), rows)
    return found


@pytest.fixture(autouse=True)
def _at_home(house: Installation, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("LEAD_SCORING_HOME", "DAGSTER_HOME"):
        monkeypatch.setenv(name, str(house.home.root))


def run(*words: str) -> Result:
    with contextlib.chdir(Path.cwd()):
        return CliRunner().invoke(main, ["replay", *words])


def test_the_table_the_advice_and_the_page(house: Installation, tmp_path: Path) -> None:
    before = {name: content_hash(house.lakehouse.scan(name)) for name in house.lakehouse.names()}
    told = run(*WORDS, "--training-cost", "20", "--write", "advice.yaml")
    assert told.exit_code == 0, told.output
    names = [re.split(r"\s{2,}", line)[0] for line in told.stdout.splitlines()]
    assert names[1:5] == ["never", "quarterly", "PSI 0.2", "hindsight"]
    assert "advice: quarterly" in told.stdout
    assert "a training costs 20 EUR" in told.stdout
    assert "100%" in told.stderr
    assert run(*WORDS, "--training-cost", "20").stdout == told.stdout
    page = (house.home.reports / "replay.html").read_text(encoding="utf-8")
    assert "Retrain every three months" in page
    # Nothing is written but the page and what was asked for.
    assert {name: content_hash(house.lakehouse.scan(name)) for name in house.lakehouse.names()} == before
    written = (tmp_path / "advice.yaml").read_text(encoding="utf-8")
    assert "# quarterly brought +" in written
    settings = parse_settings(written, "advice.yaml")
    assert settings.retraining.causes == ("calendar",)
    assert settings.retraining.calendar_months == 3
    assert settings.training == house.settings.training
    again = run(*WORDS, "--write", "advice.yaml")
    assert again.exit_code == 2
    assert "exists already, expected a new file" in again.output


def test_json_holds_every_figure_and_the_steps() -> None:
    found = json.loads(run(*WORDS, "--json").stdout)
    assert [policy["policy"] for policy in found["policies"]] == ["never", "quarterly", "PSI 0.2"]
    assert found["advice"]["changes"]["retraining"]["causes"] == ["calendar"]
    quarterly = found["policies"][1]
    assert sum(quarterly["by_period"]) == pytest.approx(quarterly["money"])
    assert quarterly["in_this_history"]["low"] < quarterly["in_this_history"]["value"]
    assert {step["verdict"] for step in quarterly["steps"]} <= {"promoted", "rejected", "no_candidate"}
    assert found["hindsight"]["money"] >= quarterly["money"]


def test_where_nothing_is_shown_retraining_is_not_switched_off(tmp_path: Path) -> None:
    told = run(*WORDS, "--training-cost", "100000", "--write", "advice.yaml")
    assert told.exit_code == 0
    assert "advice: never" in told.stdout
    assert "advice.yaml was not written: no rule is shown to be better, so keep what is set" in told.stderr
    assert not (tmp_path / "advice.yaml").exists()


def test_a_rule_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("mine: {retraining: {causes: [calendar], calendar_months: 5}}")
    told = run("--policies", "mine.yaml", "--policy", "mine", "--json")
    assert [policy["policy"] for policy in json.loads(told.stdout)["policies"]] == ["never", "mine"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--policy", "sometimes"], "there is no policy sometimes: expected one of never; as set; yearly"),
        (["--from", "May"], "period 'May' is not one of this system's periods"),
        (["--from", "2009-03"], "expected at least 4 periods"),
        (["--through-dagster", "--from", "2007-01"], "period 2007-01 lies before this system's first one, 2008-01"),
        (["--training-cost", "-1"], "--training-cost"),
        (["--worlds", "2", "--policy", "never"], "--worlds needs a simulated CRM, found `crm: own`"),
        (["--through-dagster", *WORDS], "plays one policy, found several"),
        (["--policies", "none.yaml"], "none.yaml"),
    ],
)
def test_what_cannot_be_done_is_said(words: list[str], told: str) -> None:
    found = run(*words)
    assert found.exit_code == 2
    assert told in found.output
    assert "Traceback" not in found.output


def test_a_period_without_leads_and_labels_cannot_be_driven(house: Installation) -> None:
    calendar = house.settings.calendar
    with pytest.raises(
        LeadScoringError, match=r"^2009-06, 2009-07 cannot be replayed: .* from 2008-01 to 2009-05 only\."
    ):
        replayed_alike(house, calendar.through(calendar.period("2009-07"), calendar.period("2008-02")))


def test_before_anything_was_materialised_it_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / SETTINGS_FILE).write_text(SETTINGS, encoding="utf-8")
    for name in ("LEAD_SCORING_HOME", "DAGSTER_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    found = run()
    assert found.exit_code == 2
    assert "lead-scoring materialize" in found.output


def test_a_disagreement_is_told_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    real = [Step("2008-07", ("drift",), "promoted", "as good", "2008-07"), Step("2008-08", (), None, "", "2008-07")]
    mine = [
        Step("2008-07", ("drift",), "rejected", "worse", None),
        Step("2008-08", (), None, "no cause is given", "2008-07"),
    ]
    found = compare(mine, real)
    assert [one.is_same for one in found] == [False, True]
    assert not show_agreement(found)
    assert "2008-07: verdict promoted in Dagster, rejected in the replay" in " ".join(found[0].differences)
    assert len(found[0].differences) == 3
    assert show_agreement(compare(real, real))


def test_who_joined_has_no_order_but_who_asked_first_has() -> None:
    def asked(*causes: str) -> list[Step]:
        return [Step("2008-07", causes, "promoted", "as good", "2008-07")]

    [same] = compare(asked("drift", "calendar", "label_volume"), asked("drift", "label_volume", "calendar"))
    [other] = compare(asked("drift", "calendar"), asked("calendar", "drift"))
    assert same.is_same
    assert other.differences == ["2008-07: causes calendar, drift in Dagster, drift, calendar in the replay"]


def test_several_worlds_are_replayed_and_stand_in_table_page_and_advice(
    house: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    def made_up(_home: Home, _folder: Path, seed: int) -> Recorded:
        return read_recorded(*tables(months=16, leads_a_month=150, turns_in=8, seed=seed), house.settings)

    # A simulated world takes half a minute; that it can be made is shown below.
    monkeypatch.setattr(replay_homes, "other_world", made_up)
    monkeypatch.setattr(replay_homes, "refuse_worlds", lambda _home: None)
    words = ("--worlds", "2", "--policy", "quarterly", "--policy", "yearly", "--training-cost", "20")
    told = run(*words)
    assert told.exit_code == 0, told.output
    assert re.search(r"^quarterly .* 3 of 3 *$", told.stdout, re.MULTILINE)
    assert "3 of 3 histories" in told.stdout
    assert "(95 % over 3 simulated histories" in told.stdout
    assert "Figures of 3 simulated histories, this one's first." in told.stdout
    assert "Over 3 simulated histories" in (house.home.reports / "replay.html").read_text(encoding="utf-8")
    found = json.loads(run(*words, "--json").stdout)
    quarterly = next(one for one in found["across_worlds"] if one["policy"] == "quarterly")
    assert found["worlds"] == len(set(quarterly["by_world"])) == 3
    assert quarterly["value"] == pytest.approx(sum(quarterly["by_world"]) / 3)
    money = {one["policy"]: one["money"] for one in found["policies"]}
    assert quarterly["by_world"][0] == pytest.approx(money["quarterly"] - money["never"])


ANOTHER_WORLD = """
import json, sys
from pathlib import Path
from lead_scoring_assets.cli import replay_homes
from lead_scoring_assets.settings import Home
made = replay_homes.other_world(Home(Path(sys.argv[1])), Path(sys.argv[2]), 7)
rate = made.final_labels[made.arrivals(1)].mean()
periods = [period.key for period in made.periods]
told = {"settings": made.settings.model_dump_json(), "periods": periods, "leads": len(made.lead), "rate": float(rate)}
print(json.dumps(told))
sys.exit(0)
"""


@pytest.mark.slow
def test_another_world_has_the_settings_of_the_home_and_another_seed(tmp_path: Path, verbs: Verbs) -> None:
    text = simulated_settings()
    for section, values in (
        ("periods", {"end": date(2022, 7, 1), "history_until": "2022-03"}),
        ("simulated", {"leads_a_month": 100, "activities_a_lead": 0.5}),
    ):
        text = with_values(text, section, values)
    (tmp_path / SETTINGS_FILE).write_text(text, encoding="utf-8")
    # In a process of its own: Dagster's partitions are those of the settings that it was imported under.
    folders = [str(tmp_path), str(tmp_path / "world")]
    done = verbs.run(tmp_path, folders, environment(tmp_path, tmp_path), first=ANOTHER_WORLD)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert Home(tmp_path / "world").settings.simulated.seed == 7 != Home(tmp_path).settings.simulated.seed
    assert found["settings"] == Home(tmp_path / "world").settings.model_dump_json()
    assert found["periods"] == [f"2022-0{month}" for month in range(1, 4)]
    assert 150 < found["leads"] < 500
    assert 0.02 < found["rate"] < 0.6
    assert not Home(tmp_path).data.exists()


@pytest.mark.slow(minutes=4)
def test_dagster_does_what_the_replay_says(short_home: Path, run_verb: RunVerb) -> None:
    """The bank's first months through the real jobs and sensors: a first champion, and a training that follows it."""
    told = run_verb(short_home, "replay", "--through-dagster", "--through", "2008-09")
    assert "5 of 5 periods agree" in told.stderr
    assert re.search(r"2008-09 +\S.* promoted +2008-09 +yes", told.stdout)
    assert "no_candidate" not in told.stdout
