"""Feedback through the real ingestion of outcomes: versions, rejections, and whatever form the CRM's own files have."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lead_scoring_assets.leads.ingestion import bring_in
from lead_scoring_assets.prediction_log.ingestion import ingest
from lead_scoring_tests.prediction_log.worlds import NOW, World, feedback, moment

THEIR_FORM = """
sources:
  time_zone: Asia/Dubai
  outcomes:
    delimiter: ";"
    encoding: utf-16
    time_format: "%d.%m.%Y %H:%M"
    rename: {lead: lead_id, result: outcome, closed: outcome_at}
    values: {outcome: {gewonnen: converted, verloren: lost}}

labels:
"""


def outcomes(world: World) -> list[dict[str, object]]:
    world.later(days=40)
    bring_in(world.house, world.house.settings.calendar.period("2009-03"))
    return sorted(world.rows("raw_outcomes"), key=lambda row: (row["lead_id"], row["version"]))


def test_a_correction_is_the_next_version(tmp_path: Path) -> None:
    world = World.make(tmp_path / "a home")
    world.log(feedback(1, outcome="lost", deal_value=None))
    ingest(world.house, world.source)
    later = world.later(days=2)
    world.log(feedback(1, at=later, idempotency_key="another", outcome_at=moment(later - timedelta(hours=2))))
    ingest(world.house, world.source)
    rows = outcomes(world)
    assert [(row["outcome"], row["version"]) for row in rows] == [("lost", 1), ("converted", 2)]
    assert [row["known_at"] for row in rows] == [NOW, NOW + timedelta(days=2)]
    assert (rows[1]["deal_value"], rows[1]["currency"], rows[1]["rep"]) == (100.0, "EUR", "mona")
    assert str(rows[0]["source_file"]).startswith("outcomes/2009-03/feedback-w0-")


@pytest.mark.parametrize("form", [None, {"\nlabels:\n": THEIR_FORM}], ids=["ours", "theirs, in minutes"])
def test_what_a_clock_ahead_of_ours_says_is_known_when_it_happened(tmp_path: Path, form: dict[str, str] | None) -> None:
    world = World.make(tmp_path / "a home", form)
    ahead = NOW + timedelta(minutes=4)
    world.log(feedback(1, outcome_at=moment(ahead)))
    ingest(world.house, world.source)
    [row] = outcomes(world)
    assert (row["outcome_at"], row["known_at"]) == (ahead, ahead)


def test_what_breaks_the_contract_is_rejected_with_its_reason(tmp_path: Path) -> None:
    world = World.make(tmp_path / "a home")
    world.log(
        feedback(1, outcome_at=moment(NOW + timedelta(days=1))),  # it has not happened yet
        feedback(2, outcome="sold"),
        feedback(3, deal_value=-5.0),
        feedback(4),
    )
    ingest(world.house, world.source)
    assert [row["lead_id"] for row in outcomes(world)] == ["lead 4"]
    reasons = {row["raw_text"][13:19]: row["reason"] for row in world.rows("rejected_rows")}
    assert len(reasons) == 3
    assert "is before outcome_at" in reasons["lead 1"]
    assert "sold" in reasons["lead 2"]
    assert "deal_value" in reasons["lead 3"]


@pytest.mark.parametrize("outcome", ["converted", "lost", "disqualified", "no_response", "open"])
def test_the_form_of_the_crm_s_own_files_does_not_matter(tmp_path: Path, outcome: str) -> None:
    world = World.make(tmp_path / "a home", {"\nlabels:\n": THEIR_FORM})
    world.log(feedback(1, outcome=outcome, reason='sagt "nein"; später\nvielleicht'))
    ingest(world.house, world.source)
    [row] = outcomes(world)
    assert (row["lead_id"], row["outcome"]) == ("lead 1", outcome)
    assert row["outcome_at"] == datetime(2009, 3, 10, 11, tzinfo=UTC)
    assert row["known_at"] == NOW
    assert row["reason"] == 'sagt "nein"; später\nvielleicht'


@pytest.mark.parametrize("form", [None, {"\nlabels:\n": THEIR_FORM}], ids=["ours", "theirs, in minutes"])
@pytest.mark.parametrize("late", [timedelta(0), timedelta(seconds=30)], ids=["as it closed", "just before"])
def test_what_is_said_when_the_period_has_closed_is_known_then_and_not_a_period_later(
    tmp_path: Path, late: timedelta, form: dict[str, str] | None
) -> None:
    """A replay's clock stands exactly at a period's end, by when its files have been taken in."""
    world = World.make(tmp_path / "a home", form)
    april = world.house.settings.calendar.period("2009-04")
    world.log(feedback(1))
    ingest(world.house, world.source)
    assert world.later(seconds=(april.start - NOW).total_seconds()) == april.start
    bring_in(world.house, world.house.settings.calendar.period("2009-03"))
    world.log(feedback(2, at=april.start - late, outcome_at=moment(NOW)))
    ingest(world.house, world.source)
    world.later(days=40)
    bring_in(world.house, april)
    known = {row["lead_id"]: row["known_at"] for row in world.rows("raw_outcomes")}
    assert known == {"lead 1": NOW, "lead 2": april.start + timedelta(minutes=1)}
