"""The reader of XGBoost's binary files: what they hold is what XGBoost's own JSON of the same model says."""

import contextlib
import json
from typing import Any

import numpy as np
import pytest
import xgboost
from hypothesis import given
from hypothesis import strategies as st

from lead_scoring_assets.models.learners import ubjson


@pytest.fixture(scope="module")
def booster() -> xgboost.Booster:
    rng = np.random.default_rng(0)
    matrix = np.column_stack([rng.normal(size=300), rng.integers(0, 9, 300)]).astype(np.float32)
    data = xgboost.DMatrix(matrix, label=rng.integers(0, 2, 300), feature_types=["q", "c"])
    return xgboost.train({"objective": "binary:logistic", "max_depth": 3, "max_cat_to_onehot": 1}, data, 3)


def plain(value: Any) -> Any:
    """Without NumPy, in 64 bits; numbers of 32 bits as JSON writes them."""
    if isinstance(value, np.ndarray):
        return [float(str(number)) if value.dtype.kind == "f" else int(number) for number in value]
    if isinstance(value, list):
        return [plain(one) for one in value]
    return {name: plain(one) for name, one in value.items()} if isinstance(value, dict) else value


def test_a_models_file_holds_what_its_json_says(booster: xgboost.Booster) -> None:
    found = plain(ubjson.read(bytes(booster.save_raw("ubj"))))
    expected = json.loads(bytes(booster.save_raw("json")))
    assert found.keys() == expected.keys()
    trees, others = (model["learner"]["gradient_booster"]["model"].pop("trees") for model in (found, expected))
    assert found == expected
    for tree, other in zip(trees, others, strict=True):
        assert tree.keys() == other.keys()
        for name, values in tree.items():
            # JSON has the shortest digits of 32 bits, of which there may be several.
            same = np.float32(values) == np.float32(other[name]) if name in _SINGLES else values == other[name]
            assert np.all(same), name


_SINGLES = ("base_weights", "loss_changes", "split_conditions", "sum_hessian")


def test_a_file_that_was_cut_off_is_refused_wherever_it_ends(booster: xgboost.Booster) -> None:
    content = bytes(booster.save_raw("ubj"))
    for end in range(0, len(content), 7):
        with pytest.raises(ValueError, match="it "):
            ubjson.read(content[:end])
    with pytest.raises(ValueError, match=f"it ends at byte {len(content):,} of {len(content) + 1:,}"):
        ubjson.read(content + b"Z")


@given(st.binary(max_size=60))
def test_anything_is_read_or_refused(content: bytes) -> None:
    with contextlib.suppress(ValueError):  # UnicodeDecodeError is one
        ubjson.read(content)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"Z", None),
        (b"[TFZ]", [True, False, None]),
        (b"i\xff", -1),
        (b"I\x01\x00", 256),
        (b"D?\xf0\x00\x00\x00\x00\x00\x00", 1.0),
        (b"Si\x03\xe2\x82\xac", "€"),
        (b"[#i\x02i\x01[]", [1, []]),
        (b"{i\x01a{}}", {"a": {}}),
    ],
)
def test_values_of_the_format(content: bytes, expected: object) -> None:
    assert ubjson.read(content) == expected


@pytest.mark.parametrize("content", [b"[" * 100_000, b"X", b"[$S#i\x01", b"Si\xff", b"[$d#i\xff", b"STx"])
def test_what_it_is_not_is_told(content: bytes) -> None:
    with pytest.raises(ValueError, match="it is no"):
        ubjson.read(content)
