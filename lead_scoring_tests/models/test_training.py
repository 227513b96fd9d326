"""Fitting: refusals in words, the same bytes from the same rows, worlds without signal and with one."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lead_scoring_assets.errors import TrainingError
from lead_scoring_assets.evaluation.metrics import auc
from lead_scoring_assets.models.calibration import identity
from lead_scoring_assets.models.encoder import Encoder
from lead_scoring_assets.models.recipe import Recipe, default_recipe, documented_recipe
from lead_scoring_assets.models.scorer import Scorer
from lead_scoring_assets.models.training import fit_model, refuse_to_train, remark_on_features
from lead_scoring_assets.models.training_set import HOLDOUT, TRAIN
from lead_scoring_assets.settings import Home

pytestmark = pytest.mark.filterwarnings("error")

SHIPPED = Home(Path(__file__).resolve().parents[2]).settings.training
QUICK = documented_recipe(SHIPPED.model_copy(update={"rounds": 20}))
ENCODER = Encoder(numeric=("signal", "noise"), categories={"colour": ("red", "green", "blue")})


def leads(n_train: int, n_holdout: int, *, strength: float, seed: int = 0) -> pd.DataFrame:
    """Leads whose log-odds of conversion are `strength` times the signal; nothing else matters."""
    rng = np.random.default_rng(seed)
    n = n_train + n_holdout
    signal = rng.normal(size=n)
    return pd.DataFrame(
        {
            "split": [TRAIN] * n_train + [HOLDOUT] * n_holdout,
            "label": (rng.random(n) < 1 / (1 + np.exp(1 - strength * signal))).astype(np.int8),
            "signal": signal,
            "noise": rng.normal(size=n),
            "colour": rng.choice(["red", "green", "blue"], n),
        }
    )


def holdout_scores(rows: pd.DataFrame, recipe: Recipe) -> tuple[np.ndarray, np.ndarray]:
    holdout = rows[rows["split"] == HOLDOUT]
    scorer = Scorer(fit_model(rows, ENCODER, recipe), ENCODER, recipe, identity())
    return holdout["label"].to_numpy(dtype=np.float64), scorer.probabilities(holdout)


def fitted(rows: pd.DataFrame, recipe: Recipe = QUICK, encoder: Encoder = ENCODER) -> bytes:
    return fit_model(rows, encoder, recipe).to_bytes()


def importance(rows: pd.DataFrame, encoder: Encoder = ENCODER) -> dict[str, float]:
    return Scorer(fit_model(rows, encoder, QUICK), encoder, QUICK, identity()).importance()


# Worlds.


def test_where_there_is_nothing_to_learn_the_holdout_says_so() -> None:
    """Two worlds of pure noise; the AUC of 4,000 leads has a standard error of 0.010 there (Hanley and McNeil)."""
    for seed in (1, 2):
        labels, scores = holdout_scores(leads(3_000, 4_000, strength=0, seed=seed), QUICK)
        m, k = labels.sum(), (1 - labels).sum()
        error = np.sqrt((m + k + 1) / (12 * m * k))
        assert abs(auc(labels, scores).value - 0.5) < 4 * error


def test_a_planted_signal_is_found() -> None:
    rows = leads(3_000, 4_000, strength=1.5)
    labels, scores = holdout_scores(rows, QUICK)
    best_possible = auc(labels, rows.loc[rows["split"] == HOLDOUT, "signal"].to_numpy()).value
    assert best_possible - 0.02 < auc(labels, scores).value <= best_possible + 0.005
    assert abs(scores.mean() - labels.mean()) < 4 * np.sqrt(0.25 / len(labels))  # calibrated in the large
    shares = importance(rows)
    assert shares["signal"] > 0.8
    assert sum(shares.values()) == pytest.approx(1)
    assert list(shares) == ENCODER.columns


# The same rows give the same model.


def test_training_twice_gives_the_same_bytes() -> None:
    rows = leads(1_000, 10, strength=1)
    first = fitted(rows)
    assert fitted(rows.copy()) == first
    assert fitted(rows, documented_recipe(SHIPPED.model_copy(update={"rounds": 20, "seed": 43}))) != first
    assert fitted(rows[::-1]) != first  # so the order of the training set is part of it


def test_the_holdout_teaches_nothing() -> None:
    rows = leads(1_000, 500, strength=1)
    first = fitted(rows)
    other = rows.copy()
    other.loc[other["split"] == HOLDOUT, "label"] = 1 - other.loc[other["split"] == HOLDOUT, "label"]
    other.loc[other["split"] == HOLDOUT, "signal"] = 1e6
    assert fitted(other) == first
    assert fitted(rows[rows["split"] == TRAIN]) == first
    other.loc[other["split"] == TRAIN, "signal"] *= -1
    assert fitted(other) != first


def test_a_column_that_knows_the_label_is_not_read_unless_it_is_a_feature() -> None:
    rows = leads(1_000, 10, strength=0)
    leak = rows.assign(duration=rows["label"] * 100.0)
    assert fitted(leak) == fitted(rows)


@pytest.mark.parametrize("algorithm", ["lightgbm", "logistic"])
def test_the_other_algorithms_learn_from_the_same_rows(algorithm: str) -> None:
    rows = leads(2_000, 2_000, strength=1.5)
    labels, scores = holdout_scores(rows, default_recipe(algorithm, SHIPPED))  # type: ignore[arg-type]
    assert auc(labels, scores).low > 0.75
    assert abs(scores.mean() - labels.mean()) < 4 * np.sqrt(0.25 / len(labels))


# Features nobody wanted.


@pytest.mark.parametrize("nothing", [np.nan, None])
def test_a_feature_that_is_never_there_is_harmless(nothing: object) -> None:
    rows = leads(1_000, 500, strength=1.5)
    rows["noise"], rows["colour"] = nothing, nothing
    labels, scores = holdout_scores(rows, QUICK)
    assert auc(labels, scores).low > 0.6
    assert importance(rows) == {"signal": 1.0, "noise": 0.0, "colour": 0.0}
    assert remark_on_features(rows, ENCODER) == "no known value in any of 1,000 training leads: noise, colour"


def test_without_any_feature_value_every_lead_gets_the_conversion_rate() -> None:
    rows = leads(1_000, 500, strength=1)
    rows["signal"] = rows["noise"] = rows["colour"] = np.nan
    _, scores = holdout_scores(rows, QUICK)
    assert np.unique(scores).size == 1
    assert scores[0] == pytest.approx(rows.loc[rows["split"] == TRAIN, "label"].mean(), abs=1e-3)
    assert set(importance(rows).values()) == {0.0}


def test_what_is_known_of_one_training_lead_needs_no_remark() -> None:
    rows = leads(100, 50, strength=1)
    assert remark_on_features(rows, ENCODER) is None
    rows.loc[1:, "noise"] = np.nan
    assert remark_on_features(rows, ENCODER) is None
    rows["noise"] = ["many"] * 100 + [1.0] * 50  # no numbers; and the holdout does not count
    assert remark_on_features(rows, ENCODER) == "no known value in any of 100 training leads: noise"
    assert remark_on_features(rows[rows["split"] == HOLDOUT], ENCODER) is None


def test_any_name_of_a_column_is_taken() -> None:
    rows = leads(500, 0, strength=1)
    names = {"signal": "size [m2]", "noise": "income < 50k", "colour": 'a"b'}
    encoder = Encoder(("size [m2]", "income < 50k"), {'a"b': ENCODER.categories["colour"]})
    renamed = rows.rename(columns=names)
    assert fitted(renamed, encoder=encoder) == fitted(rows)
    assert importance(renamed, encoder) == {names[name]: share for name, share in importance(rows).items()}


def test_labels_that_are_not_known_are_refused() -> None:
    rows = leads(100, 0, strength=1).astype({"label": "Int8"})
    rows.loc[3, "label"] = pd.NA
    with pytest.raises(TrainingError, match="1 of 100 labels are neither 0 nor 1"):
        fitted(rows)


# Refusals.

LEAST = SHIPPED.model_copy(
    update={"minimum_rows": 100, "minimum_positives": 10, "minimum_holdout_rows": 50, "minimum_holdout_positives": 5}
)


def counted(train_rows: int, train_positives: int, holdout_rows: int, holdout_positives: int) -> pd.DataFrame:
    labels = [1] * train_positives + [0] * (train_rows - train_positives)
    labels += [1] * holdout_positives + [0] * (holdout_rows - holdout_positives)
    return pd.DataFrame(
        {"split": [TRAIN] * train_rows + [HOLDOUT] * holdout_rows, "label": pd.Series(labels, dtype="int8")}
    )


@pytest.mark.parametrize(
    ("counts", "reason"),
    [
        ((100, 10, 50, 5), None),
        ((99, 10, 50, 5), "99 of 100 training leads"),
        ((100, 9, 50, 5), "9 of 10 converted training leads"),
        ((100, 10, 49, 5), "49 of 50 holdout leads"),
        ((100, 10, 50, 4), "4 of 5 converted holdout leads"),
        ((0, 0, 50, 5), "0 of 100 training leads, 0 of 10 converted training leads"),
        ((100, 10, 0, 0), "0 of 50 holdout leads, 0 of 5 converted holdout leads"),
        ((100, 100, 50, 5), "all 100 training leads have the same outcome"),
        ((100, 10, 50, 50), "all 50 holdout leads have the same outcome"),
    ],
)
def test_refusals_say_what_is_short(counts: tuple[int, int, int, int], reason: str | None) -> None:
    expected = None if reason is None else f"insufficient data: {reason}"
    assert refuse_to_train(counted(*counts), LEAST) == expected


def test_large_numbers_can_be_read() -> None:
    settings = LEAST.model_copy(update={"minimum_rows": 10_000})
    assert refuse_to_train(counted(4_812, 500, 50, 5), settings) == "insufficient data: 4,812 of 10,000 training leads"


def test_what_is_not_refused_can_be_trained() -> None:
    rows = counted(100, 10, 50, 5).assign(signal=1.0, noise=2.0, colour="red")
    assert refuse_to_train(rows, LEAST) is None
    labels, scores = holdout_scores(rows, QUICK)
    assert auc(labels, scores).value == 0.5
