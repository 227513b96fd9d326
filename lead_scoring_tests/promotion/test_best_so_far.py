"""The reference only moves up, and only on evidence; it is rebuilt from what is on record."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lead_scoring_assets.promotion.best_so_far import best_so_far
from lead_scoring_assets.promotion.deployments import Deployment
from lead_scoring_tests.promotion.worlds import NOW


def live(version: int) -> Deployment:
    return Deployment(version, NOW, f"{version:04}", "bundle", str(version), "gate", "reason")


def decision(version: int, best: int | None, low: float | None) -> dict[str, Any]:
    return {"candidate_version": version, "best_version": best, "best_auc_difference_low": low}


def best(*args: Any) -> int | None:
    found = best_so_far(*args)
    return found.version if found else None


def test_before_the_first_there_is_none_and_the_first_is_the_best() -> None:
    assert best([], [], set()) is None
    assert best([live(4)], [decision(4, None, None)], set()) == 4


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (decision(2, 1, 0.001), 2),
        (decision(2, 1, 0.0), 1),
        (decision(2, 1, -0.004), 1),  # better by its point perhaps, not shown to be
        (decision(2, 1, float("nan")), 1),
        (decision(2, 1, None), 1),
        (decision(2, 9, 0.2), 1),  # it met another reference
    ],
)
def test_only_evidence_against_the_reference_moves_it(found: dict[str, Any], expected: int) -> None:
    assert best([live(1), live(2)], [found], set()) == expected
    assert best([live(1)], [found], set()) == 1  # who did not go live is no reference


def test_neither_what_was_left_nor_going_back_is_a_reference() -> None:
    history = [live(1), live(2), live(3), replace(live(2), action="rolled_back")]
    decisions = [decision(2, 1, -0.01), decision(3, 1, 0.05)]
    assert best(history[:3], decisions, set()) == 3
    assert best(history, decisions, {3}) == 1
    assert best(history, decisions, {1, 3}) == 2


def test_who_went_live_by_hand_without_a_comparison_does_not_lower_it() -> None:
    assert best([live(1), replace(live(2), action="promoted_by_hand")], [], set()) == 1


@given(st.lists(st.floats(-0.1, 0.1), max_size=12))
def test_it_never_goes_back_to_one_that_was_beaten(lows: list[float]) -> None:
    history, decisions, seen = [live(1)], [], [1]
    for version, low in enumerate(lows, start=2):
        decisions.append(decision(version, best(history, decisions, set()), low))
        history.append(live(version))
        now = best(history, decisions, set())
        assert now == (version if low > 0 else seen[-1])
        seen.append(now)
    assert seen == sorted(seen)
