"""Fitting: refusals in words, the same bytes from the same rows, worlds without signal and with one."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lead_scoring_assets.errors import TrainingError
from lead_scoring_assets.evaluation.metrics import auc
from lead_scoring_assets.models.encoder import Encoder
from lead_scoring_assets.models.scorer import load_scorer, save_bundle
from lead_scoring_assets.models.training import refuse_to_train, train
from lead_scoring_assets.models.training_set import HOLDOUT, TRAIN
from lead_scoring_assets.settings import Home, Training

pytestmark = pytest.mark.filterwarnings("error")

SHIPPED = Home(Path(__file__).resolve().parents[2]).settings.training
QUICK = SHIPPED.model_copy(update={"rounds": 20})
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


def holdout_scores(rows: pd.DataFrame, settings: Training, folder: Path) -> tuple[np.ndarray, np.ndarray]:
    holdout = rows[rows["split"] == HOLDOUT]
    save_bundle(folder, train(rows, ENCODER, settings).model, ENCODER, holdout)
    return holdout["label"].to_numpy(dtype=np.float64), load_scorer(folder).probabilities(holdout)


# Worlds.


def test_where_there_is_nothing_to_learn_the_holdout_says_so(tmp_path: Path) -> None:
    """Two worlds of pure noise; the AUC of 4,000 leads has a standard error of 0.010 there (Hanley and McNeil)."""
    for seed in (1, 2):
        labels, scores = holdout_scores(leads(3_000, 4_000, strength=0, seed=seed), QUICK, tmp_path / str(seed))
        m, k = labels.sum(), (1 - labels).sum()
        error = np.sqrt((m + k + 1) / (12 * m * k))
        assert abs(auc(labels, scores).value - 0.5) < 4 * error


def test_a_planted_signal_is_found(tmp_path: Path) -> None:
    rows = leads(3_000, 4_000, strength=1.5)
    labels, scores = holdout_scores(rows, QUICK, tmp_path)
    best_possible = auc(labels, rows.loc[rows["split"] == HOLDOUT, "signal"].to_numpy()).value
    assert best_possible - 0.02 < auc(labels, scores).value <= best_possible + 0.005
    assert abs(scores.mean() - labels.mean()) < 4 * np.sqrt(0.25 / len(labels))  # calibrated in the large
    importance = train(rows, ENCODER, QUICK).importance
    assert importance["signal"] > 0.8
    assert sum(importance.values()) == pytest.approx(1)
    assert list(importance) == ENCODER.columns


# The same rows give the same model.


def test_training_twice_gives_the_same_bytes() -> None:
    rows = leads(1_000, 10, strength=1)
    first = train(rows, ENCODER, QUICK)
    assert train(rows.copy(), ENCODER, QUICK) == first
    assert train(rows, ENCODER, QUICK.model_copy(update={"seed": 43})).model != first.model
    assert train(rows[::-1], ENCODER, QUICK).model != first.model  # so the order of the training set is part of it


def test_the_holdout_teaches_nothing() -> None:
    rows = leads(1_000, 500, strength=1)
    first = train(rows, ENCODER, QUICK)
    other = rows.copy()
    other.loc[other["split"] == HOLDOUT, "label"] = 1 - other.loc[other["split"] == HOLDOUT, "label"]
    other.loc[other["split"] == HOLDOUT, "signal"] = 1e6
    assert train(other, ENCODER, QUICK) == first
    assert train(rows[rows["split"] == TRAIN], ENCODER, QUICK) == first
    other.loc[other["split"] == TRAIN, "signal"] *= -1
    assert train(other, ENCODER, QUICK) != first


def test_a_column_that_knows_the_label_is_not_read_unless_it_is_a_feature() -> None:
    rows = leads(1_000, 10, strength=0)
    leak = rows.assign(duration=rows["label"] * 100.0)
    assert train(leak, ENCODER, QUICK) == train(rows, ENCODER, QUICK)


# Features nobody wanted.


@pytest.mark.parametrize("nothing", [np.nan, None])
def test_a_feature_that_is_never_there_is_harmless(nothing: object, tmp_path: Path) -> None:
    rows = leads(1_000, 500, strength=1.5)
    rows["noise"], rows["colour"] = nothing, nothing
    labels, scores = holdout_scores(rows, QUICK, tmp_path)
    assert auc(labels, scores).low > 0.6
    assert train(rows, ENCODER, QUICK).importance == {"signal": 1.0, "noise": 0.0, "colour": 0.0}


def test_without_any_feature_value_every_lead_gets_the_conversion_rate(tmp_path: Path) -> None:
    rows = leads(1_000, 500, strength=1)
    rows["signal"] = rows["noise"] = rows["colour"] = np.nan
    _, scores = holdout_scores(rows, QUICK, tmp_path)
    assert np.unique(scores).size == 1
    assert scores[0] == pytest.approx(rows.loc[rows["split"] == TRAIN, "label"].mean(), abs=1e-3)
    assert set(train(rows, ENCODER, QUICK).importance.values()) == {0.0}


def test_any_name_of_a_column_is_taken() -> None:
    rows = leads(500, 0, strength=1)
    names = {"signal": "size [m2]", "noise": "income < 50k", "colour": 'a"b'}
    encoder = Encoder(("size [m2]", "income < 50k"), {'a"b': ENCODER.categories["colour"]})
    renamed = train(rows.rename(columns=names), encoder, QUICK)
    plain = train(rows, ENCODER, QUICK)
    assert renamed.model == plain.model
    assert renamed.importance == {names[name]: share for name, share in plain.importance.items()}


# Parameters.


@pytest.mark.parametrize(
    ("parameters", "named"),
    [
        ({"max_depth": "deep"}, "max_depth.*deep"),
        ({"max_depth": -3}, "max_depth"),
        ({"subsample": 7}, "subsample"),
        ({"eta": -1}, "learning_rate"),
        ({"max_dept": 4}, "max_dept"),  # XGBoost itself only warns about a misspelled name
        ({"booster": "forest"}, "forest"),
        ({"booster": "gblinear"}, "gblinear"),
    ],
)
def test_a_parameter_that_cannot_be_used_is_named(parameters: dict[str, object], named: str) -> None:
    settings = QUICK.model_copy(update={"parameters": parameters})
    with pytest.raises(TrainingError, match=rf"{named}(.|\n)*training\.parameters") as refused:
        train(leads(100, 0, strength=1), ENCODER, settings)
    assert "Stack trace" not in str(refused.value)


def test_labels_that_are_not_known_are_refused() -> None:
    rows = leads(100, 0, strength=1).astype({"label": float})
    rows.loc[3, "label"] = np.nan
    with pytest.raises(TrainingError, match="Label contains NaN"):
        train(rows, ENCODER, QUICK)


def test_settings_cannot_turn_probabilities_into_something_else(tmp_path: Path) -> None:
    rows = leads(500, 100, strength=1)
    settings = QUICK.model_copy(
        update={"parameters": {**QUICK.parameters, "objective": "reg:squarederror", "nthread": 4}}
    )
    assert train(rows, ENCODER, settings) == train(rows, ENCODER, QUICK)


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


def test_what_is_not_refused_can_be_trained(tmp_path: Path) -> None:
    rows = counted(100, 10, 50, 5).assign(signal=1.0, noise=2.0, colour="red")
    assert refuse_to_train(rows, LEAST) is None
    labels, scores = holdout_scores(rows, LEAST, tmp_path)
    assert auc(labels, scores).value == 0.5
