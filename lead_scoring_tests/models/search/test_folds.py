"""Folds in time: no label is used before it was known, whatever the arrivals look like."""

from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lead_scoring_assets.models.search.folds import FoldsInTime, time_folds

pytestmark = pytest.mark.filterwarnings("error")

START = np.datetime64("2024-01-01T00:00:00", "us")
HOUR = np.timedelta64(1, "h")


def folds_of(
    hours: list[int], labels: list[int], *, embargo_hours: int = 0, folds: int = 3, rows: int = 1, positives: int = 0
) -> tuple[FoldsInTime, np.ndarray]:
    created_at = START + np.array(hours, dtype=np.int64) * HOUR
    found = time_folds(
        created_at,
        np.array(labels, dtype=np.float64),
        embargo=timedelta(hours=embargo_hours),
        folds=folds,
        minimum_rows=rows,
        minimum_positives=positives,
    )
    return found, created_at


# Few distinct hours, so that leads of one instant and long gaps both occur.
LEADS = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 1)), max_size=80)


@given(
    leads=LEADS,
    embargo_hours=st.integers(0, 40),
    folds=st.integers(2, 8),
    rows=st.integers(1, 12),
    positives=st.integers(0, 4),
)
def test_every_fold_keeps_the_embargo_and_has_what_it_needs(
    leads: list[tuple[int, int]], embargo_hours: int, folds: int, rows: int, positives: int
) -> None:
    hours, labels = [hour for hour, _ in leads], [label for _, label in leads]
    found, created_at = folds_of(
        hours, labels, embargo_hours=embargo_hours, folds=folds, rows=rows, positives=positives
    )
    label = np.array(labels, dtype=np.float64)
    assert len(found.folds) + len(found.left_out) == folds
    for fold in found.folds:
        assert (
            created_at[fold.train].max() + np.timedelta64(timedelta(hours=embargo_hours)) < created_at[fold.test].min()
        )
        for side in (fold.train, fold.test):
            assert list(side) == sorted(set(side))
            assert len(side) >= rows
            assert min(label[side].sum(), (1 - label[side]).sum()) >= positives
            assert 0 <= side.min() <= side.max() < len(leads)
        # Nothing that was known is left out.
        known = created_at + np.timedelta64(timedelta(hours=embargo_hours)) < created_at[fold.test].min()
        assert set(fold.train) == set(np.flatnonzero(known))
    # Leads of one instant stay on one side: neither shared by two blocks, nor cut by a block's border.
    instants = [set(created_at[fold.test].tolist()) for fold in found.folds]
    assert sum(len(block) for block in instants) == len(set().union(*instants))
    for fold in found.folds:
        assert set(fold.test) == set(np.flatnonzero(np.isin(created_at, created_at[fold.test])))
    # Expanding, oldest first.
    for earlier, later in zip(found.folds, found.folds[1:], strict=False):
        assert set(earlier.train) <= set(later.train)
        assert created_at[earlier.test].max() < created_at[later.test].min()


@given(order=st.permutations(range(24)), folds=st.integers(2, 6))
def test_the_order_of_rows_does_not_matter(order: list[int], folds: int) -> None:
    hours, labels = [hour // 2 for hour in range(24)], [hour % 2 for hour in range(24)]
    straight, _ = folds_of(hours, labels, embargo_hours=2, folds=folds)
    mixed, _ = folds_of([hours[i] for i in order], [labels[i] for i in order], embargo_hours=2, folds=folds)
    leads = np.array(order)
    assert [(sorted(leads[f.train]), sorted(leads[f.test])) for f in mixed.folds] == [
        (list(f.train), list(f.test)) for f in straight.folds
    ]


@given(n=st.integers(20, 200), folds=st.integers(2, 8))
def test_blocks_of_equal_count_cover_the_later_half(n: int, folds: int) -> None:
    found, _ = folds_of(list(range(n)), [0] * n, folds=folds)
    assert np.concatenate([fold.test for fold in found.folds]).tolist() == list(range(n // 2, n))
    sizes = [len(fold.test) for fold in found.folds]
    assert max(sizes) - min(sizes) <= 1


def test_a_lead_exactly_one_window_older_is_not_learnt_from() -> None:
    """Half open like the training window: its label becomes known as the block begins, not before."""
    found, _ = folds_of([0, 1, 2, 12, 13, 14], [0, 1] * 3, embargo_hours=10, folds=2)
    assert [fold.train.tolist() for fold in found.folds] == [[0, 1], [0, 1, 2]]


def test_a_fold_without_enough_is_left_out_with_the_reason_in_words() -> None:
    found, _ = folds_of(list(range(20)), [0] * 19 + [1], folds=2, rows=6, positives=1)
    assert found.folds == ()
    assert found.left_out == (
        "fold 1 of 2 left out: 0 of 1 converted leads in training, 5 of 6 leads in test, 0 of 1 converted leads in test",
        "fold 2 of 2 left out: 0 of 1 converted leads in training, 5 of 6 leads in test",
    )


def test_leads_that_all_came_at_once_give_no_fold() -> None:
    found, _ = folds_of([7] * 50, [0, 1] * 25, folds=2)
    assert found.folds == ()
    assert "0 of 1 leads in training" in found.left_out[1]
