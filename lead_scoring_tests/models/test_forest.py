"""The tables of bit masks: XGBoost's and LightGBM's own margins, bit for bit, whatever the trees and the rows."""

import subprocess
import sys
from itertools import permutations
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pytest
import xgboost
from hypothesis import given, settings
from hypothesis import strategies as st

from lead_scoring_assets.errors import LakehouseError, ScoringError
from lead_scoring_assets.models import learners
from lead_scoring_assets.models.learners import (
    forest,
    lightgbm_file,
    lightgbm_trees,
    ubjson,
    xgboost_file,
    xgboost_trees,
)
from lead_scoring_assets.models.learners.forest import Forest
from lead_scoring_assets.models.learners.trees import LEAF, Trees

TYPES = ["q", "q", "q", "c", "c"]
CATEGORIES = (3, 40)
ODD = [np.nan, 0.0, -0.0, 1e-45, -1e-45, 3.4e38, -3.4e38, -1.0, -0.5, 0.5, 2.5, 39.9, 40.0, 1e7, 2.0**24, 3e9]


def grown(seed: int = 0, rounds: int = 8, rows: int = 400, **parameters: Any) -> xgboost.Booster:
    """Trees on `leads`."""
    matrix, labels = leads(seed, rows)
    data = xgboost.DMatrix(matrix, label=labels, feature_types=TYPES, nthread=1)
    fixed = {"objective": "binary:logistic", "nthread": 1, "seed": seed, "min_child_weight": 0}
    return xgboost.train({**fixed, **parameters}, data, rounds)


def leads(seed: int, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Numbers with ties, fine numbers and categories, a tenth of them missing."""
    rng = np.random.default_rng(seed)
    numbers = [rng.integers(-3, 4, rows), rng.normal(size=rows), 10.0 ** rng.uniform(-40, 30, rows)]
    matrix = np.column_stack([*numbers, *(rng.integers(0, k, rows) for k in CATEGORIES)]).astype(np.float32)
    odds = matrix[:, 0] + np.sin(matrix[:, 4]) + (matrix[:, 3] == 1) + (matrix[:, 2] > 1)
    labels = rng.random(rows) < 1 / (1 + np.exp(-odds))
    matrix[rng.random(matrix.shape) < 0.1] = np.nan
    return matrix, labels


def rows_at_the_edges(booster: xgboost.Booster, seed: int, n: int = 300) -> np.ndarray:
    """Rows of `at_the_edges` of a booster's thresholds."""
    trees = ubjson.read(bytes(booster.save_raw("ubj")))["learner"]["gradient_booster"]["model"]["trees"]
    met = [
        np.concatenate([tree["split_conditions"][tree["split_indices"] == position] for tree in trees])
        for position in range(len(TYPES))
    ]
    return at_the_edges(met, seed, n)


def at_the_edges(thresholds: list[np.ndarray], seed: int, n: int) -> np.ndarray:
    """Each column's own thresholds and the numbers beside them, categories known and unknown, and odd values."""
    rng = np.random.default_rng(seed)
    columns = []
    for position, (kind, met) in enumerate(zip(TYPES, thresholds, strict=True)):
        if kind == "c":
            met = np.arange(CATEGORIES[position - 3] + 2, dtype=np.float32)
        beside = [met, np.nextafter(met, np.float32(np.inf)), np.nextafter(met, np.float32(-np.inf))]
        columns.append(rng.choice(np.concatenate([*beside, np.array(ODD, np.float32)]), n))
    return np.column_stack(columns).astype(np.float32)


def own(booster: xgboost.Booster, rows: np.ndarray) -> np.ndarray:
    found: np.ndarray = booster.predict(xgboost.DMatrix(rows, feature_types=TYPES, nthread=1), output_margin=True)
    return found


def compiled(booster: xgboost.Booster) -> Forest:
    found = xgboost_file.read_forest(bytes(booster.save_raw("ubj")))
    assert found is not None
    return found


def assert_bits(found: Forest, rows: np.ndarray, expected: np.ndarray) -> None:
    """Of all rows together, and of each by itself."""
    assert found.margins(rows).tobytes() == expected.tobytes()
    margin = found.row_margin()
    assert np.array([margin(row) for row in rows], expected.dtype).tobytes() == expected.tobytes()


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
    assert_bits(compiled(booster), rows, own(booster, rows))


@pytest.mark.parametrize("most", [16, 17, 32, 33, 64])
def test_each_width_of_the_masks(most: int) -> None:
    booster = grown(max_leaves=most, max_depth=0, grow_policy="lossguide", rows=2_000)
    rows = rows_at_the_edges(booster, most)
    assert_bits(compiled(booster), rows, own(booster, rows))


@pytest.mark.parametrize("base_score", np.linspace(0.01, 0.99, 25))
def test_the_base_margin_of_trees_that_never_split(base_score: float) -> None:
    booster = grown(rounds=2, base_score=base_score, gamma=1e9)
    rows = rows_at_the_edges(booster, 0, 5)
    assert_bits(compiled(booster), rows, own(booster, rows))


def test_an_infinite_number_goes_the_way_of_the_largest() -> None:
    """XGBoost refuses infinite numbers in a matrix, and the encoder gives none."""
    found = compiled(grown())
    rows = np.full((2, 5), 1.0, np.float32)
    largest, infinite = rows.copy(), rows.copy()
    largest[:, 0], infinite[:, 0] = [3.4e38, -3.4e38], [np.inf, -np.inf]
    assert np.array_equal(found.margins(infinite), found.margins(largest))
    assert found.margins(infinite)[0] != found.margins(infinite)[1]


def test_rows_in_any_order_of_memory() -> None:
    booster = grown()
    rows, found = rows_at_the_edges(booster, 1), compiled(booster)
    whole = found.margins(rows)
    assert np.array_equal(found.margins(np.asfortranarray(rows)), whole)
    assert np.array_equal(found.margins(rows[::-1]), whole[::-1])
    assert found.margins(rows[:0]).shape == (0,)


def test_trees_that_are_too_large_are_left_to_xgboost(monkeypatch: pytest.MonkeyPatch) -> None:
    booster = grown(max_depth=12, rows=3_000)
    content = bytes(booster.save_raw("ubj"))
    assert xgboost_file.read_forest(content) is None
    rows = rows_at_the_edges(booster, 2)
    assert xgboost_trees.load(content).margins(rows).astype(np.float32).tobytes() == own(booster, rows).tobytes()

    monkeypatch.setattr(forest, "_MOST_TABLE_BYTES", 100)
    assert xgboost_file.read_forest(bytes(grown().save_raw("ubj"))) is None


def test_models_that_are_no_plain_classifiers_are_left_to_xgboost() -> None:
    for other in ({"objective": "reg:squarederror"}, {"booster": "dart"}, {"objective": "rank:pairwise"}):
        assert xgboost_file.read_forest(bytes(grown(**other).save_raw("ubj"))) is None


def test_a_matrix_of_other_columns_is_refused() -> None:
    with pytest.raises(ScoringError, match="the trees read 5 columns, found a matrix of 4"):
        compiled(grown()).margins(np.zeros((3, 4), np.float32))


def test_trees_with_a_circle_are_refused() -> None:
    content = bytes(grown(rounds=1).save_raw("ubj"))
    name = b"left_children[$l#L"
    start = content.index(name) + len(name) + 8
    looped = content[:start] + b"\x00\x00\x00\x00" + content[start + 4 :]
    with pytest.raises(ValueError, match="a tree has a circle"):
        xgboost_file.read_forest(looped)


def test_a_child_that_is_no_node_of_its_tree_is_refused() -> None:
    content = bytes(grown(rounds=2).save_raw("ubj"))
    name = b"left_children[$l#L"
    start = content.index(name) + len(name) + 8
    strange = content[:start] + (1_000).to_bytes(4) + content[start + 4 :]
    with pytest.raises(ValueError, match="a tree names a node that it does not have"):
        xgboost_file.read_forest(strange)


def test_categories_of_a_node_that_is_not_there_are_told_in_words() -> None:
    content = bytes(grown(rounds=1).save_raw("ubj"))
    name = b"categories_nodes[$l#L"
    start = content.index(name) + len(name) + 8
    strange = content[:start] + (1_000_000).to_bytes(4) + content[start + 4 :]
    with pytest.raises(LakehouseError, match="content is not a model of xgboost"):
        learners.load("xgboost", strange)


def test_a_column_that_the_rows_do_not_have_is_refused() -> None:
    with pytest.raises(ValueError, match="the trees ask column 4 of 4"):
        Forest.of(compiled(grown()).trees, 4, np.float32(0))


def test_who_has_woken_the_loops_imports_nothing_for_the_first_trees(tmp_path: Path) -> None:
    """Importing takes seconds on a busy machine, and then the champion before would go on answering for them."""
    compiled(grown()).row_margin()  # whoever trained the first trees has compiled the loop
    (tmp_path / "model.ubj").write_bytes(bytes(grown().save_raw("ubj")))
    program = f"""
import sys
from pathlib import Path
from lead_scoring_assets.models.learners import kernel, xgboost_file
kernel.wake()
before = set(sys.modules)
forest = xgboost_file.read_forest(Path({str(tmp_path / "model.ubj")!r}).read_bytes())
forest.row_margin()
assert "numba" in before
print(sorted(set(sys.modules) - before))
"""
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert told.stdout == "[]\n", told.stdout + told.stderr


# LightGBM: thresholds and sums have 64 bits, categories that are named go left, and missing may be taken for 0.


def grown_by_lightgbm(seed: int = 0, rounds: int = 8, rows: int = 400, **parameters: Any) -> lightgbm.Booster:
    matrix, labels = leads(seed, rows)
    fixed = {"objective": "binary", "num_threads": 1, "seed": seed, "verbosity": -1, "min_data_in_leaf": 1}
    categories = [position for position, kind in enumerate(TYPES) if kind == "c"]
    data = lightgbm.Dataset(matrix, label=labels, categorical_feature=categories, params={"verbosity": -1})
    booster = lightgbm.train({**fixed, **parameters}, data, rounds)
    return lightgbm.Booster(model_str=booster.model_to_string())


def edges_of_lightgbm(booster: lightgbm.Booster, seed: int, n: int = 300) -> np.ndarray:
    met: list[list[float]] = [[0.0] for _ in TYPES]
    for tree in booster.dump_model()["tree_info"]:
        waiting = [tree["tree_structure"]]
        while waiting:
            node = waiting.pop()
            if "split_feature" in node:
                waiting += [node["left_child"], node["right_child"]]
                if node["decision_type"] == "<=":
                    met[node["split_feature"]].append(node["threshold"])
    with np.errstate(over="ignore"):
        rows = at_the_edges([np.array(column).astype(np.float32) for column in met], seed, n)
    rows[np.isinf(rows)] = np.nan
    # It takes a category above -1 for 0; the encoder gives whole ones.
    rows[:, TYPES.index("c") :] = np.trunc(rows[:, TYPES.index("c") :]) + 0.0
    return rows


def own_of_lightgbm(booster: lightgbm.Booster, rows: np.ndarray) -> np.ndarray:
    found: np.ndarray = booster.predict(rows, raw_score=True, num_threads=1)
    return found


def compiled_of_lightgbm(booster: lightgbm.Booster) -> Forest | None:
    return lightgbm_file.read_forest(booster.model_to_string())


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    rounds=st.integers(1, 12),
    num_leaves=st.integers(2, 64),
    extra=st.fixed_dictionaries(
        {},
        optional={
            "use_missing": st.booleans(),
            "max_bin": st.sampled_from([2, 3, 15, 255]),
            "max_cat_to_onehot": st.sampled_from([1, 4, 100]),
            "cat_smooth": st.sampled_from([0.0, 10.0]),
            "min_data_per_group": st.sampled_from([1, 50]),
            "learning_rate": st.floats(0.01, 1),
            "min_gain_to_split": st.sampled_from([0.0, 1.0, 1e9]),
            "feature_fraction": st.floats(0.3, 1),
            "boost_from_average": st.booleans(),
            "scale_pos_weight": st.floats(0.1, 10),
            "boosting": st.sampled_from(["gbdt", "dart", "goss"]),
        },
    ),
)
def test_any_trees_give_lightgbms_own_margins(seed: int, rounds: int, num_leaves: int, extra: dict[str, Any]) -> None:
    booster = grown_by_lightgbm(seed, rounds, num_leaves=num_leaves, **extra)
    rows, found = edges_of_lightgbm(booster, seed), compiled_of_lightgbm(booster)
    assert found is not None
    assert_bits(found, rows, own_of_lightgbm(booster, rows))


@pytest.mark.parametrize(
    "other",
    [
        {"zero_as_missing": True},
        {"linear_tree": True},
        {"boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.5},
        {"objective": "regression"},
        {"num_leaves": 80, "rows": 3_000},
    ],
)
def test_what_the_tables_cannot_say_is_left_to_lightgbm(other: dict[str, Any]) -> None:
    booster = grown_by_lightgbm(**other)
    assert compiled_of_lightgbm(booster) is None
    rows = edges_of_lightgbm(booster, 0)
    learner = lightgbm_trees.load(booster.model_to_string().encode())
    assert learner.row_margin() is None
    assert learner.margins(rows).tobytes() == own_of_lightgbm(booster, rows).tobytes()


# Contributions.


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    rounds=st.integers(1, 12),
    max_depth=st.integers(1, 6),
    one_hot=st.sampled_from([1, 4, 100]),
)
def test_contributions_are_xgboosts_own(seed: int, rounds: int, max_depth: int, one_hot: int) -> None:
    """Which has 32 bits for them."""
    booster = grown(seed, rounds, max_depth=max_depth, max_cat_to_onehot=one_hot)
    rows = rows_at_the_edges(booster, seed, 60)
    expected = booster.predict(xgboost.DMatrix(rows, feature_types=TYPES, nthread=1), pred_contribs=True)
    np.testing.assert_allclose(compiled(booster).contributions(rows), expected, rtol=1e-4, atol=1e-4)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    rounds=st.integers(1, 12),
    num_leaves=st.integers(2, 64),
    use_missing=st.booleans(),
)
def test_contributions_are_lightgbms_own(seed: int, rounds: int, num_leaves: int, use_missing: bool) -> None:
    booster = grown_by_lightgbm(seed, rounds, num_leaves=num_leaves, use_missing=use_missing)
    rows, found = edges_of_lightgbm(booster, seed, 60), compiled_of_lightgbm(booster)
    assert found is not None
    expected = booster.predict(rows, pred_contrib=True, num_threads=1)
    np.testing.assert_allclose(found.contributions(rows), expected, rtol=1e-9, atol=1e-9)


def expected_of(trees: Trees, row: np.ndarray, known: set[int], node: int) -> float:
    """The value of a leaf; where the column that is asked is not known, both ways, weighed by training rows."""
    ways = [int(trees.left[node]), int(trees.right[node])]
    if ways[0] == LEAF:
        return float(trees.values[node])
    column = int(trees.columns[node])
    if column not in known:
        return sum(trees.covers[way] / trees.covers[node] * expected_of(trees, row, known, way) for way in ways)
    value, named = row[column], trees.set_of_node[node]
    if np.isnan(value):
        goes_left = trees.missing_goes_left[node]
    elif named < 0:
        goes_left = value < trees.thresholds[node]
    else:
        start = trees.sets.starts[named]
        goes_left = (int(value) in trees.sets.values[start : start + trees.sets.sizes[named]]) == trees.named_go_left
    return expected_of(trees, row, known, ways[0 if goes_left else 1])


def test_contributions_are_shapley_values_by_their_definition() -> None:
    """The mean, over all orders in which columns may become known, of what a column changes."""
    booster = grown(rounds=3, max_depth=6)
    found = compiled(booster)
    orders = [*permutations(range(len(TYPES)))]
    for row in rows_at_the_edges(booster, 4, 10):
        expected = np.zeros(len(TYPES) + 1)

        def value(known: set[int], row: np.ndarray = row) -> float:
            return float(found.base) + sum(expected_of(found.trees, row, known, root) for root in found.trees.roots)

        expected[-1] = value(set())
        for order in orders:
            for place, column in enumerate(order):
                before, after = set(order[:place]), set(order[: place + 1])
                expected[column] += (value(after) - value(before)) / len(orders)
        np.testing.assert_allclose(found.contributions(row[None])[0], expected, rtol=0, atol=1e-6)


def test_a_forest_of_no_splits_has_a_base_and_no_contributions() -> None:
    found = compiled(grown(rounds=2, gamma=1e9))
    rows = np.zeros((3, 5), np.float32)
    told = found.contributions(rows)
    assert not told[:, :-1].any()
    np.testing.assert_allclose(told[:, -1], found.margins(rows), rtol=0, atol=1e-6)


@pytest.mark.parametrize("threshold", [0.1, 1e-30, -1e-30, 1e300, -3e38, 16777217.0, 3.0])
def test_a_threshold_of_64_bits_parts_the_numbers_of_32_bits_as_itself(threshold: float) -> None:
    first = lightgbm_file._first_right(np.array([threshold]))[0]
    assert float(first) > threshold
    assert float(np.nextafter(first, np.float32(-np.inf))) <= threshold
