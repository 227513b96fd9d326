"""Which alerts a later run or check ends: pure."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lead_scoring_assets.alerts.failures import (
    CheckResult,
    alert_on_check,
    alert_on_run,
    ended_by_check,
    ended_by_run,
    is_of_the_past,
)
from lead_scoring_assets.alerts.kinds import Level
from lead_scoring_tests.alerts.worlds import raised

MONTHS = [f"2008-{month:02}" for month in range(1, 10)]


def result(periods: list[str], failed: list[str], *, is_error: bool = True, check: str = "a:b") -> CheckResult:
    return CheckResult("r2", check, not failed, is_error, "told", tuple(periods), tuple(failed), {"rows": 2.0})


@pytest.mark.parametrize(
    ("level", "periods", "failed", "over"),
    [
        ("critical", ["2008-07"], [], {"2008-07"}),  # a contract is kept period by period
        ("critical", ["2008-06", "2008-07"], ["2008-07"], {"2008-06"}),
        ("critical", ["2008-08"], [], None),
        ("warning", ["2008-07"], [], {"2008-06", "2008-07"}),  # drift is gone when the newest period is calm
        ("warning", ["2008-09"], [], {"2008-06", "2008-07"}),
        ("warning", ["2008-06"], [], None),
        ("warning", ["2008-07", "2008-08"], ["2008-08"], None),
        ("warning", ["2008-07", "2008-08"], ["2008-07"], {"2008-06", "2008-07"}),
        ("critical", [], [], {"2008-06", "2008-07"}),  # a check that names no periods judges all there is
        ("critical", [], ["x"], None),
    ],
)
def test_what_a_check_ends(level: Level, periods: list[str], failed: list[str], over: set[str] | None) -> None:
    alert = replace(raised(level, "a:b", alert_id="alert-check-r1-a:b"), periods=("2008-06", "2008-07"))
    found = ended_by_check(result(periods, failed), [alert])
    assert [set(ended) for _, ended in found] == ([] if over is None else [over])


def test_it_ends_its_own_alerts_only() -> None:
    others = [
        raised(subject="another:check", alert_id="alert-check-r1-another:check"),
        raised(subject="a:b", alert_id="alert-data_drift_psi-2008-07-warning"),
    ]
    assert ended_by_check(result([], []), others) == []
    assert ended_by_run("a:b", [], others) == []


@given(st.lists(st.sampled_from(MONTHS), unique=True), st.lists(st.sampled_from(MONTHS), unique=True))
def test_a_run_ends_what_it_made_good(failed: list[str], succeeded: list[str]) -> None:
    alert = replace(raised(alert_id="alert-run-r1"), periods=tuple(failed))
    found = ended_by_run("retraining", succeeded, [alert])
    both = set(failed) & set(succeeded)
    assert [set(ended) for _, ended in found] == ([both] if both or not (failed or succeeded) else [])
    assert ended_by_run("arrival", succeeded, [alert]) == []


@given(st.lists(st.sampled_from(MONTHS), min_size=1, unique=True), st.data(), st.booleans())
def test_what_the_same_look_would_end_is_of_the_past(periods: list[str], data: st.DataObject, is_error: bool) -> None:
    """Of watch checks; a broken contract is never past while its period is not mended."""
    failed = data.draw(st.lists(st.sampled_from(periods), min_size=1, unique=True))
    found = result(periods, failed, is_error=is_error)
    alert = alert_on_check(found)
    stored = replace(
        raised(subject=alert.subject, alert_id=alert.alert_id, level=alert.level), periods=tuple(sorted(failed))
    )
    ends = bool(ended_by_check(found, [stored]))
    assert is_of_the_past(found) == (not is_error and max(periods) not in failed)
    if not is_error:
        assert is_of_the_past(found) == ends


def test_what_is_raised_can_be_ended() -> None:
    """The names under which alerts are raised are those by which their end is found."""
    check = alert_on_check(result(["2008-07"], ["2008-07"]))
    run = alert_on_run("r1", "retraining", ("2008-07",), "2008-07", "the disk is full")
    assert (check.level, run.level) == ("critical", "critical")
    assert alert_on_check(result([], ["x"], is_error=False)).level == "warning"
    assert check.evidence == {"rows": 2.0}
    alerts = [
        replace(raised(subject=alert.subject, alert_id=alert.alert_id), periods=alert.periods) for alert in (check, run)
    ]
    assert [alert.alert_id for alert, _ in ended_by_check(result(["2008-07"], []), alerts)] == [check.alert_id]
    assert [alert.alert_id for alert, _ in ended_by_run("retraining", ["2008-07"], alerts)] == [run.alert_id]
