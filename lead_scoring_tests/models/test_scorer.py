"""The scorer: the learner's own log odds, calibrated probabilities, contributions that add up, whatever the request."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import xgboost
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import logit

from lead_scoring_assets.models import scorer as scorer_module
from lead_scoring_assets.models.calibration import Calibrator, identity
from lead_scoring_assets.models.learners import Learner, load
from lead_scoring_assets.models.scorer import Scorer
from lead_scoring_assets.models.training import fit_model
from lead_scoring_tests.models.scored_leads import RECIPES, SHIPPED, STEEPER, leads

LEADS, OTHERS = leads(1_000), leads(1_000, seed=1)
each = pytest.mark.parametrize("algorithm", RECIPES)


@pytest.fixture(scope="module")
def learners() -> dict[str, Learner]:
    return {algorithm: fit_model(LEADS, SHIPPED, recipe) for algorithm, recipe in RECIPES.items()}


def scorer_of(learners: dict[str, Learner], algorithm: str, calibrator: Calibrator = STEEPER) -> Scorer:
    return Scorer(learners[algorithm], SHIPPED, RECIPES[algorithm], calibrator)


@pytest.fixture(params=RECIPES)
def scorer(learners: dict[str, Learner], request: pytest.FixtureRequest) -> Scorer:
    return scorer_of(learners, request.param)


@pytest.mark.parametrize("calibrator", [identity(), STEEPER])
def test_margins_are_xgboosts_own_bit_for_bit(learners: dict[str, Learner], calibrator: Calibrator) -> None:
    booster = xgboost.Booster(model_file=bytearray(learners["xgboost"].to_bytes()))
    matrix = xgboost.DMatrix(SHIPPED.encode(OTHERS), feature_types=SHIPPED.feature_types)
    found = scorer_of(learners, "xgboost", calibrator).margins(OTHERS)
    assert found.dtype == np.float64
    assert np.array_equal(found, booster.predict(matrix, output_margin=True).astype(np.float64))


def test_uncalibrated_probabilities_are_xgboosts_own(learners: dict[str, Learner]) -> None:
    """To the last of its 32 bits; ours have 64, so that log odds can be taken back from them."""
    booster = xgboost.Booster(model_file=bytearray(learners["xgboost"].to_bytes()))
    matrix = xgboost.DMatrix(SHIPPED.encode(OTHERS), feature_types=SHIPPED.feature_types)
    found = scorer_of(learners, "xgboost", identity()).probabilities(OTHERS)
    np.testing.assert_allclose(found, booster.predict(matrix), rtol=3e-7, atol=0)


def test_scores_are_probabilities_and_not_classes(learners: dict[str, Learner]) -> None:
    for algorithm in RECIPES:
        scorer = scorer_of(learners, algorithm, identity())
        for scores in (scorer.probabilities(LEADS), scorer.predict(LEADS)):
            assert np.unique(scores).size > 100
            assert ((scores > 0) & (scores < 1)).all()
        assert abs(scores.mean() - LEADS["label"].mean()) < 0.02


def test_probabilities_are_the_calibrated_margins(scorer: Scorer) -> None:
    log_odds = 1.7 * scorer.margins(OTHERS) - 0.4
    np.testing.assert_allclose(logit(scorer.probabilities(OTHERS)), log_odds, rtol=0, atol=1e-9)


@each
@given(slope=st.floats(0.05, 2), intercept=st.floats(-3, 3))
def test_contributions_add_up_to_the_log_odds_of_the_probability(
    learners: dict[str, Learner], algorithm: str, slope: float, intercept: float
) -> None:
    scorer = scorer_of(learners, algorithm, Calibrator(slope, intercept))
    rows = OTHERS.head(50)
    contributions = scorer.contributions(rows)
    assert contributions.shape == (50, len(SHIPPED.columns) + 1)
    np.testing.assert_allclose(contributions.sum(axis=1), logit(scorer.probabilities(rows)), rtol=0, atol=1e-5)
    assert np.ptp(contributions[:, -1]) < 1e-9


def test_contributions_name_what_decides(scorer: Scorer) -> None:
    """Age and housing are what the outcomes were drawn from."""
    sizes = np.abs(scorer.contributions(OTHERS)[:, :-1]).mean(axis=0)
    assert {scorer.columns[i] for i in np.argsort(sizes)[-2:]} == {"age", "housing"}
    shares = scorer.importance()
    assert list(shares) == scorer.columns
    assert max(shares, key=lambda name: shares[name]) == "age"


def test_a_score_depends_on_its_own_row_only(scorer: Scorer) -> None:
    together = scorer.probabilities(LEADS)
    order = np.random.default_rng(0).permutation(len(LEADS))
    assert np.array_equal(scorer.probabilities(LEADS.iloc[order]), together[order])
    for i in range(20):
        assert scorer.probabilities(LEADS.iloc[[i]])[0] == together[i]
    assert np.array_equal(scorer.probabilities(LEADS[LEADS.columns[::-1]]), together)


def test_large_frames_are_scored_in_chunks_with_the_same_result(
    scorer: Scorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = scorer.probabilities(LEADS), scorer.contributions(LEADS)
    seen: list[int] = []
    encode = SHIPPED.encode
    monkeypatch.setattr(type(SHIPPED), "encode", lambda _, rows: (seen.append(len(rows)), encode(rows))[1])
    monkeypatch.setattr(scorer_module, "_CHUNK", 300)
    assert np.array_equal(scorer.probabilities(LEADS), whole[0])
    assert seen == [300, 300, 300, 100]
    assert np.array_equal(scorer.contributions(LEADS), whole[1])


@each
def test_a_batch_of_arrow_gets_the_scores_of_its_frame(learners: dict[str, Learner], algorithm: str) -> None:
    """Fitted or read back: the same bits."""
    batch = pa.RecordBatch.from_pandas(OTHERS)
    expected = scorer_of(learners, algorithm).probabilities(OTHERS)
    back = Scorer(load(algorithm, learners[algorithm].to_bytes()), SHIPPED, RECIPES[algorithm], STEEPER)  # type: ignore[arg-type]
    assert np.array_equal(back.probabilities(OTHERS), expected)
    for scorer in (scorer_of(learners, algorithm), back):
        assert np.array_equal(scorer.batch_probabilities(batch), expected)
    assert back.batch_probabilities(batch.slice(0, 0)).shape == (0,)


def test_the_label_and_other_columns_do_not_move_a_score(scorer: Scorer) -> None:
    other = LEADS.assign(label=1 - LEADS["label"], duration=LEADS["label"] * 100.0)
    assert np.array_equal(scorer.probabilities(other), scorer.probabilities(LEADS))
    assert not np.array_equal(scorer.probabilities(LEADS.assign(age=90.0)), scorer.probabilities(LEADS))


def test_no_leads_no_scores(scorer: Scorer) -> None:
    assert scorer.probabilities(LEADS.head(0)).shape == (0,)
    assert scorer.margins(LEADS.head(0)).shape == (0,)
    assert scorer.contributions(LEADS.head(0)).shape == (0, len(SHIPPED.columns) + 1)


def test_leads_of_which_nothing_is_known_get_a_score(scorer: Scorer) -> None:
    nothing = pd.DataFrame({name: [None, "never seen", np.inf] for name in SHIPPED.columns})
    scores = scorer.probabilities(nothing)
    assert np.unique(scores).size == 1
    assert 0 < scores[0] < 1


def test_a_column_that_is_not_there_is_named(scorer: Scorer) -> None:
    for scores in (scorer.probabilities, scorer.contributions):
        with pytest.raises(KeyError, match="balance"):
            scores(LEADS.drop(columns="balance"))


def test_the_scorer_says_what_it_is(scorer: Scorer) -> None:
    assert scorer.columns == SHIPPED.columns
    assert scorer.recipe in RECIPES.values()
    assert scorer.calibrator == STEEPER
