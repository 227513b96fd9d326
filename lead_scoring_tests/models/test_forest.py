"""The tables of bit masks: XGBoost's own margins, bit for bit, whatever the trees and the rows."""

from typing import Any

import numpy as np
import pytest
import xgboost
from hypothesis import given, settings
from hypothesis import strategies as st

from lead_scoring_assets.errors import ScoringError
from lead_scoring_assets.models.learners import forest, ubjson, xgboost_trees
from lead_scoring_assets.models.learners.forest import Forest

TYPES = ["q", "q", "q", "c", "c"]
CATEGORIES = (3, 40)
ODD = [np.nan, 0.0, -0.0, 1e-45, -1e-45, 3.4e38, -3.4e38, -1.0, -0.5, 0.5, 2.5, 39.9, 40.0, 1e7, 2.0**24, 3e9]


def grown(seed: int = 0, rounds: int = 8, rows: int = 400, **parameters: Any) -> xgboost.Booster:
    """Trees on numbers with ties, fine numbers and categories, a tenth of them missing."""
    rng = np.random.default_rng(seed)
    numbers = [rng.integers(-3, 4, rows), rng.normal(size=rows), 10.0 ** rng.uniform(-40, 30, rows)]
    matrix = np.column_stack([*numbers, *(rng.integers(0, k, rows) for k in CATEGORIES)]).astype(np.float32)
    odds = matrix[:, 0] + np.sin(matrix[:, 4]) + (matrix[:, 3] == 1) + (matrix[:, 2] > 1)
    labels = rng.random(rows) < 1 / (1 + np.exp(-odds))
    matrix[rng.random(matrix.shape) < 0.1] = np.nan
    data = xgboost.DMatrix(matrix, label=labels, feature_types=TYPES, nthread=1)
    fixed = {"objective": "binary:logistic", "nthread": 1, "seed": seed, "min_child_weight": 0}
    return xgboost.train({**fixed, **parameters}, data, rounds)


def rows_at_the_edges(booster: xgboost.Booster, seed: int, n: int = 300) -> np.ndarray:
    """Each column's own thresholds and the numbers beside them, categories known and unknown, and odd values."""
    rng = np.random.default_rng(seed)
    trees = ubjson.read(bytes(booster.save_raw("ubj")))["learner"]["gradient_booster"]["model"]["trees"]
    columns = []
    for position, kind in enumerate(TYPES):
        met = np.concatenate([tree["split_conditions"][tree["split_indices"] == position] for tree in trees])
        if kind == "c":
            met = np.arange(CATEGORIES[position - 3] + 2, dtype=np.float32)
        beside = [met, np.nextafter(met, np.float32(np.inf)), np.nextafter(met, np.float32(-np.inf))]
        columns.append(rng.choice(np.concatenate([*beside, np.array(ODD, np.float32)]), n))
    return np.column_stack(columns).astype(np.float32)


def own(booster: xgboost.Booster, rows: np.ndarray) -> np.ndarray:
    found: np.ndarray = booster.predict(xgboost.DMatrix(rows, feature_types=TYPES, nthread=1), output_margin=True)
    return found


def compiled(booster: xgboost.Booster) -> Forest:
    found = Forest.from_xgboost(bytes(booster.save_raw("ubj")))
    assert found is not None
    return found


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    rounds=st.integers(1, 12),
    max_depth=st.integers(1, 6),
    extra=st.fixed_dictionaries(
        {},
        optional={
            "base_score": st.floats(0.001, 0.999),
            "max_cat_to_onehot": st.sampled_from([1, 4, 100]),
            "eta": st.floats(0.01, 1),
            "gamma": st.sampled_from([0.0, 0.5, 2.0]),
            "colsample_bytree": st.floats(0.3, 1),
            "num_parallel_tree": st.integers(1, 3),
            "grow_policy": st.sampled_from(["depthwise", "lossguide"]),
            "scale_pos_weight": st.floats(0.1, 10),
        },
    ),
)
def test_any_trees_give_xgboosts_own_margins(seed: int, rounds: int, max_depth: int, extra: dict[str, Any]) -> None:
    booster = grown(seed, rounds, max_depth=max_depth, **extra)
    rows = rows_at_the_edges(booster, seed)
    assert compiled(booster).margins(rows).tobytes() == own(booster, rows).tobytes()


@pytest.mark.parametrize("most", [16, 17, 32, 33, 64])
def test_each_width_of_the_masks(most: int) -> None:
    booster = grown(max_leaves=most, max_depth=0, grow_policy="lossguide", rows=2_000)
    rows = rows_at_the_edges(booster, most)
    assert compiled(booster).margins(rows).tobytes() == own(booster, rows).tobytes()


@pytest.mark.parametrize("base_score", np.linspace(0.01, 0.99, 25))
def test_the_base_margin_of_trees_that_never_split(base_score: float) -> None:
    booster = grown(rounds=2, base_score=base_score, gamma=1e9)
    rows = rows_at_the_edges(booster, 0, 5)
    assert compiled(booster).margins(rows).tobytes() == own(booster, rows).tobytes()


def test_an_infinite_number_goes_the_way_of_the_largest() -> None:
    """XGBoost refuses infinite numbers in a matrix, and the encoder gives none."""
    found = compiled(grown())
    rows = np.full((2, 5), 1.0, np.float32)
    largest, infinite = rows.copy(), rows.copy()
    largest[:, 0], infinite[:, 0] = [3.4e38, -3.4e38], [np.inf, -np.inf]
    assert np.array_equal(found.margins(infinite), found.margins(largest))
    assert found.margins(infinite)[0] != found.margins(infinite)[1]


def test_rows_in_blocks_of_any_size_and_in_any_order_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    booster = grown()
    rows, found = rows_at_the_edges(booster, 1), compiled(booster)
    whole = found.margins(rows)
    assert np.array_equal(found.margins(np.asfortranarray(rows)), whole)
    assert len(rows) < forest._FEW_ROWS
    monkeypatch.setattr(forest, "_FEW_ROWS", 0)
    assert np.array_equal(found.margins(rows), whole)
    for most_rows, mask_bytes in ((7, 1 << 20), (16_384, 100), (50, 1)):
        monkeypatch.setattr(forest, "_ROWS", most_rows)
        monkeypatch.setattr(forest, "_MASK_BYTES", mask_bytes)
        assert np.array_equal(found.margins(rows), whole)


def test_trees_that_are_too_large_are_left_to_xgboost(monkeypatch: pytest.MonkeyPatch) -> None:
    booster = grown(max_depth=12, rows=3_000)
    content = bytes(booster.save_raw("ubj"))
    assert Forest.from_xgboost(content) is None
    rows = rows_at_the_edges(booster, 2)
    assert xgboost_trees.load(content).margins(rows).astype(np.float32).tobytes() == own(booster, rows).tobytes()

    monkeypatch.setattr(forest, "_MOST_TABLE_BYTES", 100)
    assert Forest.from_xgboost(bytes(grown().save_raw("ubj"))) is None


def test_models_that_are_no_plain_classifiers_are_left_to_xgboost() -> None:
    for other in ({"objective": "reg:squarederror"}, {"booster": "dart"}, {"objective": "rank:pairwise"}):
        assert Forest.from_xgboost(bytes(grown(**other).save_raw("ubj"))) is None


def test_a_matrix_of_other_columns_is_refused() -> None:
    with pytest.raises(ScoringError, match="the trees read 5 columns, found a matrix of 4"):
        compiled(grown()).margins(np.zeros((3, 4), np.float32))


def test_trees_with_a_circle_are_refused() -> None:
    content = bytes(grown(rounds=1).save_raw("ubj"))
    name = b"left_children[$l#L"
    start = content.index(name) + len(name) + 8
    looped = content[:start] + b"\x00\x00\x00\x00" + content[start + 4 :]
    with pytest.raises(ValueError, match="tree 0 has a circle"):
        Forest.from_xgboost(looped)
