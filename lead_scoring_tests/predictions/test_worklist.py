"""The worklist: what was known then, only leads that can still be won, and a list for each rep."""

import shutil
from datetime import timedelta
from typing import Any

import pyarrow as pa
import pytest

from lead_scoring_assets.errors import LakehouseError, LeadScoringError
from lead_scoring_assets.predictions.period_scores import score_live
from lead_scoring_assets.predictions.worklist import best_leads, worklists
from lead_scoring_tests.predictions.conftest import LEADS, OF_JULY, World

JULY, AUGUST = "2008-07", "2008-08"
INSTANT = pa.timestamp("us", tz="UTC")
OUTCOMES = pa.schema(
    [("period", pa.string()), ("lead_id", pa.string()), ("version", pa.int64()), ("known_at", INSTANT)]
).append(pa.field("outcome", pa.string()))
ACTIVITIES = pa.schema(
    [(name, pa.string()) for name in ("period", "activity_id", "lead_id", "rep")]
    + [("version", pa.int64()), ("known_at", INSTANT), ("occurred_at", INSTANT)]
)


@pytest.fixture
def scored(own_world: World) -> World:
    """July and August scored; it is the end of August."""
    for month in (JULY, AUGUST):
        scores = score_live(own_world.house, own_world.home.settings.calendar.period(month))
        assert scores is not None
        own_world.house.lakehouse.replace_periods("lead_scores", [month], scores)
    return own_world


def says(world: World, *statements: tuple[str, str, int, int]) -> None:
    """Outcomes: lead, outcome, version, and how many days before or after now it was known."""
    now = world.house.clock.now()
    rows = [
        {"period": AUGUST, "lead_id": lead, "outcome": outcome, "version": v, "known_at": now + timedelta(days=days)}
        for lead, outcome, v, days in statements
    ]
    world.writes("raw_outcomes", AUGUST, rows, OUTCOMES)


def meets(world: World, *activities: tuple[str, str | None, int]) -> None:
    """Activities: lead, rep, and how many days before or after now."""
    now = world.house.clock.now()
    rows: list[dict[str, Any]] = [
        {"period": AUGUST, "activity_id": f"A{i}", "lead_id": lead, "rep": rep, "version": 1, "known_at": at}
        for i, (lead, rep, at) in enumerate((a[0], a[1], now + timedelta(days=a[2])) for a in activities)
    ]
    world.writes("raw_activities", AUGUST, [{**row, "occurred_at": row["known_at"]} for row in rows], ACTIVITIES)


def ids(rows: list[dict[str, Any]]) -> list[str]:
    return [row["lead_id"] for row in rows]


def test_best_first_with_reasons_and_what_was_known_in_that_period(scored: World) -> None:
    rows = best_leads(scored.house, None, 10)
    assert [row["priority"] for row in rows] == list(range(1, 11))
    assert {row["period"] for row in rows} == {AUGUST}
    assert [row["probability"] for row in rows] == sorted((row["probability"] for row in rows), reverse=True)
    assert "raises the odds" in rows[0]["reasons_for"]
    everybody = {month: best_leads(scored.house, month, None) for month in (JULY, AUGUST)}
    [then], [now] = ([r for r in everybody[month] if r["lead_id"] == OF_JULY] for month in (JULY, AUGUST))
    assert (now["age"], now["job"]) == (20, None)
    assert then["age"] != 20
    assert (then["change"], now["change"][:2]) == (None, "0.")


def test_a_period_that_was_not_scored_is_named(scored: World) -> None:
    with pytest.raises(LeadScoringError, match="no lead of 2008-12 has been scored"):
        best_leads(scored.house, "2008-12", 5)


def test_scores_of_an_earlier_release_are_refused_by_their_columns(scored: World) -> None:
    scored.writes("lead_scores", "2009-01", [{"period": "2009-01", "lead_id": "x", "probability": 0.5}])
    rows = best_leads(scored.house, AUGUST, 1)
    assert rows
    shutil.rmtree(scored.house.lakehouse.path("lead_scores"))
    scored.writes("lead_scores", "2009-01", [{"period": "2009-01", "lead_id": "x", "probability": 0.5, "rank": 1}])
    with pytest.raises(LakehouseError, match=r"no column.*priority"):
        best_leads(scored.house, None, 1)


@pytest.mark.parametrize(
    ("statements", "is_open"),
    [
        ([("converted", 1, -1)], False),
        ([("lost", 1, 0)], False),  # known exactly now is known
        ([("disqualified", 1, -1)], False),
        ([("lost", 1, 1)], True),  # nobody knows it yet
        ([("no_response", 1, -1)], True),
        ([("lost", 1, -5), ("open", 2, -1)], True),  # taken back
        ([("lost", 1, -5), ("open", 2, 1)], False),
    ],
)
def test_leads_whose_outcome_is_known_are_not_called(
    scored: World, statements: list[tuple[str, int, int]], is_open: bool
) -> None:
    best = ids(best_leads(scored.house, AUGUST, 1))[0]
    says(scored, *((best, *statement) for statement in statements))
    rows = best_leads(scored.house, AUGUST, 1)
    assert (ids(rows)[0] == best) is is_open
    assert rows[0]["priority"] == (1 if is_open else 2)  # a priority is the lead's own and does not move up


def test_when_everything_is_decided_that_is_said(scored: World) -> None:
    says(scored, *((lead, "lost", 1, -1) for lead in ids(best_leads(scored.house, JULY, None))))
    with pytest.raises(LeadScoringError, match="2008-07 is left to call: as of 2008-09-01"):
        best_leads(scored.house, JULY, 5)


def test_each_rep_has_a_list(scored: World) -> None:
    found = worklists(scored.house, AUGUST, 10, ["aisha", "omar"])
    assert [(row["rep"], row["place"]) for row in found.rows] == [
        (r, i) for r in ("aisha", "omar") for i in range(1, 11)
    ]
    assert sorted(ids(found.rows)) == sorted(ids(best_leads(scored.house, AUGUST, 20)))
    assert found.assignment.beyond_capacity == LEADS + 3 - 20
    worth = found.assignment.expected
    assert abs(worth["aisha"] - worth["omar"]) <= max(row["probability"] for row in found.rows)


def test_the_rep_of_the_last_activity_keeps_the_lead(scored: World) -> None:
    first, second, third = ids(best_leads(scored.house, AUGUST, 3))
    meets(scored, (first, "li", -9), (first, "omar", -3), (first, None, -1), (second, "zoe", -2), (third, "li", 2))
    found = worklists(scored.house, AUGUST, 5, ["aisha", "omar", "li"])
    rep_of = {row["lead_id"]: row["rep"] for row in found.rows}
    assert rep_of[first] == "omar"
    assert second not in rep_of  # zoe's
    assert rep_of[third] == "aisha"  # what happens the day after tomorrow is not known
    assert found.assignment.owned_elsewhere == 1


def test_without_names_it_is_who_was_at_work_lately(scored: World) -> None:
    with pytest.raises(LeadScoringError, match="Name the reps with --reps"):
        worklists(scored.house, AUGUST, 5)
    meets(scored, ("elsewhere", "omar", -29), ("elsewhere", "aisha", -1), ("elsewhere", "gone", -31))
    assert list(worklists(scored.house, AUGUST, 5).assignment.lists) == ["aisha", "omar"]
