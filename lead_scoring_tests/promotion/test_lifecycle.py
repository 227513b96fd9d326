"""Where a version may go from where it stands: one production, refusals in words, and any walk keeps the promises."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lead_scoring_assets.errors import PromotionError
from lead_scoring_assets.promotion.lifecycle import GOES_LIVE, LEAVES_BEHIND, Action, Lifecycle

ACTIONS: tuple[Action, ...] = (
    "proposed",
    "promoted",
    "approved",
    "rolled_out",
    "promoted_by_hand",
    "rolled_back",
    "fell_back",
    "rejected",
)


def after(*steps: tuple[Action, int]) -> Lifecycle:
    found = Lifecycle()
    for action, version in steps:
        found = found.after(action, version)
    return found


def test_the_way_of_a_candidate() -> None:
    assert Lifecycle().stage(1) == "development"
    proposed = after(("promoted", 1), ("proposed", 2))
    assert (proposed.production, proposed.staging) == (1, 2)
    approved = proposed.after("approved", 2)
    assert (approved.production, approved.staging, approved.archived) == (2, None, {1})


def test_a_newer_candidate_takes_the_place_of_one_that_waits() -> None:
    found = after(("promoted", 1), ("proposed", 2), ("proposed", 3))
    assert (found.staging, found.archived) == (3, {2})
    with pytest.raises(PromotionError, match="found it in archived"):
        found.after("approved", 2)
    # One whose rollout was running meanwhile may still reach its end.
    assert found.after("rolled_out", 2).production == 2


@pytest.mark.parametrize(
    ("steps", "action", "version", "told"),
    [
        ((), "approved", 1, "v1 cannot be approved: expected it in staging, found it in development"),
        ((), "rolled_out", 1, "v1 cannot be rolled out: expected it in archived or staging, found it in development"),
        ((), "rolled_back", 1, "cannot be rolled back to: expected it in archived, found it in development"),
        ((("promoted", 1),), "rejected", 1, "found it in production. It is live; `lead-scoring rollback`"),
        ((("promoted", 1),), "promoted_by_hand", 1, "found it in production"),
        ((("promoted", 1), ("promoted", 2)), "rejected", 1, "found it in archived"),
        ((("promoted", 1), ("promoted", 2)), "promoted", 1, "cannot be promoted by the gate"),
        ((("proposed", 1), ("proposed", 2)), "rolled_back", 1, "found that it was never live"),
        (
            (("promoted", 1), ("promoted", 2), ("rolled_back", 1)),
            "fell_back",
            2,
            "found that it was left for another one",
        ),
        ((("rejected", 1),), "promoted_by_hand", 1, "v1 was rejected, expected a version that nobody said no to"),
        ((("proposed", 1), ("rejected", 1)), "proposed", 1, "v1 was rejected"),
    ],
)
def test_an_illegal_step_is_refused_in_words(
    steps: tuple[tuple[Action, int], ...], action: Action, version: int, told: str
) -> None:
    before = after(*steps)
    assert not before.allows(action, version)
    with pytest.raises(PromotionError) as refusal:
        before.after(action, version)
    assert told in str(refusal.value)


@given(st.lists(st.tuples(st.sampled_from(ACTIONS), st.integers(1, 4)), max_size=30))
def test_any_walk_keeps_the_promises(tried: list[tuple[Action, int]]) -> None:
    found, live, rejected = Lifecycle(), None, set[int]()
    for action, version in tried:
        allowed = found.allows(action, version)
        try:
            found = found.after(action, version)
        except PromotionError:
            assert not allowed
            continue
        assert allowed
        if action in LEAVES_BEHIND:
            assert live in found.left
        if action in GOES_LIVE:
            live = version
        if action == "rejected":
            rejected.add(version)
        assert found.production == live
        assert live is None or list(found.stages.values()).count("production") == 1
        assert list(found.stages.values()).count("staging") <= 1
        assert live not in rejected
        assert rejected <= found.archived
        assert live not in found.left
