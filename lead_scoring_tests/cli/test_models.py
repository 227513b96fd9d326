"""The verbs about versions on a real model store: what they tell, and their exit codes."""

import dataclasses
import json
from pathlib import Path

import mlflow
import pyarrow as pa
import pytest
from click.testing import CliRunner, Result

from lead_scoring_assets.cli import main
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.models.encoder import Encoder
from lead_scoring_assets.models.record import RECORD
from lead_scoring_assets.models.registry import ModelRegistry
from lead_scoring_assets.promotion.deployments import Deployment, Deployments
from lead_scoring_tests.models.trainings import FOLDS, JUNE, RECIPES, Trained, train_and_record

pytestmark = [
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated"),
    pytest.mark.filterwarnings("ignore:.*Any type hint is inferred as AnyType"),
    pytest.mark.filterwarnings("ignore:.*An input example was not provided when logging the model"),
]


@pytest.fixture(scope="module")
def registered(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """One recorded version that is live, and one without a record, from before there were any."""
    trained = train_and_record(tmp_path_factory.mktemp("a home") / "lead scoring", RECIPES["xgboost"], FOLDS)
    registry = ModelRegistry(trained.home)
    registry.prepare()
    encoder = Encoder.from_registry(trained.home.settings.registry)
    fingerprint = trained.record.fingerprint
    mlflow.set_tracking_uri(registry.tracking_uri)
    mlflow.set_experiment(registry.name)
    with mlflow.start_run():
        first = registry.register(trained.bundle, encoder, JUNE.key, fingerprint)
    with mlflow.start_run():
        second = registry.register(trained.bundle, encoder, "2009-07", fingerprint)
    kept = trained.home.data / second.bundle
    kept.with_name(RECORD).unlink()
    house = Installation(trained.home)
    Deployments(house.lakehouse).record(
        Deployment(1, JUNE.end, JUNE.key, first.bundle, fingerprint, actor="gate, run 1", reason="no champion yet")
    )
    decided = {"period": ["2009-06", "2009-07"], "candidate_version": [1, 2], "verdict": ["promoted", "rejected"]}
    house.lakehouse.replace_periods(
        "promotion_decision", decided["period"], pa.table({**decided, "reason": ["no champion yet", "not better"]})
    )
    return trained


@pytest.fixture(autouse=True)
def _in_its_home(registered: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(registered.home.root)
    monkeypatch.setenv("LEAD_SCORING_HOME", str(registered.home.root))
    monkeypatch.setenv("DAGSTER_HOME", str(registered.home.root))


def run(*words: str) -> Result:
    return CliRunner().invoke(main, list(words))


def test_a_versions_story_tells_data_commit_metrics_trigger_and_deployments(registered: Trained) -> None:
    told = run("model", "1")
    assert told.exit_code == 0, told.output
    record = registered.record
    where = record.provenance
    for expected in (
        "drift: age moved",
        record.content_hash,
        "lead_features at version 4",
        where.git_commit,
        where.lock_sha256,
        f"auc {record.metrics['auc']:.4f}",
        record.fingerprint,
        "version 1 of 'small' in MLflow, stage production",
        "2009-06: promoted: no champion yet",
        f"{JUNE.end:%Y-%m-%d %H:%M}: promoted by gate, run 1: no champion yet",
    ):
        assert expected in told.output.replace("\n", ""), expected


def test_a_version_from_before_records_says_so_and_tells_the_rest(registered: Trained) -> None:
    told = " ".join(run("model", "v2").output.split())
    assert "is missing: expected the record of a training beside its model" in told
    assert "2009-07: rejected: not better" in told
    assert "never live" in told
    refused = run("reproduce", "2")
    assert refused.exit_code == 2
    assert "cannot be reproduced; train again" in " ".join(refused.output.split())


def test_mlflows_registry_carries_what_a_version_was_made_of(registered: Trained) -> None:
    registry = ModelRegistry(registered.home)
    record, tags = registered.record, registry.client.get_model_version(registry.name, "1").tags
    expected = {
        "data_hash": record.content_hash,
        "git_commit": record.provenance.git_commit,
        "settings_sha256": record.provenance.settings_sha256,
        "trigger": "drift",
        "holdout_auc": f"{record.metrics['auc']:.4f}",
    }
    assert {name: tags[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("at", "told"),
    [
        ("2009-06-30T23:59", "no version was live at 2009-06-30 23:59 UTC."),
        ("2009-07-01", "v1, trained at the end of 2009-06, was live at 2009-07-01 00:00 UTC (since 2009-07-01 00:00"),
        ("2031-01-01", "promoted by gate, run 1: no champion yet)."),
    ],
)
def test_which_version_was_live_is_told_of_any_moment(at: str, told: str) -> None:
    found = run("models", "--at", at)
    assert found.exit_code == 0, found.output
    assert told in " ".join(found.output.split())


def test_every_version_is_listed() -> None:
    told = run("models")
    assert told.exit_code == 0, told.output
    first, second = (line for line in told.output.splitlines() if "2009-0" in line)
    assert "production" in first
    assert "xgboost" in first
    assert "no record" in second


def test_a_version_is_the_same_again_and_the_store_is_not_asked_where_a_record_is_named(registered: Trained) -> None:
    for options in ([], ["--record", str(registered.record_file)]):
        told = run("reproduce", "v1", "--here", *options)
        assert told.exit_code == 0, told.output
        assert f"v1 is the same again: fingerprint {registered.record.fingerprint}, 5 files" in told.output


def test_a_recorded_recipe_that_was_changed_is_refused_or_told(registered: Trained, tmp_path: Path) -> None:

    path = tmp_path / "record.json"
    text = registered.record.to_bytes()
    path.write_bytes(text.replace(b"age moved", b"age stood"))
    told = run("reproduce", "1", "--here", "--record", str(path))
    assert told.exit_code == 2
    assert f"{path} was changed" in told.output.replace("\n", "")
    recipe = {**json.loads(registered.record.recipe), "seed": 1}
    path.write_bytes(dataclasses.replace(registered.record, recipe=json.dumps(recipe, sort_keys=True)).to_bytes())
    told = run("reproduce", "1", "--here", "--record", str(path))
    assert told.exit_code == 1
    assert "differs: recipe: recipe.json had SHA-256" in told.output


@pytest.mark.parametrize("word", ["0", "seven", "-1", "v", "1.5"])
@pytest.mark.parametrize("verb", ["model", "reproduce"])
def test_what_is_no_version_is_a_usage_error(verb: str, word: str) -> None:
    told = run(verb, "--", word)
    assert told.exit_code == 2
    assert "is no model version; write it like 7 or v7" in told.output


@pytest.mark.parametrize("verb", ["model", "reproduce"])
def test_a_version_that_is_not_there_is_told_with_the_verb_that_lists_them(verb: str) -> None:
    told = run(verb, "99")
    assert told.exit_code == 2
    assert "there is no model version 99: expected one that `lead-scoring models` lists" in told.output


def test_two_ways_at_once_are_a_usage_error() -> None:
    told = run("reproduce", "1", "--here", "--install")
    assert told.exit_code == 2
    assert "name one of them" in told.output


def test_a_record_of_another_model_is_refused(registered: Trained) -> None:

    house = Installation(registered.home)
    found = ModelRegistry(house.home).find_version(1)
    assert found is not None
    path = (house.home.data / found[0].bundle).with_name(RECORD)
    kept = path.read_bytes()
    try:
        path.write_bytes(dataclasses.replace(registered.record, fingerprint="f" * 64).to_bytes())
        told = run("reproduce", "1", "--here")
        assert told.exit_code == 2
        assert "which v1 was registered with" in told.output.replace("\n", "")
    finally:
        path.write_bytes(kept)
