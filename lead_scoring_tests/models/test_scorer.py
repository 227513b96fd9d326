"""The model as a folder of plain files: the same scores wherever it is loaded, and no byte changed unnoticed."""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xgboost
from hypothesis import given, settings
from hypothesis import strategies as st

from lead_scoring_assets.errors import LakehouseError
from lead_scoring_assets.models.encoder import Encoder
from lead_scoring_assets.models.scorer import (
    ENCODER,
    GOLDEN,
    MANIFEST,
    MODEL,
    Scorer,
    _load_pyfunc,
    load_scorer,
    save_bundle,
)
from lead_scoring_assets.models.training import train
from lead_scoring_assets.models.training_set import TRAIN
from lead_scoring_assets.settings import Home

pytestmark = pytest.mark.filterwarnings("error")

SETTINGS = Home(Path(__file__).resolve().parents[2]).settings
SHIPPED = Encoder.from_registry(SETTINGS.registry)
BUNDLE_FILES = (MODEL, ENCODER, GOLDEN, MANIFEST)


def leads(n: int, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    values: dict[str, object] = {}
    for name, column in SETTINGS.registry.features.items():
        values[name] = rng.normal(40, 15, n).round(1) if column.is_numeric else rng.choice(column.categories, n)
    frame = pd.DataFrame(values)
    frame.loc[rng.random(n) < 0.1, "pdays"] = np.nan
    frame.loc[rng.random(n) < 0.1, "job"] = None
    odds = (frame["age"] - 40) / 15 + (frame["housing"] == "no") - 1
    return frame.assign(split=TRAIN, label=(rng.random(n) < 1 / (1 + np.exp(-odds))).astype(np.int8))


LEADS = leads(1_000)


@pytest.fixture(scope="module")
def model() -> bytes:
    return train(LEADS, SHIPPED, SETTINGS.training).model


@pytest.fixture(scope="module")
def trained(model: bytes, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The model's folder and fingerprint; not to be written to."""
    folder = tmp_path_factory.mktemp("a model") / "bundle"
    return folder, save_bundle(folder, model, SHIPPED, LEADS)


@pytest.fixture
def bundle(trained: tuple[Path, str], tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    return Path(shutil.copytree(trained[0], tmp_path / "bundle"))


# Scores.


def test_scores_are_xgboosts_own_bit_for_bit(trained: tuple[Path, str], model: bytes) -> None:
    folder, fingerprint = trained
    others = leads(1_000, seed=1)
    booster = xgboost.Booster(model_file=bytearray(model))
    expected = booster.predict(xgboost.DMatrix(SHIPPED.encode(others), feature_types=SHIPPED.feature_types))
    found = load_scorer(folder, fingerprint).probabilities(others)
    assert found.dtype == np.float64
    assert found.astype(np.float32).tobytes() == expected.tobytes()
    assert np.array_equal(found, expected.astype(np.float64))
    # The same from the file that any XGBoost reads.
    from_file = xgboost.Booster(model_file=str(folder / MODEL))
    assert (folder / MODEL).read_bytes() == model
    assert np.array_equal(
        from_file.predict(xgboost.DMatrix(SHIPPED.encode(others), feature_types=SHIPPED.feature_types)), expected
    )


def test_scores_are_probabilities_and_not_classes(trained: tuple[Path, str]) -> None:
    scorer = load_scorer(trained[0])
    for scores in (scorer.probabilities(LEADS), scorer.predict(LEADS), _load_pyfunc(str(trained[0])).predict(LEADS)):
        assert np.unique(scores).size > 100
        assert ((scores > 0) & (scores < 1)).all()
    assert abs(scores.mean() - LEADS["label"].mean()) < 0.02


def test_a_score_depends_on_its_own_row_only(trained: tuple[Path, str]) -> None:
    scorer = load_scorer(trained[0])
    together = scorer.probabilities(LEADS)
    order = np.random.default_rng(0).permutation(len(LEADS))
    assert np.array_equal(scorer.probabilities(LEADS.iloc[order]), together[order])
    for i in range(30):
        assert scorer.probabilities(LEADS.iloc[[i]])[0] == together[i]
    assert np.array_equal(scorer.probabilities(LEADS[LEADS.columns[::-1]]), together)


def test_the_label_and_other_columns_do_not_move_a_score(trained: tuple[Path, str]) -> None:
    scorer = load_scorer(trained[0])
    other = LEADS.assign(label=1 - LEADS["label"], duration=LEADS["label"] * 100.0)
    assert np.array_equal(scorer.probabilities(other), scorer.probabilities(LEADS))
    assert not np.array_equal(scorer.probabilities(LEADS.assign(age=90.0)), scorer.probabilities(LEADS))


def test_no_leads_no_scores(trained: tuple[Path, str]) -> None:
    assert load_scorer(trained[0]).probabilities(LEADS.head(0)).shape == (0,)


def test_leads_of_which_nothing_is_known_get_a_score(trained: tuple[Path, str]) -> None:
    nothing = pd.DataFrame({name: [None, "never seen", np.inf] for name in SHIPPED.columns})
    scores = load_scorer(trained[0]).probabilities(nothing)
    assert np.unique(scores).size == 1
    assert 0 < scores[0] < 1


def test_a_column_that_is_not_there_is_named(trained: tuple[Path, str]) -> None:
    with pytest.raises(KeyError, match="balance"):
        load_scorer(trained[0]).probabilities(LEADS.drop(columns="balance"))


# The folder.


def test_the_same_model_has_the_same_fingerprint(trained: tuple[Path, str], model: bytes, tmp_path: Path) -> None:
    folder, fingerprint = trained
    assert save_bundle(tmp_path / "again", model, SHIPPED, LEADS) == fingerprint
    for name in BUNDLE_FILES:
        assert (tmp_path / "again" / name).read_bytes() == (folder / name).read_bytes()
    other = Encoder(SHIPPED.numeric, {**SHIPPED.categories, "loan": ("yes", "no")})
    assert save_bundle(tmp_path / "other", model, other, LEADS) != fingerprint
    assert sorted(path.name for path in folder.iterdir()) == sorted(BUNDLE_FILES)


@pytest.mark.parametrize("name", BUNDLE_FILES)
def test_one_flipped_byte_is_refused_and_the_file_named(bundle: Path, trained: tuple[Path, str], name: str) -> None:
    path, rng = bundle / name, np.random.default_rng(0)
    content = path.read_bytes()
    places = range(len(content)) if len(content) < 500 else [0, len(content) - 1, *rng.integers(0, len(content), 60)]
    for place in places:
        damaged = bytearray(content)
        damaged[place] ^= int(rng.integers(1, 256))
        path.write_bytes(damaged)
        for fingerprint in (None, trained[1]):
            with pytest.raises(LakehouseError, match=name):
                load_scorer(bundle, fingerprint)
    path.write_bytes(content)
    load_scorer(bundle, trained[1])


@pytest.mark.parametrize("name", BUNDLE_FILES)
@pytest.mark.parametrize("how", ["missing", "empty", "longer", "a folder"])
def test_a_file_that_is_not_whole_is_refused_and_named(bundle: Path, name: str, how: str) -> None:
    path = bundle / name
    content = path.read_bytes()
    path.unlink()
    if how == "a folder":
        path.mkdir()
    elif how != "missing":
        path.write_bytes(b"" if how == "empty" else content + b"\n")
    with pytest.raises(LakehouseError, match=name) as refused:
        load_scorer(bundle)
    assert str(bundle) in str(refused.value)


@pytest.mark.parametrize(
    "manifest", ["{}", "[]", "null", '"model.ubj"', "{broken", '{"model.ubj": 3}', '{"../x": "0"}']
)
def test_a_manifest_that_says_something_else_is_refused(bundle: Path, manifest: str) -> None:
    (bundle / MANIFEST).write_text(manifest)
    with pytest.raises(LakehouseError, match=MANIFEST):
        load_scorer(bundle)


def test_another_model_in_the_same_place_is_refused(bundle: Path, trained: tuple[Path, str]) -> None:
    """Whole in itself, yet not what was deployed: only the fingerprint can tell."""
    other = train(LEADS, SHIPPED, SETTINGS.training.model_copy(update={"seed": 1, "rounds": 5})).model
    assert save_bundle(bundle, other, SHIPPED, LEADS) != trained[1]
    load_scorer(bundle)
    with pytest.raises(LakehouseError, match="not the one that was deployed"):
        load_scorer(bundle, trained[1])


def resealed(bundle: Path, golden: dict[str, object]) -> None:
    """Write other golden rows with checksums that fit them."""
    (bundle / GOLDEN).write_text(json.dumps(golden), encoding="utf-8")
    sums = json.loads((bundle / MANIFEST).read_text(encoding="utf-8"))
    sums[GOLDEN] = hashlib.sha256((bundle / GOLDEN).read_bytes()).hexdigest()
    (bundle / MANIFEST).write_text(json.dumps(sums, indent=1), encoding="utf-8")


def test_golden_rows_that_score_otherwise_are_refused(bundle: Path) -> None:
    golden = json.loads((bundle / GOLDEN).read_text(encoding="utf-8"))
    assert len(golden["rows"]) == len(golden["scores"]) == 20
    resealed(bundle, golden)
    load_scorer(bundle)  # the seal itself is right
    golden["scores"][7] = float(np.nextafter(np.float32(golden["scores"][7]), np.float32(1)))
    resealed(bundle, golden)
    with pytest.raises(LakehouseError, match=r"golden rows.*xgboost differs"):
        load_scorer(bundle)
    golden["scores"].pop()
    resealed(bundle, golden)
    with pytest.raises(LakehouseError, match="golden"):
        load_scorer(bundle)


def test_a_bundle_without_golden_rows_can_be_loaded(model: bytes, tmp_path: Path) -> None:
    fingerprint = save_bundle(tmp_path, model, SHIPPED, LEADS.head(0))
    assert load_scorer(tmp_path, fingerprint).probabilities(LEADS).shape == (1_000,)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32), st.integers(-30, 30))
def test_golden_rows_survive_the_way_to_text_and_back(
    tmp_path_factory: pytest.TempPathFactory, seed: int, scale: int
) -> None:
    """Splits at 1e-17 or 1e17, numbers with all their digits: a whole model is never refused."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=100) * 10.0**scale
    rows = pd.DataFrame(
        {"x": x, "colour": rng.choice(["red", "ünbekannt", 'a"b'], 100), "split": TRAIN, "label": (x > 0).astype(int)}
    )
    rows.loc[:4, ["x"]] = [[np.nan], [np.inf], [1e300], [5e-324], [-0.0]]
    encoder = Encoder(("x",), {"colour": ("red", "ünbekannt", 'a"b')})
    quick = SETTINGS.training.model_copy(update={"rounds": 3, "parameters": {"min_child_weight": 0.1}})
    folder = tmp_path_factory.mktemp("golden")
    fingerprint = save_bundle(folder, train(rows, encoder, quick).model, encoder, rows)
    assert np.unique(load_scorer(folder, fingerprint).probabilities(rows)).size > 1


def test_a_digit_that_text_loses_does_not_refuse_the_model(tmp_path: Path) -> None:
    """Just below the middle of two 32-bit numbers: as text, with 15 digits, it lies above, and across the split."""
    low, high = 1.0, 1.0 + 2**-23
    rows = pd.DataFrame({"x": [low, high] * 50, "split": TRAIN, "label": [0, 1] * 50})
    encoder = Encoder(("x",), {})
    model = train(rows, encoder, SETTINGS.training.model_copy(update={"rounds": 3})).model
    between = pd.DataFrame({"x": [1.0 + 2**-24 - 2**-52]})
    as_text = pd.DataFrame({"x": [1.000000059604645]})
    assert encoder.encode(between)[0, 0] == low
    assert encoder.encode(as_text)[0, 0] == high
    fingerprint = save_bundle(tmp_path, model, encoder, between)
    below, above = load_scorer(tmp_path, fingerprint).probabilities(pd.concat([between, as_text]))
    assert below < above


def test_the_scorer_reads_its_encoders_columns(model: bytes) -> None:
    assert Scorer(xgboost.Booster(model_file=bytearray(model)), SHIPPED).columns == SHIPPED.columns
