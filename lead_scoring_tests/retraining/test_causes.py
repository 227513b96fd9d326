"""Causes for retraining at their exact borders, and the sentence that each yes and each no gives."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lead_scoring_assets.retraining.causes import (
    Finding,
    find_causes,
    on_calendar,
    on_drift,
    on_label_volume,
    on_performance,
)
from lead_scoring_assets.retraining.facts import Champion, DriftWindow, Judgement, MaturedAuc, Request
from lead_scoring_assets.settings import Performance, Retraining
from lead_scoring_tests.retraining.worlds import (
    DAY,
    LIMITS,
    NOW,
    PERIOD,
    calm,
    drifted,
    facts,
    policy,
    promoted,
    rejected,
    unjudged,
)

AUC = MaturedAuc("ok", "1,200 labelled leads", 0.70, 0.66, 0.74, 1_200)
TICK = timedelta(microseconds=1)


def drift(*windows: DriftWindow, needed: int = 1, **changes: Any) -> Finding:
    return on_drift("drift", windows, needed, facts(**changes), policy())


def auc(promised: float | None = 0.72, **changes: Any) -> Finding:
    measured = MaturedAuc(**{**vars(AUC), **changes})
    return on_performance(facts(performance=measured, champion=Champion(3, promised)), LIMITS)


@pytest.mark.parametrize(
    ("windows", "champion", "status", "told"),
    [
        ([drifted()], None, "not_computable", "there is no champion to drift away from"),
        ([], Champion(3), "not_computable", "drift of 2008-09 has not been measured"),
        ([drifted("2008-08")], Champion(3), "not_computable", "drift of 2008-09 has not been measured"),
        (
            [drifted()],
            Champion(4),
            "not_computable",
            "drift of 2008-09 was measured against v3, and champion v4 has replaced it",
        ),
        (
            [unjudged()],
            Champion(3),
            "insufficient_data",
            "insufficient data: none of the features of 2008-09 could be judged (12 of 200 rows needed)",
        ),
        (
            [drifted("2008-08"), calm()],
            Champion(3),
            "not_given",
            (
                "0 of 2 features of 2008-09 drifted from champion v3's training window; "
                "the largest PSI is 0.02 (job, n = 4,812)"
            ),
        ),
    ],
    ids=["no champion", "not measured", "measured earlier", "replaced champion", "insufficient data", "calm"],
)
def test_drift_says_no(windows: list[DriftWindow], champion: Champion | None, status: str, told: str) -> None:
    found = drift(*windows, champion=champion)
    assert (found.status, found.reason) == (status, told)


def test_one_drifted_feature_is_cause() -> None:
    assert drift(drifted()) == Finding(
        "drift",
        "given",
        "1 of 2 features of 2008-09 drifted from champion v3's training window: job (PSI 0.31); n = 4,812",
        {"psi": {"job": 0.31}, "champion_version": 3, "windows": 1},
    )


@pytest.mark.parametrize(
    ("before", "is_cause"),
    [
        ([drifted("2008-08")], True),
        ([drifted("2008-07"), drifted("2008-08")], True),
        ([], False),
        ([calm("2008-08")], False),
        ([drifted("2008-07"), calm("2008-08")], False),
        ([unjudged("2008-08")], False),
        ([drifted("2008-08", version=2)], False),  # another champion's drift
    ],
)
def test_two_windows_in_a_row_are_needed(before: list[DriftWindow], is_cause: bool) -> None:
    found = drift(*before, drifted(), needed=2)
    assert found.is_given is is_cause
    assert found.reason.endswith("in 1 of 2 windows in a row that are needed") is not is_cause


@pytest.mark.parametrize(
    ("psi", "days", "new_labels", "status"),
    [
        (0.31, 29, 900, "answered"),
        (0.31, 30, 900, "given"),
        (0.31, 30, 0, "answered"),  # no label has come: a training would see what the last one saw
        (0.3875, 1, 900, "answered"),  # 0.31 and a quarter
        (0.3876, 1, 0, "given"),
        (None, 29, 900, "answered"),
        (None, 30, 900, "given"),
    ],
)
def test_drift_that_a_rejected_candidate_answered_waits_for_news(
    psi: float | None, days: int, new_labels: int, status: str
) -> None:
    found = drift(drifted("2008-08"), drifted(psi=psi), judgements=[rejected(NOW - days * DAY)], new_labels=new_labels)
    assert found.status == status
    assert "the candidate of 2008-08 (rejected) had answered it" in found.reason


def test_what_it_waits_for_is_told_with_numbers() -> None:
    found = drift(drifted("2008-08"), drifted(), judgements=[rejected(NOW - 10 * DAY)])
    assert found.reason.endswith(
        "it asks again when it has grown by 25% or new labels of 30 days have come (at 2008-10-21 at the earliest)"
    )


@pytest.mark.parametrize(
    ("judgements", "windows"),
    [
        ([promoted(NOW - DAY)], [drifted("2008-08")]),
        ([rejected(NOW - DAY)], [calm("2008-08")]),  # it was tried before there was drift
        ([rejected(NOW - DAY)], []),
        ([rejected(NOW - DAY), promoted(NOW - DAY)], [drifted("2008-08")]),
        ([rejected(NOW - DAY)], [drifted("2008-08", version=2)]),
        ([], []),
    ],
    ids=["accepted", "calm then", "not measured then", "accepted since", "another champion's", "never trained"],
)
def test_drift_that_no_rejected_candidate_answered_asks(
    judgements: list[Judgement], windows: list[DriftWindow]
) -> None:
    assert drift(*windows, drifted(), judgements=judgements).is_given


def test_concept_drift_needs_one_window_and_prediction_drift_as_many_as_drift() -> None:
    found = find_causes(facts(concept_drift=[drifted()], prediction_drift=[drifted()], drift=[drifted()]), policy())
    given = {finding.cause: finding.is_given for finding in found}
    assert (given["concept_drift"], given["prediction_drift"], given["drift"]) == (True, False, False)
    assert (
        "2 outcome measures of 2008-09 drifted from champion v3's holdout"
        in {f.cause: f.reason for f in found}["concept_drift"]
    )


@pytest.mark.parametrize(("new", "status"), [(0, "not_given"), (4_999, "not_given"), (5_000, "given")])
def test_label_volume_at_its_border(new: int, status: Any) -> None:
    known = facts(new_labels=new, judgements=[promoted(datetime(2008, 7, 1, tzinfo=UTC))])
    assert on_label_volume(known, 5_000) == Finding(
        "label_volume",
        status,
        f"{new:,} of 5,000 new labels since the last training at 2008-07-01 (champion v3)",
        {"new_labels": new, "needed": 5_000},
    )


def test_label_volume_before_the_first_training() -> None:
    found = on_label_volume(facts(new_labels=12, champion=None), 5_000)
    assert not found.is_given
    assert found.reason == "12 of 5,000 new labels so far, and no model was trained yet (no champion yet)"
    assert on_label_volume(facts(new_labels=5_000, champion=None), 5_000).is_given


@pytest.mark.parametrize(
    ("value", "low", "high", "is_cause"),
    [
        (0.55, 0.51, 0.5999, True),
        (0.55, 0.51, 0.60, False),  # the interval touches the floor
        (0.59, 0.55, 0.63, False),  # the value is below, the interval is not
    ],
)
def test_floor_of_performance(value: float, low: float, high: float, is_cause: bool) -> None:
    found = auc(0.60, value=value, low=low, high=high)
    assert found.is_given is is_cause
    assert f"AUC {value:.3f} [{low:.3f}, {high:.3f}], n = 1,200, champion v3" in found.reason
    assert ("not clearly below the floor 0.60" in found.reason) is not is_cause


@pytest.mark.parametrize(
    ("promised", "value", "high", "is_cause"),
    [
        (0.80, 0.72, 0.76, False),  # exactly the maximum: 1 - 0.72 / 0.80 is a trifle more in floating point
        (0.70, 0.63, 0.68, False),
        (0.90, 0.81, 0.85, False),
        (0.80, 0.7199, 0.76, True),
        (0.80, 0.70, 0.7999, True),
        (0.80, 0.70, 0.80, False),  # the interval touches the promise
        (0.80, 0.85, 0.88, False),
        (None, 0.61, 0.65, False),
    ],
)
def test_drop_of_performance(promised: float | None, value: float, high: float, is_cause: bool) -> None:
    assert auc(promised, value=value, low=0.60, high=high).is_given is is_cause


@pytest.mark.parametrize(
    ("value", "high", "promised", "is_cause"),
    [
        (0.73, 0.7499, None, True),  # AUC below 0.75
        (0.73, 0.75, None, False),
        (0.7599, 0.79, 0.80, True),  # fallen by more than 5 %
        (0.76, 0.79, 0.80, False),
    ],
)
def test_the_products_own_limits(value: float, high: float, promised: float | None, is_cause: bool) -> None:
    measured = MaturedAuc("ok", "enough", value, value - 0.02, high, 9_000)
    found = on_performance(facts(performance=measured, champion=Champion(3, promised)), Performance())
    assert found.is_given is is_cause


def test_a_drop_is_told_with_both_figures() -> None:
    found = auc(0.80, value=0.70, low=0.66, high=0.74)
    assert found.reason == (
        "AUC 0.700 [0.660, 0.740], n = 1,200, champion v3: 12.5% below its holdout's 0.800, more than 10% allowed"
    )
    assert found.evidence == {"value": 0.70, "low": 0.66, "high": 0.74, "n": 1_200, "promised_auc": 0.80}


def test_a_drop_within_its_limit_is_told_with_both_figures() -> None:
    assert auc(0.72).reason == (
        "AUC 0.700 [0.660, 0.740], n = 1,200, champion v3: not clearly below the floor 0.60, nor clearly fallen by "
        "more than 10% from its holdout's 0.720"
    )


def test_nothing_is_said_about_a_drop_from_an_unknown_promise() -> None:
    found = auc(None)
    assert not found.is_given
    assert found.reason.endswith("its holdout's AUC is not on record, so that a drop cannot be judged")
    assert auc(None, value=0.5, low=0.4, high=0.59).is_given  # the floor needs no promise


@pytest.mark.parametrize(
    ("measured", "champion", "status", "told"),
    [
        (AUC, None, "not_computable", "there is no champion whose performance could fall"),
        (None, Champion(3), "not_computable", "no lead scored by champion v3 matured in 2008-09"),
        (
            MaturedAuc("insufficient_data", "40 labelled leads; 100 are needed", 0.1, 0.1, 0.2),
            Champion(3),
            "insufficient_data",
            "insufficient data on champion v3 in 2008-09: 40 labelled leads; 100 are needed",
        ),
    ],
    ids=["no champion", "nothing matured", "too few matured"],
)
def test_performance_says_no(measured: MaturedAuc | None, champion: Champion | None, status: Any, told: str) -> None:
    found = on_performance(facts(performance=measured, champion=champion), LIMITS)
    assert found == Finding("performance", status, told)


@pytest.mark.parametrize(
    ("trained", "now", "months", "is_cause"),
    [
        (datetime(2008, 7, 1, tzinfo=UTC), datetime(2008, 10, 1, tzinfo=UTC), 3, True),
        (datetime(2008, 7, 1, tzinfo=UTC) + TICK, datetime(2008, 10, 1, tzinfo=UTC), 3, False),
        (datetime(2008, 7, 1, tzinfo=UTC), datetime(2008, 10, 1, tzinfo=UTC) - TICK, 3, False),
        (datetime(2008, 11, 1, tzinfo=UTC), datetime(2009, 2, 1, tzinfo=UTC), 3, True),
        (datetime(2009, 2, 28, tzinfo=UTC), datetime(2009, 3, 31, tzinfo=UTC), 1, True),
        (datetime(2008, 1, 1, tzinfo=UTC), datetime(2009, 1, 1, tzinfo=UTC), 12, True),
    ],
)
def test_calendar_at_its_border(trained: datetime, now: datetime, months: int, is_cause: bool) -> None:
    long_live = facts(now=now, judgements=[promoted(trained)], first_live_at=datetime(2006, 1, 1, tzinfo=UTC))
    assert on_calendar(long_live, Retraining(calendar_months=months)) == Finding(
        "calendar",
        "given" if is_cause else "not_given",
        f"last trained at {trained:%Y-%m-%d}, due after {months} month{'s' * (months > 1)}; it is {now:%Y-%m-%d}",
    )


def test_calendar_before_the_first_training() -> None:
    found = on_calendar(facts(champion=None), Retraining(calendar_months=3))
    assert found.is_given
    assert found.reason == "no model was trained yet, due after 3 months at the latest; it is 2008-10-01"


@pytest.mark.parametrize(
    ("live_days", "trained", "is_cause"),
    [
        (90, 7 * DAY, True),
        (90, 7 * DAY - TICK, False),
        (91, 7 * DAY, False),  # from the 91st day on: monthly
        (91, 31 * DAY, True),
        (89, 31 * DAY, True),
    ],
)
def test_weekly_for_ninety_days_after_going_live_then_monthly(
    live_days: int, trained: timedelta, is_cause: bool
) -> None:
    known = facts(judgements=[promoted(NOW - trained)], first_live_at=NOW - live_days * DAY)
    found = on_calendar(known, Retraining())
    assert found.is_given is is_cause
    assert ("due after 7 days in the first 90 days since" in found.reason) is (live_days <= 90)


def test_the_early_rhythm_can_be_left_out() -> None:
    known = facts(judgements=[promoted(NOW - 8 * DAY)], first_live_at=NOW - 8 * DAY)
    assert on_calendar(known, Retraining()).is_given
    assert not on_calendar(known, Retraining(calendar_early_days=0)).is_given


def test_only_the_causes_of_the_settings_are_looked_at_in_one_order() -> None:
    asked = facts(request=Request("r-1", "Mona", "a new product"))
    found = find_causes(asked, policy(causes=("calendar", "drift")))
    assert [finding.cause for finding in found] == ["by_hand", "drift", "calendar"]
    assert found[0] == Finding("by_hand", "given", "Mona: a new product")
    assert find_causes(facts(), policy(causes=())) == ()
    assert PERIOD in find_causes(facts(), policy(causes=("drift",)))[0].reason
