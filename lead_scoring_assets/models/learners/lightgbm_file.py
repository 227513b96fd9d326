"""The trees in LightGBM's own text, without importing LightGBM."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from lead_scoring_assets.models.learners.forest import Forest
from lead_scoring_assets.models.learners.trees import LEAF, Doubles, Sets, Trees, Whole, starts_of

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
    kinds = {kind for tree in trees for kind in tree.get("decision_type", "").split()}
    if any(int(kind) >> 2 == _ZERO_IS_MISSING for kind in kinds):
        return None
    return Forest.of(_trees(trees), int(told["max_feature_idx"]) + 1, np.float64(0))


def _fields(text: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


def _trees(told: Sequence[Mapping[str, str]]) -> Trees:
    """Of each tree its inner nodes first, then its leaves: LightGBM counts both from 0, and marks a leaf by its complement."""
    grown = [tree for tree in told if tree["num_leaves"] != "1"]  # one that never split tells its value only
    inner = np.array([int(tree["num_leaves"]) - 1 for tree in told], np.int64)
    sizes = 2 * inner + 1
    roots = starts_of(sizes)
    splits = np.flatnonzero(np.arange(sizes.sum()) - np.repeat(roots, sizes) < np.repeat(inner, sizes))
    leaves = np.setdiff1d(np.arange(sizes.sum()), splits, assume_unique=True)

    def of_splits(blank: float, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        found = np.full(sizes.sum(), blank, values.dtype)
        found[splits] = values
        return found

    def children(name: str) -> Whole:
        local = _whole(grown, name)
        first_leaf = np.repeat(inner, inner)
        return of_splits(LEAF, np.repeat(roots, inner) + np.where(local >= 0, local, first_leaf + ~local))

    thresholds, decisions = _numbers(grown, "threshold"), _whole(grown, "decision_type")
    is_category = (decisions & _IS_CATEGORY) != 0
    set_in_tree = np.where(is_category, thresholds, 0).astype(np.int64)
    counts = np.array([int(tree["num_cat"]) for tree in told], np.int64)
    sets_before = np.repeat(starts_of(counts), inner)
    sets = _sets([tree for tree in grown if tree["num_cat"] != "0"])
    # Where nothing counts as missing, a missing number is taken for 0.
    goes_left = np.where(decisions >> 2 == _NOTHING_IS_MISSING, thresholds >= 0, decisions & _MISSING_GOES_LEFT != 0)
    values, covers = of_splits(0, np.zeros(len(splits))), of_splits(1, _numbers(grown, "internal_count"))
    values[leaves] = _numbers(told, "leaf_value")
    covers[leaves[np.repeat(inner > 0, inner + 1)]] = _numbers(grown, "leaf_count")
    return Trees(
        roots=roots,
        left=children("left_child"),
        right=children("right_child"),
        columns=of_splits(0, _whole(grown, "split_feature")),
        thresholds=of_splits(0, _first_right(thresholds)),
        missing_goes_left=of_splits(0, goes_left & ~is_category),
        set_of_node=of_splits(-1, np.where(is_category, sets_before + set_in_tree, -1)),
        sets=sets,
        named_go_left=True,
        values=values,
        covers=covers,
    )


def _first_right(threshold: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """The smallest 32-bit number that goes right: those at most the threshold go left, those next to 0 where 0 goes."""
    with np.errstate(over="ignore"):
        near = threshold.astype(np.float32)
        first = np.where(near > threshold, near, np.nextafter(near, np.float32(np.inf)))
    beside_zero = np.where(threshold < 0, -_NEXT_TO_ZERO, np.nextafter(_NEXT_TO_ZERO, np.float32(1)))
    return np.where(np.abs(threshold) <= _NEXT_TO_ZERO, beside_zero, first)


def _sets(told: Sequence[Mapping[str, str]]) -> Sets:
    """The categories that go left, for each such split, from their bits in words of 32."""
    steps = np.diff(_whole(told, "cat_boundaries"))
    words = steps[steps > 0]  # each tree begins at 0 again
    set_of_word = np.repeat(np.arange(len(words)), words)
    place = np.arange(len(set_of_word)) - starts_of(words)[set_of_word]
    bits = _whole(told, "cat_threshold").astype("<u4").view(np.uint8)
    word, bit = np.nonzero(np.unpackbits(bits, bitorder="little").reshape(-1, 32))
    sizes = np.bincount(set_of_word[word], minlength=len(words))
    return Sets(starts_of(sizes), sizes, 32 * place[word] + bit)


def _whole(told: Sequence[Mapping[str, str]], name: str) -> Whole:
    """What the trees say under this name, one tree after the other."""
    return np.array([*map(int, " ".join(tree[name] for tree in told).split())], np.int64)


def _numbers(told: Sequence[Mapping[str, str]], name: str) -> Doubles:
    return np.array([*map(float, " ".join(tree[name] for tree in told).split())], np.float64)
