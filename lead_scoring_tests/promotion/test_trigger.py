"""Why a period's candidate was trained decides how it is compared."""

from pathlib import Path

import pytest

from lead_scoring_assets.events.log import Event, EventLog
from lead_scoring_assets.lakehouse.tables import Lakehouse
from lead_scoring_assets.promotion.trigger import trigger_of
from lead_scoring_assets.retraining.records import JOINED, OPENED
from lead_scoring_tests.promotion.worlds import NOW


def log(folder: Path, *causes: tuple[str, str]) -> EventLog:
    events = EventLog(Lakehouse(folder / "lakehouse"))
    for i, (kind, cause) in enumerate(causes):
        events.record(Event(str(i), kind, cause, NOW, "a sensor", f"{cause} has 3", {"period": "2008-09"}))
    return events


@pytest.mark.parametrize(
    ("causes", "told", "mode"),
    [
        ((), (), "improve"),
        (((OPENED, "calendar"),), ("calendar",), "improve"),
        (((OPENED, "label_volume"), (JOINED, "calendar")), ("label_volume", "calendar"), "improve"),
        (((OPENED, "drift"),), ("drift",), "refresh"),
        (((OPENED, "performance"),), ("performance",), "refresh"),
        (((OPENED, "concept_drift"),), ("concept_drift",), "refresh"),
        (((OPENED, "prediction_drift"),), ("prediction_drift",), "refresh"),
        (((OPENED, "by_hand"),), ("by_hand",), "improve"),
        (((OPENED, "calendar"), (JOINED, "drift")), ("calendar", "drift"), "refresh"),
        ((("alert", "drift"),), (), "improve"),
    ],
)
def test_drift_and_poor_performance_ask_for_a_refresh(
    tmp_path: Path, causes: tuple[tuple[str, str], ...], told: tuple[str, ...], mode: str
) -> None:
    found = trigger_of("2008-09", log(tmp_path, *causes), "improve")
    assert (found.causes, found.mode) == (told, mode)
    assert all(f"{cause}: {cause} has 3" in found.reason for cause in told)


def test_another_periods_cause_is_not_this_ones(tmp_path: Path) -> None:
    events = log(tmp_path, (OPENED, "drift"))
    assert trigger_of("2008-10", events, "improve").mode == "improve"
    assert trigger_of("2008-10", events, "refresh").mode == "refresh"
