"""The trees in XGBoost's own file (UBJSON), without importing XGBoost."""

import ctypes
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from lead_scoring_assets.models.learners import ubjson
from lead_scoring_assets.models.learners.forest import Forest
from lead_scoring_assets.models.learners.trees import Split, Tree


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
        [_tree(found) for found in booster["model"]["trees"]],
        int(told["num_feature"]),
        _base_margin(told["base_score"]),
    )


def _tree(found: Mapping[str, Any]) -> Tree:
    left, right = found["left_children"].tolist(), found["right_children"].tolist()
    sets = zip(found["categories_segments"].tolist(), found["categories_sizes"].tolist(), strict=True)
    categories = {
        node: found["categories"][start : start + size]
        for node, (start, size) in zip(found["categories_nodes"].tolist(), sets, strict=True)
    }
    conditions = found["split_conditions"]
    splits = [
        Split(
            column,
            bool(missing_goes_left),
            conditions[node],
            categories[node] if is_category else None,  # which go right
        )
        if child >= 0
        else None
        for node, (child, column, missing_goes_left, is_category) in enumerate(
            zip(left, found["split_indices"].tolist(), found["default_left"], found["split_type"], strict=True)
        )
    ]
    return Tree(left, right, splits, conditions, found["sum_hessian"].tolist())


def _base_margin(base_score: str) -> np.float32:
    """−log(1 / p − 1) by the C library's own 32-bit logarithm, as XGBoost takes it: NumPy's may differ in the last bit."""
    told = json.loads(base_score)
    rate = np.float32(told[0] if isinstance(told, list) else told)
    logf = ctypes.CDLL(None).logf
    logf.restype, logf.argtypes = ctypes.c_float, [ctypes.c_float]
    return np.float32(-logf(np.float32(1) / rate - np.float32(1)))
