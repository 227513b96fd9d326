"""`lead-scoring experiment …`: what a person types, is told, and is refused in words."""

import json
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from click.testing import CliRunner, Result

from lead_scoring_assets.cli import main
from lead_scoring_assets.experiments.records import Experiments
from lead_scoring_assets.settings import SETTINGS_FILE
from lead_scoring_tests.experiments.houses import House
from lead_scoring_tests.experiments.worlds import labels, world

NAME = "v2-against-champion"


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    house = House.make(tmp_path / "a home")
    monkeypatch.setenv("LEAD_SCORING_HOME", str(house.home.root))
    monkeypatch.setenv("DAGSTER_HOME", str(house.home.root))
    monkeypatch.chdir(house.home.root)
    return house


def verb(*words: str, code: int = 0) -> Result:
    done = CliRunner().invoke(main, ["experiment", *words])
    assert done.exit_code == code, done.output
    return done


def test_a_plan_starts_from_what_was_observed(house: House) -> None:
    house.cohorts([("2025-12", 3_100, 403), ("2026-01", 3_100, 372)])
    told = verb("plan", "2", "--lift", "0.3", "--only-tell").output
    assert "observed: 100.0 leads a day, 12.50% converted (6,200 leads of 2025-12 to 2026-01" in told
    assert "to find +30.0% on 12.5%" in told
    assert "90%/10%" in told
    assert Experiments(house.installation.lakehouse).all() == []


def test_a_plan_that_counts_leads_early_expects_what_is_known_early(house: House) -> None:
    """Half of the conversions are not known after 14 days: with those that come later the plan would promise twice the power."""
    house.cohorts([("2025-12", 3_100, 403), ("2026-01", 3_100, 372)], slow=200)
    told = verb("plan", "2", "--lift", "0.3", "--only-tell").output
    assert "12.50% converted (6,200 leads" in told
    told = verb("plan", "2", "--lift", "0.3", "--age-days", "14", "--only-tell").output
    assert "12.50% converted, 6.05% were known to have when 14 days old, which is what counts (6,200 leads" in told
    assert "to find +30.0% on 6.0%" in told


def test_an_age_at_which_no_conversion_is_known_can_have_no_plan(house: House) -> None:
    house.cohorts([("2025-12", 3_100, 403), ("2026-01", 3_100, 372)])
    told = verb("plan", "2", "--age-days", "2", "--only-tell", code=2).output
    assert "no conversion of 2025-12 to 2026-01 was known when its lead was 2 days old" in told


def test_without_any_cohort_the_figures_have_to_be_given(house: House) -> None:
    assert "give --base-rate and --leads-per-day" in verb("plan", "2", code=2).output
    verb("plan", "2", "--base-rate", "0.125", "--leads-per-day", "300", "--lift", "0.3")
    assert Experiments(house.installation.lakehouse).find(NAME).state == "draft"


def test_a_plan_that_cannot_work_is_not_settled_unless_somebody_insists(house: House) -> None:
    figures = ("--base-rate", "0.125", "--leads-per-day", "90", "--lift", "0.05")
    told = verb("plan", "2", *figures, code=2).output
    assert "CANNOT WORK within 180 days" in told
    assert "nothing was settled" in told
    assert Experiments(house.installation.lakehouse).all() == []
    verb("plan", "2", *figures, "--anyway", "--name", "hopeless")
    assert Experiments(house.installation.lakehouse).find("hopeless").state == "draft"


def test_a_plan_for_programs(house: House) -> None:
    done = verb("plan", "2", "--base-rate", "0.125", "--leads-per-day", "90", "--only-tell", "--json")
    told: dict[str, Any] = json.loads(done.stdout)
    assert told["units_one_look"] == 89_776
    assert told["can_work"] is False


def test_a_plan_by_rep_counts_how_alike_their_leads_are(house: House) -> None:
    figures = (
        "plan",
        "2",
        "--unit",
        "rep",
        "--base-rate",
        "0.125",
        "--leads-per-day",
        "300",
        "--lift",
        "0.3",
        "--only-tell",
    )
    assert "no label names the rep" in verb(*figures, code=2).output
    rows = [
        {
            "lead_id": f"lead {n}",
            "rep": f"rep {n % 20}",
            "label": int(n % 20 < 3),
            "label_known_at": house.installation.clock.now(),
        }
        for n in range(400)
    ]
    house.installation.lakehouse.replace_periods("ground_truth_labels", ["2026-01"], labels(rows))
    told = verb(*figures, code=0).output
    assert "observed: 20 reps with 20 leads each on average" in told
    assert "alike by 1.000" in told
    assert "looked at every day" not in told


def test_the_life_of_an_experiment(house: House) -> None:
    assert "no experiment was planned yet" in verb("show").output
    house.plan()
    assert "draft since" in verb("show").output
    assert "has not begun" in verb("show", NAME).output
    assert f"{NAME}: running" in verb("start", NAME, "--by", "Mona").output
    assert "no answer has been logged yet" in verb("show", NAME).output
    verb("feedback", NAME, "--by", "Omar", "--said", "[bold]better[/] order")
    assert "on record already" in verb("feedback", NAME, "--by", "Omar", "--said", "[bold]better[/] order").output
    experiment = Experiments(house.installation.lakehouse).find(NAME).experiment
    house.fill(world(experiment, 3_000, 40, 0.125, 0.13))
    told = verb("show", NAME).output
    assert "CONTINUE_TEST" in told
    assert "sample ratio: yes" in told
    assert "Omar: [bold]better[/] order" in told
    assert "conversion_lift_always_valid" in told
    rows = json.loads(verb("show", NAME, "--json").stdout)
    assert rows["state"] == "running"
    assert {row["metric"] for row in rows["reading"]} >= {"conversion_lift", "auc", "error_rate"}
    assert "stopped" in verb("stop", NAME, "--reason", "the campaign is over").output
    [listed] = json.loads(verb("show", "--json").stdout)
    assert (listed["state"], listed["reason"]) == ("stopped", "the campaign is over")


def test_what_would_end_it_is_told_at_its_start_and_what_has_when_it_is_shown(house: House) -> None:
    house.plan()
    assert "gate.approval is automatic: a new model that passes" in verb("start", NAME).output.replace("\n", " ")
    assert "nobody is drawn" not in verb("show", NAME).output
    house.deploy(3, "promoted")
    told = verb("show", NAME).output.replace("\n", " ")
    assert "nobody is drawn any more, and its next reading ends it: v3 is live since" in told


def test_where_candidates_wait_nothing_would_end_it(house: House) -> None:
    settings = house.home.root / SETTINGS_FILE
    settings.write_text(settings.read_text().replace("approval: automatic", "approval: manual"))
    house.plan()
    told = verb("start", NAME).output
    assert "remark" not in told
    assert re.fullmatch(
        rf"{NAME}: running since \d{{4}}-\d\d-\d\d \d\d:\d\d", told.splitlines()[0]
    )  # no reason was given


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("start", "mine"), "none was planned yet"),
        (("show", "mine"), "none was planned yet"),
        (("stop", "mine"), "with a reason"),
        (("feedback", "mine", "--said", "good"), "none was planned yet"),
        (("plan", "9", "--base-rate", "0.1", "--leads-per-day", "900", "--lift", "0.5"), "v9 was never proposed"),
        (("plan", "2", "--base-rate", "0.9", "--leads-per-day", "900", "--lift", "0.5"), "rate below 100 %"),
    ],
)
def test_what_cannot_be_done_is_refused_without_a_traceback(house: House, words: tuple[str, ...], told: str) -> None:
    done = verb(*words, code=2)
    assert told in done.output.replace("\n", " ")
    assert "Traceback" not in done.output


def test_what_is_shown_for_a_draft_is_json_as_well(house: House) -> None:
    house.plan()
    found = json.loads(verb("show", NAME, "--json").stdout)
    assert found["reading"] is None
    assert isinstance(pa.array([found["planned_units"]])[0].as_py(), int)
