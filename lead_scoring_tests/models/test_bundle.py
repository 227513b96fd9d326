"""The model as a folder of plain files: the same scores wherever it is loaded, and no bit changed unnoticed."""

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import lightgbm
import numpy as np
import pandas as pd
import pytest
import xgboost
from hypothesis import given, settings
from hypothesis import strategies as st

from lead_scoring_assets.errors import LakehouseError, ScoringError
from lead_scoring_assets.models.bundle import (
    CALIBRATOR,
    ENCODER,
    GOLDEN,
    MANIFEST,
    MODEL,
    RECIPE,
    _load_pyfunc,
    example_rows,
    load_scorer,
    requirements,
    save_bundle,
)
from lead_scoring_assets.models.calibration import Calibrator, identity
from lead_scoring_assets.models.encoder import Encoder
from lead_scoring_assets.models.learners import Learner
from lead_scoring_assets.models.learners.forest import Forest
from lead_scoring_assets.models.recipe import Recipe
from lead_scoring_assets.models.scorer import Scorer
from lead_scoring_assets.models.training import fit_model
from lead_scoring_assets.models.training_set import TRAIN
from lead_scoring_tests.models.scored_leads import RECIPES, SHIPPED, STEEPER, leads

LEADS = leads(1_000)
BESIDE = (ENCODER, RECIPE, CALIBRATOR, GOLDEN, MANIFEST)
FILES = [(algorithm, name) for algorithm in RECIPES for name in (MODEL[algorithm], *BESIDE)]  # type: ignore[index]
each = pytest.mark.parametrize("algorithm", RECIPES)
each_file = pytest.mark.parametrize(("algorithm", "name"), FILES)
Trained = dict[str, tuple[Path, str, Learner]]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """For each algorithm a folder that is not to be written to, its fingerprint, and the learner in it."""
    made = {}
    for algorithm, recipe in RECIPES.items():
        folder, learner = tmp_path_factory.mktemp("a model") / "bundle", fit_model(LEADS, SHIPPED, recipe)
        made[algorithm] = folder, save_bundle(folder, learner, recipe, STEEPER, SHIPPED, LEADS), learner
    return made


def copied(trained: Trained, algorithm: str, folder: Path) -> tuple[Path, str]:
    """A copy that a test may damage, and its fingerprint."""
    original, fingerprint, _ = trained[algorithm]
    return Path(shutil.copytree(original, folder / "bundle")), fingerprint


# What lies in it.


@each
def test_what_is_loaded_scores_as_what_was_trained(trained: Trained, algorithm: str) -> None:
    folder, fingerprint, learner = trained[algorithm]
    before = Scorer(learner, SHIPPED, RECIPES[algorithm], STEEPER)
    others = leads(500, seed=1)
    for loaded in (load_scorer(folder, fingerprint), load_scorer(folder), _load_pyfunc(str(folder))):
        assert loaded.recipe == RECIPES[algorithm]
        assert loaded.calibrator == STEEPER
        for what in ("margins", "probabilities", "contributions", "predict"):
            assert np.array_equal(getattr(loaded, what)(others), getattr(before, what)(others))


@each
def test_the_folder_holds_these_files_and_no_others(trained: Trained, algorithm: str) -> None:
    folder, _, learner = trained[algorithm]
    assert sorted(path.name for path in folder.iterdir()) == sorted((MODEL[algorithm], *BESIDE))  # type: ignore[index]
    assert (folder / MODEL[algorithm]).read_bytes() == learner.to_bytes()  # type: ignore[index]
    for path in folder.iterdir():
        assert not path.read_bytes().startswith(b"\x80")  # how every binary pickle begins


def test_the_libraries_read_their_files_without_us(trained: Trained) -> None:
    matrix = SHIPPED.encode(LEADS)
    booster = xgboost.Booster(model_file=str(trained["xgboost"][0] / "model.ubj"))
    margins = booster.predict(xgboost.DMatrix(matrix, feature_types=SHIPPED.feature_types), output_margin=True)
    assert np.array_equal(load_scorer(trained["xgboost"][0]).margins(LEADS), margins.astype(np.float64))
    text = lightgbm.Booster(model_file=str(trained["lightgbm"][0] / "model.txt"))
    assert np.array_equal(load_scorer(trained["lightgbm"][0]).margins(LEADS), text.predict(matrix, raw_score=True))


@each
def test_the_same_model_has_the_same_fingerprint(trained: Trained, algorithm: str, tmp_path: Path) -> None:
    folder, fingerprint, learner = trained[algorithm]
    recipe = RECIPES[algorithm]

    def saved(name: str, recipe: Recipe = recipe, steeper: Calibrator = STEEPER, encoder: Encoder = SHIPPED) -> str:
        return save_bundle(tmp_path / name, learner, recipe, steeper, encoder, LEADS)

    assert saved("again") == fingerprint
    for path in folder.iterdir():
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes()
    other = Encoder(SHIPPED.numeric, {**SHIPPED.categories, "loan": ("yes", "no")})
    assert saved("encoder", encoder=other) != fingerprint
    assert saved("recipe", recipe=replace(recipe, seed=7)) != fingerprint
    assert saved("calibrator", steeper=identity()) != fingerprint


def test_another_model_in_the_same_folder_replaces_the_first(trained: Trained, tmp_path: Path) -> None:
    for algorithm in ("xgboost", "logistic", "lightgbm"):
        save_bundle(tmp_path, trained[algorithm][2], RECIPES[algorithm], identity(), SHIPPED, LEADS)
        assert load_scorer(tmp_path).recipe == RECIPES[algorithm]
        assert sorted(p.name for p in tmp_path.iterdir()) == sorted((MODEL[algorithm], *BESIDE))  # type: ignore[index]


def test_what_must_be_installed_is_named_with_its_version(trained: Trained) -> None:
    assert requirements(trained["xgboost"][0]) == ["lead-scoring", f"xgboost=={xgboost.__version__}"]
    assert requirements(trained["lightgbm"][0]) == ["lead-scoring", f"lightgbm=={lightgbm.__version__}"]
    assert requirements(trained["logistic"][0]) == ["lead-scoring"]


def test_the_example_is_typed_whatever_is_missing(trained: Trained, tmp_path: Path) -> None:
    rows = LEADS.head(5).assign(job=None, age=np.nan)
    save_bundle(tmp_path, trained["logistic"][2], RECIPES["logistic"], identity(), SHIPPED, rows)
    example = example_rows(tmp_path)
    assert example is not None
    assert list(example) == SHIPPED.columns
    assert (example[list(SHIPPED.numeric)].dtypes == "float64").all()
    assert (example[list(SHIPPED.categories)].dtypes == "object").all()
    np.testing.assert_array_equal(SHIPPED.encode(example), SHIPPED.encode(rows))


# No bit changes unnoticed.


@each_file
@settings(max_examples=25)
@given(data=st.data())
def test_one_flipped_bit_is_refused_and_the_file_named(
    trained: Trained, algorithm: str, name: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    bundle, fingerprint = copied(trained, algorithm, tmp_path_factory.mktemp("flipped"))
    content = bytearray((bundle / name).read_bytes())
    place, bit = data.draw(st.integers(0, len(content) - 1)), data.draw(st.integers(0, 7))
    content[place] ^= 1 << bit
    (bundle / name).write_bytes(content)
    for known in (None, fingerprint):
        with pytest.raises(LakehouseError, match=name):
            load_scorer(bundle, known)
    content[place] ^= 1 << bit
    (bundle / name).write_bytes(content)
    load_scorer(bundle, fingerprint)


@each_file
@pytest.mark.parametrize("how", ["missing", "empty", "longer", "a folder"])
def test_a_file_that_is_not_whole_is_refused_and_named(
    trained: Trained, algorithm: str, name: str, how: str, tmp_path: Path
) -> None:
    bundle, _ = copied(trained, algorithm, tmp_path)
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


@each
@pytest.mark.parametrize(
    "manifest", ["{}", "[]", "null", '"model.ubj"', "{broken", '{"model.ubj": 3}', '{"../x": "0"}']
)
def test_a_manifest_that_says_something_else_is_refused(
    trained: Trained, algorithm: str, manifest: str, tmp_path: Path
) -> None:
    bundle, _ = copied(trained, algorithm, tmp_path)
    (bundle / MANIFEST).write_text(manifest)
    with pytest.raises(LakehouseError):
        load_scorer(bundle)


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LakehouseError, match=r"cannot be read.*roll back, or train it again"):
        load_scorer(tmp_path / "nowhere")


@each
def test_another_model_in_the_same_place_is_refused(trained: Trained, algorithm: str, tmp_path: Path) -> None:
    """Whole in itself, yet not what was deployed: only the fingerprint can tell."""
    bundle, fingerprint = copied(trained, algorithm, tmp_path)
    assert save_bundle(bundle, trained[algorithm][2], RECIPES[algorithm], identity(), SHIPPED, LEADS) != fingerprint
    load_scorer(bundle)
    with pytest.raises(LakehouseError, match="not the one that was deployed"):
        load_scorer(bundle, fingerprint)


# Golden rows.


def resealed(bundle: Path, name: str, content: str) -> None:
    """Write another file with checksums that fit it."""
    (bundle / name).write_text(content, encoding="utf-8")
    sums = json.loads((bundle / MANIFEST).read_text(encoding="utf-8"))
    sums[name] = hashlib.sha256((bundle / name).read_bytes()).hexdigest()
    (bundle / MANIFEST).write_text(json.dumps(sums, indent=1), encoding="utf-8")


@pytest.mark.parametrize(
    ("algorithm", "library"), [("xgboost", "xgboost"), ("lightgbm", "lightgbm"), ("logistic", "lead-scoring")]
)
def test_golden_rows_that_score_otherwise_are_refused(
    trained: Trained, algorithm: str, library: str, tmp_path: Path
) -> None:
    bundle, _ = copied(trained, algorithm, tmp_path)
    golden = json.loads((bundle / GOLDEN).read_text(encoding="utf-8"))
    assert len(golden["rows"]) == len(golden["scores"]) == 20
    resealed(bundle, GOLDEN, json.dumps(golden))
    load_scorer(bundle)  # the seal itself is right
    golden["scores"][7] = float(np.nextafter(np.float32(golden["scores"][7]), np.float32(1)))
    resealed(bundle, GOLDEN, json.dumps(golden))
    with pytest.raises(LakehouseError, match=rf"golden rows.*the installed {library} differs"):
        load_scorer(bundle)
    golden["scores"].pop()
    resealed(bundle, GOLDEN, json.dumps(golden))
    with pytest.raises(LakehouseError, match="golden"):
        load_scorer(bundle)


def test_the_last_bit_of_another_machines_exp_is_no_reason_to_refuse(trained: Trained, tmp_path: Path) -> None:
    bundle, _ = copied(trained, "lightgbm", tmp_path)
    golden = json.loads((bundle / GOLDEN).read_text(encoding="utf-8"))
    golden["scores"] = [float(np.nextafter(score, 1)) for score in golden["scores"]]
    resealed(bundle, GOLDEN, json.dumps(golden))
    load_scorer(bundle)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("model.json", "{}"),
        (RECIPE, '{"algorithm": "forest", "class_weight": "none", "parameters": {}, "seed": 1}'),
    ],
)
def test_a_file_of_another_release_is_refused_in_words(
    trained: Trained, name: str, content: str, tmp_path: Path
) -> None:
    bundle, _ = copied(trained, "logistic", tmp_path)
    resealed(bundle, name, content)
    with pytest.raises(LakehouseError, match="cannot be loaded"):
        load_scorer(bundle)


@each
def test_a_bundle_without_golden_rows_can_be_loaded(trained: Trained, algorithm: str, tmp_path: Path) -> None:
    learner = trained[algorithm][2]
    fingerprint = save_bundle(tmp_path, learner, RECIPES[algorithm], identity(), SHIPPED, LEADS.head(0))
    assert load_scorer(tmp_path, fingerprint).probabilities(LEADS).shape == (1_000,)
    assert example_rows(tmp_path) is None


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32), st.integers(-30, 30), st.sampled_from(list(RECIPES)))
def test_golden_rows_survive_the_way_to_text_and_back(
    tmp_path_factory: pytest.TempPathFactory, seed: int, scale: int, algorithm: str
) -> None:
    """Splits at 1e-17 or 1e17, numbers with all their digits: a whole model is never refused."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=100) * 10.0**scale
    rows = pd.DataFrame(
        {"x": x, "colour": rng.choice(["red", "ünbekannt", 'a"b'], 100), "split": TRAIN, "label": (x > 0).astype(int)}
    )
    rows.loc[:4, ["x"]] = [[np.nan], [np.inf], [1e300], [5e-324], [-0.0]]
    encoder = Encoder(("x",), {"colour": ("red", "ünbekannt", 'a"b')})
    quick = {"xgboost": {"rounds": 3, "min_child_weight": 0.1}, "lightgbm": {"rounds": 3}, "logistic": {"C": 1}}
    recipe = Recipe(algorithm, quick[algorithm], "none", 1)  # type: ignore[arg-type]
    folder = tmp_path_factory.mktemp("golden")
    fingerprint = save_bundle(folder, fit_model(rows, encoder, recipe), recipe, identity(), encoder, rows)
    assert np.unique(load_scorer(folder, fingerprint).probabilities(rows)).size > 1


def test_a_digit_that_text_loses_does_not_refuse_the_model(tmp_path: Path) -> None:
    """Just below the middle of two 32-bit numbers: as text, with 15 digits, it lies above, and across the split."""
    low, high = 1.0, 1.0 + 2**-23
    rows = pd.DataFrame({"x": [low, high] * 50, "split": TRAIN, "label": [0, 1] * 50})
    encoder, recipe = Encoder(("x",), {}), Recipe("xgboost", {"rounds": 3}, "none", 1)
    between = pd.DataFrame({"x": [1.0 + 2**-24 - 2**-52]})
    as_text = pd.DataFrame({"x": [1.000000059604645]})
    assert encoder.encode(between)[0, 0] == low
    assert encoder.encode(as_text)[0, 0] == high
    fingerprint = save_bundle(tmp_path, fit_model(rows, encoder, recipe), recipe, identity(), encoder, between)
    below, above = load_scorer(tmp_path, fingerprint).probabilities(pd.concat([between, as_text]))
    assert below < above


class OneBitOff:
    """Tables that some machine gets wrong in the last bit of one lead in ten."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        right = Forest.margins

        def wrong(forest: Forest, matrix: np.ndarray) -> np.ndarray:
            margins = right(forest, matrix)
            margins[9::10] = np.nextafter(margins[9::10], np.float32(np.inf))
            return margins

        monkeypatch.setattr(Forest, "margins", wrong)


def test_tables_that_are_wrong_by_a_bit_are_refused_when_the_model_is_kept(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    OneBitOff(monkeypatch)
    learner = trained["xgboost"][2]
    with pytest.raises(ScoringError, match=r"xgboost model scores 100 of 1,000 leads otherwise .* in row 9\. Nothing"):
        save_bundle(tmp_path / "bundle", learner, RECIPES["xgboost"], STEEPER, SHIPPED, LEADS)
    assert not (tmp_path / "bundle").exists()


def test_tables_that_are_wrong_by_a_bit_are_refused_when_the_model_is_loaded(
    trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    OneBitOff(monkeypatch)
    with pytest.raises(LakehouseError, match="scores its golden rows differently"):
        load_scorer(trained["xgboost"][0])
