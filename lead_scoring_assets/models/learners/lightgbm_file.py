"""The trees in LightGBM's own text, without importing LightGBM."""

from collections.abc import Mapping
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from lead_scoring_assets.models.learners.forest import Forest
from lead_scoring_assets.models.learners.trees import Split, Tree

# Bits of `decision_type`: what a node asks, where missing goes, and (two bits) what counts as missing.
_IS_CATEGORY, _MISSING_GOES_LEFT = 1, 2
_NOTHING_IS_MISSING, _ZERO_IS_MISSING = 0, 1
# Its predictions take a number as small as this for 0.
_NEXT_TO_ZERO = np.float32(1e-35)


def read_forest(content: str) -> Forest | None:
    """None where LightGBM itself has to score: as `Forest.of` says, and for what is no plain binary classifier, has linear
    models in its leaves, or takes zero for missing.

    Raises:
        ValueError, KeyError: the content is no model of LightGBM.
    """
    head, *parts = content.split("\nend of trees\n")[0].split("\nTree=")
    told = _fields(head)
    is_plain = told["objective"].split()[0] == "binary" and told["num_tree_per_iteration"] == "1"
    trees = [_fields(part) for part in parts]
    if not is_plain or "average_output" in head or any(tree["is_linear"] != "0" for tree in trees):
        return None
    kinds = {int(kind) >> 2 for tree in trees for kind in tree.get("decision_type", "").split()}
    if _ZERO_IS_MISSING in kinds:
        return None
    return Forest.of([_tree(tree) for tree in trees], int(told["max_feature_idx"]) + 1, np.float64(0))


def _fields(text: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


def _tree(told: Mapping[str, str]) -> Tree:
    """Its inner nodes first, then its leaves: LightGBM counts both from 0, and marks a leaf by its complement."""
    values = _numbers(told["leaf_value"])
    inner = int(told["num_leaves"]) - 1
    if inner == 0:
        return Tree([-1], [-1], [None], values, [1.0])
    left, right = (
        [child if child >= 0 else inner + ~child for child in map(int, told[name].split())]
        for name in ("left_child", "right_child")
    )
    named = _named(told) if told["num_cat"] != "0" else []
    columns, thresholds = map(int, told["split_feature"].split()), _numbers(told["threshold"])
    decisions = map(int, told["decision_type"].split())
    splits = [
        _split(column, threshold, decision, named)
        for column, threshold, decision in zip(columns, thresholds, decisions, strict=True)
    ]
    covers = [float(count) for name in ("internal_count", "leaf_count") for count in told[name].split()]
    return Tree(left, right, [*splits, *[None] * len(values)], np.concatenate([np.zeros(inner), values]), covers)


def _split(column: int, threshold: np.float64, decision: int, named: list[npt.NDArray[np.int64]]) -> Split:
    if decision & _IS_CATEGORY:
        return Split(column, missing_goes_left=False, categories=named[int(threshold)], named_go_left=True)
    is_missing_zero = decision >> 2 == _NOTHING_IS_MISSING  # then a missing number is taken for 0
    goes_left = threshold >= 0 if is_missing_zero else bool(decision & _MISSING_GOES_LEFT)
    return Split(column, bool(goes_left), _first_right(threshold))


def _first_right(threshold: np.float64) -> np.float32:
    """The smallest 32-bit number that goes right: those at most the threshold go left, those next to 0 where 0 goes."""
    if -_NEXT_TO_ZERO <= threshold <= _NEXT_TO_ZERO:
        return -_NEXT_TO_ZERO if threshold < 0 else np.nextafter(_NEXT_TO_ZERO, np.float32(1))
    with np.errstate(over="ignore"):
        near = np.float32(threshold)
        return near if near > threshold else np.nextafter(near, np.float32(np.inf))


def _named(told: Mapping[str, str]) -> list[npt.NDArray[np.int64]]:
    """The categories that go left, for each such split, from their bits in words of 32."""
    words = [int(word) for word in told["cat_threshold"].split()]
    borders = [int(border) for border in told["cat_boundaries"].split()]
    return [
        np.array(
            [32 * place + bit for place, word in enumerate(words[start:end]) for bit in range(32) if word >> bit & 1],
            np.int64,
        )
        for start, end in pairwise(borders)
    ]


def _numbers(text: str) -> npt.NDArray[np.float64]:
    return np.array([float(number) for number in text.split()])
