"""Three learners, one interface: signals are found, contributions add up, bytes repeat, nonsense is refused in words."""

import hashlib
import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import xgboost
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, logit

from lead_scoring_assets.errors import LakehouseError, TrainingError
from lead_scoring_assets.evaluation.metrics import auc
from lead_scoring_assets.models.learners import Learner, balanced_weights, fit, load
from lead_scoring_assets.models.learners.effects import CategoryEffect, NumberEffect
from lead_scoring_assets.models.learners.lightgbm_trees import PARAMETERS
from lead_scoring_assets.models.learners.logistic import LogisticModel
from lead_scoring_assets.models.recipe import Recipe

TYPES = ["q", "q", "q", "c", "c"]
QUICK = {
    "xgboost": {"rounds": 30, "max_depth": 3, "eta": 0.15, "subsample": 0.8, "colsample_bytree": 0.8},
    "lightgbm": {"rounds": 30, "num_leaves": 7, "bagging_fraction": 0.8, "bagging_freq": 1, "feature_fraction": 0.8},
    "logistic": {"C": 1.0},
}
ALGORITHMS = tuple(QUICK)
each = pytest.mark.parametrize("algorithm", ALGORITHMS)


def recipe_of(algorithm: str, class_weight: str = "none", seed: int = 1, **parameters: object) -> Recipe:
    return Recipe(algorithm, {**QUICK[algorithm], **parameters}, class_weight, seed)  # type: ignore[arg-type]


def leads(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Two numbers and one category that count, one of each that does not; a tenth of everything is missing."""
    rng = np.random.default_rng(seed)
    matrix = np.column_stack([rng.normal(size=(n, 3)), rng.integers(0, 6, n), rng.integers(0, 3, n)]).astype(np.float32)
    odds = matrix[:, 0] - 0.5 * matrix[:, 1] + np.array([0, 1, -1, 0.5, 0, -0.5])[matrix[:, 3].astype(int)] - 1.5
    matrix[rng.random(matrix.shape) < 0.1] = np.nan
    return matrix, (rng.random(n) < expit(odds)).astype(np.float64)


MATRIX, LABELS = leads(3_000)
FRESH, FRESH_LABELS = leads(3_000, seed=1)


@pytest.fixture(scope="module")
def fitted() -> dict[str, Learner]:
    return {algorithm: fit(recipe_of(algorithm), MATRIX, LABELS, TYPES) for algorithm in ALGORITHMS}


# What is learned.


@each
def test_a_planted_signal_is_found(fitted: dict[str, Learner], algorithm: str) -> None:
    margins = fitted[algorithm].margins(FRESH)
    assert margins.dtype == np.float64
    assert auc(FRESH_LABELS, margins).value > 0.72
    error = np.sqrt(2 * LABELS.mean() * (1 - LABELS.mean()) / len(LABELS))
    assert abs(expit(margins).mean() - FRESH_LABELS.mean()) < 4 * error
    importance = fitted[algorithm].importance()
    assert importance.shape == (5,)
    assert importance.sum() == pytest.approx(1)
    assert (importance >= 0).all()
    assert set(np.argsort(importance)[-3:]) == {0, 1, 3}


@each
def test_in_a_world_without_signal_there_is_none(algorithm: str) -> None:
    """The AUC of 3,000 leads of pure noise has a standard error of about 0.011 (Hanley and McNeil)."""
    rng = np.random.default_rng(2)
    noise, fresh_noise = rng.permutation(LABELS), rng.permutation(FRESH_LABELS)
    margins = fit(recipe_of(algorithm), MATRIX, noise, TYPES).margins(FRESH)
    m, k = fresh_noise.sum(), (1 - fresh_noise).sum()
    assert abs(auc(fresh_noise, margins).value - 0.5) < 4 * np.sqrt((m + k + 1) / (12 * m * k))


def test_margins_of_xgboost_are_its_own_bit_for_bit(fitted: dict[str, Learner]) -> None:
    booster = xgboost.Booster(model_file=bytearray(fitted["xgboost"].to_bytes()))
    expected = booster.predict(xgboost.DMatrix(FRESH, feature_types=TYPES), output_margin=True)
    assert fitted["xgboost"].margins(FRESH).astype(np.float32).tobytes() == expected.tobytes()


def test_class_weights_are_sample_weights() -> None:
    weights = balanced_weights(np.array([1.0, 0, 0, 0]))
    assert weights.tolist() == [2, 2 / 3, 2 / 3, 2 / 3]
    assert weights.sum() == pytest.approx(4)


@each
def test_balanced_weights_move_the_margins_by_about_the_log_of_the_odds(algorithm: str) -> None:
    """Weighting a class by w adds log w to the true log odds."""
    plain = fit(recipe_of(algorithm), MATRIX, LABELS, TYPES).margins(FRESH)
    balanced = fit(recipe_of(algorithm, "balanced"), MATRIX, LABELS, TYPES).margins(FRESH)
    assert np.median(balanced - plain) == pytest.approx(-logit(LABELS.mean()), abs=0.2)


# Contributions.


@each
def test_contributions_add_up_to_the_margin(fitted: dict[str, Learner], algorithm: str) -> None:
    contributions = fitted[algorithm].contributions(FRESH)
    assert contributions.shape == (3_000, 6)
    np.testing.assert_allclose(contributions.sum(axis=1), fitted[algorithm].margins(FRESH), rtol=0, atol=1e-5)
    assert np.ptp(contributions[:, -1]) < 1e-9  # the base is one number
    assert abs(contributions[:, :-1].mean()) < 0.1  # and the middle of the training rows, about


def test_contributions_add_up_in_large_models_as_well() -> None:
    """XGBoost's own are summed in 32 bits, and 1e-5 off there."""
    learner = fit(recipe_of("xgboost", rounds=300, max_depth=8), MATRIX, LABELS, TYPES)
    rows = FRESH[:100]
    found = learner.contributions(rows)
    np.testing.assert_allclose(found.sum(axis=1), learner.margins(rows), rtol=0, atol=1e-6)
    booster = xgboost.Booster(model_file=bytearray(learner.to_bytes()))
    own = booster.predict(xgboost.DMatrix(rows, feature_types=TYPES), pred_contribs=True)
    np.testing.assert_allclose(found, own, rtol=1e-4, atol=1e-4)
    assert np.ptp(found[:, -1]) == 0


def shapley_of_two(learner: Learner, row: np.ndarray, background: np.ndarray) -> np.ndarray:
    """Shapley values of a model of two columns by their definition, expectations taken over independent columns."""

    def expected(known: tuple[int, ...]) -> float:
        filled = background.copy()
        filled[:, list(known)] = row[list(known)]
        return float(learner.margins(filled).mean())

    none, first, second, both = (expected(known) for known in ((), (0,), (1,), (0, 1)))
    return np.array([(first - none + both - second) / 2, (second - none + both - first) / 2, none])


def test_contributions_of_the_logistic_regression_are_shapley_values() -> None:
    matrix, labels = MATRIX[:, [0, 3]], LABELS
    learner = fit(recipe_of("logistic"), matrix, labels, ["q", "c"])
    for row in FRESH[:20, [0, 3]]:
        expected = shapley_of_two(learner, row, matrix)
        np.testing.assert_allclose(learner.contributions(row[None, :])[0], expected, atol=1e-9)


@each
def test_a_column_that_does_not_count_contributes_nothing(algorithm: str) -> None:
    matrix = MATRIX.copy()
    matrix[:, 2] = 1.0
    learner = fit(recipe_of(algorithm), matrix, LABELS, TYPES)
    assert np.abs(learner.contributions(FRESH)[:, 2]).max() < 1e-9
    assert learner.importance()[2] == 0


# Bytes.


@each
def test_the_same_rows_give_the_same_bytes(fitted: dict[str, Learner], algorithm: str) -> None:
    again = fit(recipe_of(algorithm), MATRIX.copy(), LABELS.copy(), TYPES).to_bytes()
    assert again == fitted[algorithm].to_bytes()
    assert fit(recipe_of(algorithm, "balanced"), MATRIX, LABELS, TYPES).to_bytes() != again
    if algorithm != "logistic":  # which draws nothing
        assert fit(recipe_of(algorithm, seed=2), MATRIX, LABELS, TYPES).to_bytes() != again


def test_another_process_with_other_threads_gives_the_same_bytes(fitted: dict[str, Learner], tmp_path: Path) -> None:
    np.savez(tmp_path / "rows.npz", matrix=MATRIX, labels=LABELS)
    code = (
        "import json, sys, hashlib, numpy as np\n"
        "from lead_scoring_assets.models.learners import fit\n"
        "from lead_scoring_assets.models.recipe import Recipe\n"
        "rows, (recipes, types) = np.load(sys.argv[1]), json.loads(sys.argv[2])\n"
        "for text in recipes:\n"
        "    learner = fit(Recipe.from_json(text), rows['matrix'], rows['labels'], types)\n"
        "    print(hashlib.sha256(learner.to_bytes()).hexdigest())"
    )
    told = json.dumps([[recipe_of(algorithm).to_json() for algorithm in ALGORITHMS], TYPES])
    ended = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "rows.npz"), told],
        env={**os.environ, "OMP_NUM_THREADS": "3", "OPENBLAS_NUM_THREADS": "3", "PYTHONHASHSEED": "7"},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stdout.split() == [hashlib.sha256(fitted[a].to_bytes()).hexdigest() for a in ALGORITHMS]


@each
def test_bytes_are_the_whole_model_and_no_pickle(fitted: dict[str, Learner], algorithm: str) -> None:
    content = fitted[algorithm].to_bytes()
    assert not content.startswith(b"\x80")
    back = load(algorithm, content)  # type: ignore[arg-type]
    assert back.to_bytes() == content
    for what in ("margins", "contributions"):
        assert np.array_equal(getattr(back, what)(FRESH), getattr(fitted[algorithm], what)(FRESH))
    assert np.array_equal(back.importance(), fitted[algorithm].importance())


@each
@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"null", b"junk", b"\xff\x00\xfe", b'{"kinds": 3}', b"tree\n"])
def test_what_is_no_model_is_refused(algorithm: str, content: bytes) -> None:
    with pytest.raises(LakehouseError, match=f"not a model of {algorithm}"):
        load(algorithm, content)  # type: ignore[arg-type]


def test_a_text_that_was_cut_off_is_refused(fitted: dict[str, Learner]) -> None:
    """LightGBM itself reads on behind its end, and ends the process."""
    content = fitted["lightgbm"].to_bytes()
    for end in (100, 1_000, len(content) // 2):
        with pytest.raises(LakehouseError, match="not a model of lightgbm"):
            load("lightgbm", content[:end])


# Rows.


@each
def test_a_margin_depends_on_its_own_row_only(fitted: dict[str, Learner], algorithm: str) -> None:
    learner = fitted[algorithm]
    together, explained = learner.margins(FRESH), learner.contributions(FRESH)
    for i in range(20):
        assert learner.margins(FRESH[[i]])[0] == together[i]
        assert np.array_equal(learner.contributions(FRESH[[i]])[0], explained[i])


@each
def test_no_rows_no_margins(fitted: dict[str, Learner], algorithm: str) -> None:
    assert fitted[algorithm].margins(FRESH[:0]).shape == (0,)
    assert fitted[algorithm].contributions(FRESH[:0]).shape == (0, 6)


@each
def test_any_row_gets_a_finite_margin(fitted: dict[str, Learner], algorithm: str) -> None:
    """Nothing known; the largest numbers; categories that came after the training, or are none."""
    rows = np.array([[np.nan] * 5, [3e38, -3e38, 0, 99, 99], [0, 0, 0, -1, 2.5]], dtype=np.float32)
    assert np.isfinite(fitted[algorithm].margins(rows)).all()
    assert np.isfinite(fitted[algorithm].contributions(rows)).all()


@each
@pytest.mark.parametrize("value", [np.nan, 7.0])
@pytest.mark.parametrize("kind", ["q", "c"])
def test_a_column_of_one_value_or_none_is_harmless(algorithm: str, value: float, kind: str) -> None:
    matrix, types = MATRIX.copy(), list(TYPES)
    matrix[:, 2], types[2] = value, kind
    learner = fit(recipe_of(algorithm), matrix, LABELS, types)
    assert learner.importance()[2] < 1e-6
    assert auc(FRESH_LABELS, learner.margins(np.c_[FRESH[:, :2], matrix[:, 2], FRESH[:, 3:]])).low > 0.7
    assert np.isfinite(learner.margins(FRESH)).all()  # also where it has values after all


@each
def test_where_nothing_is_known_every_lead_gets_the_conversion_rate(algorithm: str) -> None:
    nothing = np.full(MATRIX.shape, np.nan, dtype=np.float32)
    learner = fit(recipe_of(algorithm), nothing, LABELS, TYPES)
    assert expit(learner.margins(nothing[:3])) == pytest.approx(LABELS.mean(), abs=1e-3)
    assert learner.importance().tolist() == [0.0] * 5


@each
def test_few_rows_can_be_fitted(algorithm: str) -> None:
    learner = fit(recipe_of(algorithm), MATRIX[:6], np.array([0.0, 1] * 3), TYPES)
    assert np.isfinite(learner.margins(FRESH)).all()


def test_one_absurd_value_does_not_hide_the_others() -> None:
    matrix = MATRIX.copy()
    matrix[0, 0] = 3e38
    absurd, plain = (fit(recipe_of("logistic"), rows, LABELS, TYPES).margins(FRESH) for rows in (matrix, MATRIX))
    assert auc(FRESH_LABELS, absurd).value > auc(FRESH_LABELS, plain).value - 0.005


# The logistic regression in particular.


def test_its_weights_are_scikit_learns_on_the_plain_design() -> None:
    """Complete numbers without extremes and one category: the design can be written down by hand."""
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(3)
    number, code = rng.uniform(-2, 2, 2_000).astype(np.float32), rng.integers(0, 3, 2_000)
    labels = (rng.random(2_000) < expit(number + code - 1)).astype(np.float64)
    learner = fit(recipe_of("logistic"), np.c_[number, code].astype(np.float32), labels, ["q", "c"])
    low, high = np.quantile(number.astype(np.float64), [0.005, 0.995])
    clipped = np.clip(number.astype(np.float64), low, high)
    design = np.c_[(clipped - clipped.mean()) / clipped.std(), code[:, None] == [0, 1, 2]]
    own = LogisticRegression(C=1.0, tol=1e-10, max_iter=10_000).fit(design, labels)
    expected = own.decision_function(design)
    np.testing.assert_allclose(learner.margins(np.c_[number, code].astype(np.float32)), expected, atol=1e-3)


def test_its_json_can_be_read_by_people(fitted: dict[str, Learner]) -> None:
    read = json.loads(fitted["logistic"].to_bytes())
    assert read["kinds"] == TYPES
    assert read["effects"][0]["weight"] > 0 > read["effects"][1]["weight"]
    assert read["effects"][3]["codes"] == [0, 1, 2, 3, 4, 5]
    assert isinstance(fitted["logistic"], LogisticModel)


values = st.lists(st.floats(-(2.0**100), 2.0**100, width=32) | st.just(np.nan), min_size=1, max_size=50)


@given(values, values)
def test_a_numbers_effect_is_bounded_by_the_training_rows(train: list[float], later: list[float]) -> None:
    column = np.array(train)
    effect = NumberEffect.of(column).weighted(np.array([1.0, 0.0]))
    inside = effect(np.r_[effect.low, effect.high])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = effect(np.array(later))
    assert np.isfinite(found).all()
    slack = 1e-9 + 1e-9 * np.abs(inside).max()
    assert found.min() >= min(inside) - slack
    assert found.max() <= max(inside) + slack


@given(st.lists(st.integers(0, 5) | st.just(np.nan), max_size=30), st.lists(st.integers(0, 9) | st.just(np.nan)))
def test_a_categorys_effect_is_the_design_times_the_weights(train: list[float], later: list[float]) -> None:
    blank = CategoryEffect.of(np.array(train, dtype=np.float64))
    weights = np.arange(1.0, len(blank.codes) + 2)
    column = np.array(later, dtype=np.float64)
    assert blank.weighted(weights)(column).tolist() == (blank.design(column) @ weights).tolist()
    assert (blank.design(column).sum(axis=1) == 1).all()  # each row is one of them, the unknown included


# Refusals.


@pytest.mark.parametrize(
    ("algorithm", "parameters", "named"),
    [
        ("xgboost", {"max_depth": "deep"}, "max_depth.*deep"),
        ("xgboost", {"max_depth": -3}, "max_depth"),
        ("xgboost", {"subsample": 7}, "subsample"),
        ("xgboost", {"eta": -1}, "learning_rate"),
        ("xgboost", {"max_dept": 4}, "max_dept"),  # XGBoost itself only warns about a misspelled name
        ("xgboost", {"num_leaves": 4}, "num_leaves"),
        ("xgboost", {"booster": "forest"}, "forest"),
        ("xgboost", {"booster": "gblinear"}, "gblinear"),
        ("xgboost", {"rounds": 0}, "rounds is 0"),
        ("xgboost", {"rounds": 2.5}, "rounds is 2.5"),
        ("xgboost", {"rounds": "many"}, "rounds is 'many'"),
        ("lightgbm", {"num_leaves": "many"}, "many"),
        ("lightgbm", {"num_leaves": -3}, "num_leaves"),
        ("lightgbm", {"bagging_fraction": 7}, "bagging_fraction"),
        ("lightgbm", {"num_leafs": 4}, "num_leafs is unknown; did you mean num_leaves"),  # it takes it in silence
        ("lightgbm", {"eta": 0.1}, "eta is unknown"),
        ("lightgbm", {"objective": "regression"}, "objective is unknown"),
        ("lightgbm", {"num_threads": 4}, "num_threads is unknown"),
        ("lightgbm", {"rounds": 0}, "rounds is 0"),
        ("logistic", {"c": 1}, "c is unknown; it takes C"),
        ("logistic", {"rounds": 10}, "rounds is unknown"),
        ("logistic", {"C": 0}, "C is 0"),
        ("logistic", {"C": -1}, "C is -1"),
        ("logistic", {"C": "strong"}, "C is 'strong'"),
    ],
)
def test_a_parameter_that_cannot_be_used_is_named(algorithm: str, parameters: dict[str, object], named: str) -> None:
    with pytest.raises(TrainingError, match=named) as refused:
        fit(recipe_of(algorithm, **parameters), MATRIX[:100], LABELS[:100], TYPES)
    told = str(refused.value)
    assert told.startswith("training failed")
    assert "Check " in told
    assert "Stack trace" not in told
    assert "/" not in told.replace("lead_scoring.yaml", "")  # no places in other people's source


@pytest.mark.parametrize("name", PARAMETERS)
def test_every_parameter_that_is_named_is_one_of_lightgbms(name: str) -> None:
    from lightgbm.basic import _ConfigAliases

    assert name in _ConfigAliases._get_all_param_aliases()


@each
@pytest.mark.parametrize(
    ("labels", "named"),
    [
        (np.r_[np.nan, LABELS[1:]], "1 of 3,000 labels are neither 0 nor 1"),
        (np.r_[2.0, LABELS[1:]], "1 of 3,000 labels"),
        (np.zeros(3_000), "all 3,000 leads have the same outcome"),
        (np.ones(3_000), "all 3,000 leads have the same outcome"),
        (LABELS[:10], r"matrix of \(3000, 5\) does not fit 10 labels"),
    ],
)
def test_labels_that_cannot_be_used_are_refused(algorithm: str, labels: np.ndarray, named: str) -> None:
    with pytest.raises(TrainingError, match=named):
        fit(recipe_of(algorithm), MATRIX, labels, TYPES)


def test_settings_cannot_turn_probabilities_into_something_else() -> None:
    other = recipe_of("xgboost", objective="reg:squarederror", nthread=4, device="cuda", random_state=8)
    plain = fit(recipe_of("xgboost"), MATRIX, LABELS, TYPES)
    assert fit(other, MATRIX, LABELS, TYPES).to_bytes() == plain.to_bytes()
