"""One row at a time: the same numbers, bit for bit, as whole tables give; down to the calibrated probability."""

import math
import struct
from typing import Any

import numba
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lead_scoring_assets.errors import ScoringError
from lead_scoring_assets.models.calibration import Calibrator
from lead_scoring_assets.models.encoder import Encoder
from lead_scoring_assets.models.learners import effects as effects_of
from lead_scoring_assets.models.learners import lightgbm_trees, logistic, xgboost_trees
from lead_scoring_assets.models.row_scorer import RowScorer
from lead_scoring_assets.models.scorer import Scorer
from lead_scoring_tests.models.scored_leads import RECIPES, SHIPPED, STEEPER, leads
from lead_scoring_tests.models.test_forest import grown

ENCODER = Encoder(numeric=("x", "y"), categories={"colour": ("red", "green", "blue")})
NUMBERS = st.none() | st.floats() | st.integers(-(2**53), 2**53) | st.sampled_from([1e39, -1e39, 3.4028235677973366e38])


@example(x=math.inf, y=1e39, colour="red")
@example(x=-math.inf, y=None, colour=None)
# Two numbers whose bytes have an infinite one between them.
@example(x=struct.unpack("f", b"\x01\x01\x00\x00")[0], y=struct.unpack("f", b"\x80\x7f\x01\x01")[0], colour="blue")
@given(x=NUMBERS, y=NUMBERS, colour=st.sampled_from(["red", "green", "blue", "purple", "", None]))
def test_a_row_is_encoded_as_a_table_is(x: Any, y: Any, colour: str | None) -> None:
    row = {"x": x, "y": y, "colour": colour, "other": 1}
    found = ENCODER.encode_row(row)[None]
    frame = ENCODER.encode(pd.DataFrame([row], dtype=object))
    assert np.array_equal(found, frame, equal_nan=True)
    assert np.array_equal(ENCODER.encode_rows([row, row]), np.concatenate([frame, frame]), equal_nan=True)
    assert not np.isinf(found).any()


@pytest.mark.parametrize("x", [1.0, None, math.inf, 1e39])
def test_what_is_compiled_for_tables_serves_rows_as_well(x: float | None) -> None:
    """Another type of array would be compiled once more, when a server loads the first trees of its machine: for seconds."""
    row = {"x": x, "y": 2, "colour": "red"}
    assert numba.typeof(ENCODER.encode_row(row)) == numba.typeof(ENCODER.encode_rows([row])[0])
    assert numba.typeof(ENCODER.encode_row(row)[None]) == numba.typeof(ENCODER.encode_rows([row]))


def test_a_missing_feature_is_no_null() -> None:
    with pytest.raises(KeyError):
        ENCODER.encode_row({"x": 1.0, "colour": "red"})


@settings(max_examples=300)
@given(
    slope=st.floats(1e-3, 1e3),
    intercept=st.floats(-1e3, 1e3),
    margins=st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=9),
)
def test_one_margin_is_calibrated_as_many_are(slope: float, intercept: float, margins: list[float]) -> None:
    calibrator = Calibrator(slope, intercept)
    assert [calibrator.probability(m) for m in margins] == calibrator.probabilities(np.array(margins)).tolist()


@pytest.mark.parametrize("odds", np.linspace(-800, 800, 41))
def test_the_ends_of_calibration(odds: float) -> None:
    calibrator = Calibrator(1.0, 0.0)
    assert calibrator.probability(odds) == calibrator.probabilities(np.full(17, odds))[3]


@pytest.mark.parametrize("algorithm", ["xgboost", "lightgbm", "logistic"])
def test_a_lead_has_one_score_whichever_way_it_came(algorithm: str) -> None:
    """Through pandas, through Arrow, as rows together and as a row alone."""
    train, some = leads(800), leads(120, seed=5).drop(columns=["split", "label"])
    fit = {"xgboost": xgboost_trees, "lightgbm": lightgbm_trees, "logistic": logistic}[algorithm]
    matrix, labels = SHIPPED.encode(train), train["label"].to_numpy(np.float64)
    fitted = fit.fit(RECIPES[algorithm], matrix, labels, None, SHIPPED.feature_types)
    scorer = Scorer(fit.load(fitted.to_bytes()), SHIPPED, RECIPES[algorithm], STEEPER)
    one = RowScorer(scorer)
    assert one.path == "one_row"
    records = some.astype(object).where(some.notna(), None).to_dict("records")
    expected = scorer.batch_probabilities(pa.RecordBatch.from_pandas(some)).tolist()
    assert [one.probability(record) for record in records] == expected
    assert one.probabilities(records) == scorer.row_probabilities(records).tolist() == expected
    assert one.probabilities([]) == []
    assert scorer.probabilities(some).tolist() == expected
    assert len(set(expected)) > 60
    for record, probability in zip(records[:10], expected, strict=False):
        told = one.contributions(record)
        assert list(told) == [*scorer.columns, "base"]
        assert sum(told.values()) == pytest.approx(math.log(probability / (1 - probability)), abs=1e-5)


SCALES = st.floats(1e-6, 5) | st.just(0.0)
VALUES = st.floats(width=32, allow_infinity=False) | st.integers(-1, 5).map(float)


@given(
    columns=st.lists(
        st.tuples(SCALES, st.floats(-3, 3), st.lists(VALUES, min_size=1, max_size=9)), min_size=1, max_size=4
    ),
    weights=st.lists(st.floats(-2, 2), min_size=3, max_size=3),
)
def test_one_row_of_the_logistic_regression(columns: list[Any], weights: list[float]) -> None:
    """Numbers beyond what they are clipped at, missing ones, columns without a spread, codes that training never met."""
    effects: list[Any] = []
    for scale, low, _ in columns:
        number = effects_of.NumberEffect(low, low + 1, low + 0.3, low + 0.4, scale, weights[0], weights[1])
        effects += [number, effects_of.CategoryEffect((0, 2, 3), tuple(weights), weights[2])]
    model = logistic.LogisticModel(
        0.1, tuple(effects), tuple(0.01 * i for i in range(len(effects))), (1.0,) * len(effects)
    )
    longest = max(len(values) for *_, values in columns)
    rows = np.array(
        [[values[i % len(values)] for *_, values in columns for _ in range(2)] for i in range(longest)], np.float32
    )
    margin = model.row_margin()
    assert np.array([margin(row) for row in rows]).tobytes() == model.margins(rows).tobytes()


def test_tables_that_disagree_with_the_library_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    booster = grown(rounds=3)
    learner = xgboost_trees.load(bytes(booster.save_raw("ubj")))
    encoder = Encoder(numeric=("a", "b", "c"), categories={"d": ("x", "y", "z"), "e": tuple(map(str, range(40)))})
    scorer = Scorer(learner, encoder, RECIPES["xgboost"], STEEPER)
    golden = [{"a": a, "b": 0.5, "c": None, "d": "y", "e": "7"} for a in (-2.0, 0.0, 3.0)]
    assert RowScorer(scorer, golden).path == "one_row"
    right = learner.row_margin()
    assert right is not None
    monkeypatch.setattr(learner, "row_margin", lambda: lambda row: right(row) + (row[0] == 3.0) * 1e-7)
    wary = RowScorer(scorer, golden)
    assert wary.path == "library"
    assert [wary.probability(row) for row in golden] == scorer.row_probabilities(golden).tolist()


def test_log_odds_that_are_no_number_are_refused() -> None:
    class Broken:
        def margins(self, matrix: np.ndarray) -> np.ndarray:
            return np.full(len(matrix), np.nan)

        def row_margin(self) -> None:
            return None

    broken = RowScorer(Scorer(Broken(), ENCODER, RECIPES["logistic"], STEEPER))  # type: ignore[arg-type]
    with pytest.raises(ScoringError, match="finite number"):
        broken.probability({"x": 1.0, "y": None, "colour": "red"})
    with pytest.raises(ScoringError, match="finite number"):
        broken.probabilities([{"x": 1.0, "y": None, "colour": "red"}])
