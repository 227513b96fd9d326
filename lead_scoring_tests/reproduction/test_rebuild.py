"""A recorded training gives the same bytes and figures again; whatever was changed in between is called by its name."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import brier_score_loss, roc_auc_score

from lead_scoring_assets.errors import LakehouseError
from lead_scoring_assets.models.bundle import load_scorer
from lead_scoring_assets.models.calibration import Calibrator, identity
from lead_scoring_assets.models.provenance import gather, settings_json
from lead_scoring_assets.models.recipe import Recipe
from lead_scoring_assets.models.record import CalibrationFolds, TrainingRecord, read_record
from lead_scoring_assets.models.snapshot import load, take
from lead_scoring_assets.models.training_set import HOLDOUT
from lead_scoring_assets.reproduction.rebuild import rebuild
from lead_scoring_assets.settings import parse_settings
from lead_scoring_tests.models.trainings import FOLDS, JUNE, RECIPES, Trained, frame_of, train_and_record, training_set

pytestmark = pytest.mark.filterwarnings("error")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Not to be written to."""
    return train_and_record(tmp_path_factory.mktemp("trained") / "home", RECIPES["xgboost"], FOLDS)


# The record.


def test_the_record_tells_all_a_training_needs(trained: Trained) -> None:
    told = read_record(trained.record_file)
    assert told == trained.record
    assert Recipe.from_json(told.recipe) == RECIPES["xgboost"]
    assert parse_settings(told.settings, "the record") == trained.home.settings
    assert told.settings == settings_json(trained.home.settings)
    assert told.provenance == gather(trained.home.settings)
    assert (told.trigger, told.trigger_reason, told.calibration) == ("drift", "age moved", FOLDS)
    assert told.inputs == {"lead_features": 4}
    assert load(trained.home.data / told.snapshot)[1].content_hash == told.content_hash
    assert set(told.files) | {"manifest.json"} == {path.name for path in trained.bundle.iterdir()}


def test_the_recorded_figures_are_those_of_the_model_on_its_holdout(trained: Trained) -> None:
    rows = frame_of(load(trained.home.data / trained.record.snapshot)[0])
    holdout = rows[rows["split"] == HOLDOUT]
    scores = load_scorer(trained.bundle, trained.record.fingerprint).probabilities(holdout)
    assert trained.record.metrics["auc"] == pytest.approx(roc_auc_score(holdout["label"], scores), abs=1e-12)
    assert trained.record.metrics["brier"] == pytest.approx(brier_score_loss(holdout["label"], scores), abs=1e-12)


@settings(max_examples=60)
@given(st.data())
def test_whatever_bit_of_the_record_flips_is_told(trained: Trained, draw: st.DataObject) -> None:
    content = bytearray(trained.record.to_bytes())
    place = draw.draw(st.integers(0, 8 * len(content) - 1))
    content[place // 8] ^= 1 << place % 8
    with pytest.raises(ValueError, match=r".+"):
        TrainingRecord.from_bytes(bytes(content))


def test_a_record_that_is_changed_or_missing_is_named(trained: Trained, tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    with pytest.raises(LakehouseError, match=rf"{path} is missing.*cannot be reproduced; train again"):
        read_record(path)
    for content in (b"", b"[]", trained.record.to_bytes().replace(b"drift", b"draft")):
        path.write_bytes(content)
        with pytest.raises(LakehouseError, match=rf"{path} was changed or cannot be read"):
            read_record(path)


# Doing it again.


@pytest.mark.parametrize("folds", [None, FOLDS], ids=["as it was recorded", "fitted again"])
@pytest.mark.parametrize("algorithm", RECIPES)
def test_every_algorithm_gives_the_same_bytes_and_figures_again(
    tmp_path: Path, algorithm: str, folds: CalibrationFolds | None
) -> None:
    trained = train_and_record(tmp_path, RECIPES[algorithm], folds)
    assert (Calibrator.from_json(trained.record.calibrator) == identity()) is (folds is None)
    shutil.rmtree(trained.bundle)  # nothing is taken from the model itself
    again = rebuild(trained.record, trained.home.data)
    assert again.differences == ()
    assert again.is_same
    assert again.fingerprint == trained.record.fingerprint
    assert again.metrics == trained.record.metrics


def test_without_a_usable_fold_the_margins_are_taken_as_they_are(tmp_path: Path) -> None:
    folds = dataclasses.replace(FOLDS, minimum_rows=10_000)
    trained = train_and_record(tmp_path, RECIPES["logistic"], folds)
    assert Calibrator.from_json(trained.record.calibrator) == identity()
    assert rebuild(trained.record, trained.home.data).is_same


def changed(trained: Trained, field: str, **changes: object) -> TrainingRecord:
    """The record with something else in one of its JSON texts."""
    told = {**json.loads(getattr(trained.record, field)), **changes}
    return dataclasses.replace(trained.record, **{field: json.dumps(told, sort_keys=True)})


def test_another_recipe_is_told_with_what_it_changed(trained: Trained) -> None:
    again = rebuild(changed(trained, "recipe", seed=43), trained.home.data)
    told = [difference.split(":")[0] for difference in again.differences]
    assert told[:2] == ["model", "recipe"]
    assert {"calibrator", "scores of the golden rows", "metric auc", "metric brier"} <= set(told)
    assert "encoder" not in told
    assert again.fingerprint != trained.record.fingerprint


def test_another_encoder_is_told(trained: Trained) -> None:
    again = rebuild(changed(trained, "encoder", numeric=["size", "age"]), trained.home.data)
    assert any(told.startswith("encoder: encoder.json had SHA-256") for told in again.differences)


def test_other_folds_give_another_calibrator_and_the_same_model(trained: Trained) -> None:
    other = dataclasses.replace(trained.record, calibration=dataclasses.replace(FOLDS, folds=4))
    told = [difference.split(":")[0] for difference in rebuild(other, trained.home.data).differences]
    assert "calibrator" in told
    assert "model" not in told


def test_a_recipe_that_cannot_be_fitted_is_told(trained: Trained) -> None:
    [told] = rebuild(changed(trained, "recipe", parameters={"max_dept": 3, "rounds": 2}), trained.home.data).differences
    assert told.startswith("recipe: training failed")


def test_a_metric_that_is_not_what_was_recorded_is_told_to_the_last_digit(trained: Trained) -> None:
    auc = trained.record.metrics["auc"]
    metrics = {**trained.record.metrics, "auc": float(np.nextafter(auc, 1))}
    [told] = rebuild(dataclasses.replace(trained.record, metrics=metrics), trained.home.data).differences
    assert told == f"metric auc: {metrics['auc']!r} then, {auc!r} rebuilt"


def test_a_fingerprint_that_is_not_that_of_the_files_is_told(trained: Trained) -> None:
    [told] = rebuild(dataclasses.replace(trained.record, fingerprint="f" * 64), trained.home.data).differences
    assert told.startswith(f"fingerprint: the record says {'f' * 64}")


def test_rows_that_are_not_those_of_the_training_are_told(trained: Trained, tmp_path: Path) -> None:
    other = take(training_set(seed=6), tmp_path / "snapshots", JUNE, inputs={}, settings_sha256="")
    moved = dataclasses.replace(trained.record, snapshot=f"snapshots/{other.path}")
    again = rebuild(moved, tmp_path)
    assert again.fingerprint is None
    [told] = again.differences
    assert told.startswith(f"snapshot: trained on rows {trained.record.content_hash}, ")
    assert told.endswith(other.content_hash)


def test_a_damaged_or_missing_snapshot_is_told_with_its_file(trained: Trained, tmp_path: Path) -> None:
    [told] = rebuild(trained.record, tmp_path).differences
    assert told.startswith("snapshot: ")
    assert "cannot be read" in told
    shutil.copytree(trained.home.snapshots, tmp_path / "snapshots")
    rows = tmp_path / trained.record.snapshot / "rows.parquet"
    content = bytearray(rows.read_bytes())
    content[len(content) // 2] ^= 1
    rows.chmod(0o644)
    rows.write_bytes(content)
    again = rebuild(trained.record, tmp_path)
    assert not again.is_same
    assert f"snapshot: {rows} was changed" in again.differences[0]
