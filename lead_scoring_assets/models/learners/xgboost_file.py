"""The trees in XGBoost's own file (UBJSON), without importing XGBoost."""

import ctypes
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from lead_scoring_assets.models.learners import ubjson
from lead_scoring_assets.models.learners.forest import Forest
from lead_scoring_assets.models.learners.trees import LEAF, Sets, Trees, Whole, starts_of


def read_forest(content: bytes) -> Forest | None:
    """None where XGBoost itself has to score: as `Forest.of` says, and for what is no plain binary classifier of one tree a
    round.

    Raises:
        ValueError, KeyError, TypeError: the content is no model of XGBoost.
    """
    learner = ubjson.read(content)["learner"]
    booster, told = learner["gradient_booster"], learner["learner_model_param"]
    is_plain = booster["name"] == "gbtree" and learner["objective"]["name"] == "binary:logistic"
    if not is_plain or told["num_target"] != "1" or told["num_class"] != "0":
        return None
    return Forest.of(
        _trees(booster["model"]["trees"]),
        int(told["num_feature"]),
        _base_margin(told["base_score"]),
    )


def _trees(found: Sequence[Mapping[str, Any]]) -> Trees:
    def joined(name: str, kind: npt.DTypeLike = np.int64) -> npt.NDArray[Any]:
        return np.concatenate([np.empty(0, kind), *(tree[name] for tree in found)]).astype(kind)

    def sizes(name: str) -> Whole:
        return np.array([len(tree[name]) for tree in found], np.int64)

    roots = starts_of(sizes("left_children"))
    begin = np.repeat(roots, sizes("left_children"))
    left, right = joined("left_children"), joined("right_children")
    at = np.repeat(np.arange(len(found)), sizes("categories_nodes"))
    set_of_node = np.full(len(left), -1)
    set_of_node[joined("categories_nodes") + roots[at]] = np.arange(len(at))
    return Trees(
        roots=roots,
        left=np.where(left == LEAF, LEAF, left + begin),
        right=np.where(right == LEAF, LEAF, right + begin),
        columns=joined("split_indices"),
        thresholds=joined("split_conditions", np.float32),
        missing_goes_left=joined("default_left", np.bool_),
        set_of_node=set_of_node,
        sets=Sets(
            joined("categories_segments") + starts_of(sizes("categories"))[at],
            joined("categories_sizes"),
            joined("categories"),
        ),
        named_go_left=False,
        values=joined("split_conditions", np.float32),
        covers=joined("sum_hessian", np.float64),
    )


def _base_margin(base_score: str) -> np.float32:
    """−log(1 / p − 1) by the C library's own 32-bit logarithm, as XGBoost takes it: NumPy's may differ in the last bit."""
    told = json.loads(base_score)
    rate = np.float32(told[0] if isinstance(told, list) else told)
    logf = ctypes.CDLL(None).logf
    logf.restype, logf.argtypes = ctypes.c_float, [ctypes.c_float]
    return np.float32(-logf(np.float32(1) / rate - np.float32(1)))
