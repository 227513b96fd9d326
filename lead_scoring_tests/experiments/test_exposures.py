"""One exposure a unit, however often it was answered and in whatever order the log tells it."""

from datetime import timedelta

import pyarrow.compute as pc
from hypothesis import given, settings
from hypothesis import strategies as st

from lead_scoring_assets.experiments.exposures import exposed_leads, exposures
from lead_scoring_tests.experiments.worlds import PLAN, START, answer, plan, served

LATER = START + timedelta(days=100)


@settings(max_examples=25)
@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 200)), max_size=40), st.randoms())
def test_each_lead_is_exposed_once_by_its_first_answer(answers: list[tuple[int, int]], random: object) -> None:
    rows = [answer(f"lead {lead}", START + timedelta(hours=hour)) for lead, hour in answers]
    random.shuffle(rows)  # type: ignore[attr-defined]
    found = exposures(served(rows), PLAN, LATER).to_pylist()
    firsts = {f"lead {lead}": min(hour for other, hour in answers if other == lead) for lead, _ in answers}
    assert {row["unit_id"]: row["exposed_at"] for row in found} == {
        lead: START + timedelta(hours=hour) for lead, hour in firsts.items()
    }
    assert sum(row["answers"] for row in found) == len(answers)
    assert not any(row["crossed"] for row in found)
    leads = exposed_leads(served(rows), PLAN, LATER).to_pylist()
    assert [(row["lead_id"], row["arm"], row["exposed_at"]) for row in leads] == [
        (row["unit_id"], row["arm"], row["exposed_at"]) for row in found
    ]


def test_what_is_no_answer_of_this_experiment_exposes_nobody() -> None:
    rows = [
        answer("another experiment", START, experiment_id="another"),
        answer("no experiment", START, experiment_id=None),
        answer("an error", START, status=500),
        answer("no arm", START, arm=None),
        answer("no unit", START, unit_id=None),
        answer("too late", LATER + timedelta(seconds=1)),
        answer("the fallback", START, source="fallback"),
    ]
    assert exposures(served(rows), PLAN, LATER)["unit_id"].to_pylist() == ["the fallback"]


def test_a_unit_keeps_its_first_arm_and_is_told_when_it_saw_another() -> None:
    rows = [answer("a", START, arm="champion"), answer("a", START + timedelta(days=1), arm="challenger")]
    [found] = exposures(served(rows), PLAN, LATER).to_pylist()
    assert (found["arm"], found["crossed"], found["answers"]) == ("champion", True, 2)


def test_drawn_by_rep_a_lead_belongs_to_its_reps_arm() -> None:
    by_rep = plan(unit="rep")
    rows = [
        answer(f"lead {number}", START + timedelta(hours=number), by_rep, unit_id=f"rep {number % 7}")
        for number in range(100)
    ]
    units, leads = exposures(served(rows), by_rep, LATER), exposed_leads(served(rows), by_rep, LATER)
    assert (len(units), len(leads)) == (7, 100)
    arms = dict(zip(units["unit_id"].to_pylist(), units["arm"].to_pylist(), strict=True))
    assert all(row["arm"] == arms[row["unit_id"]] for row in leads.to_pylist())
    assert pc.sum(units["answers"]).as_py() == 100
