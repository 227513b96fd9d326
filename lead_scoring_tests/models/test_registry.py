"""The registry on a real MLflow store, in a folder whose name has a blank; nothing comes in from the environment."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlparse

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from lead_scoring_assets.errors import LakehouseError, RegistryError
from lead_scoring_assets.evaluation.metrics import Metric
from lead_scoring_assets.models.bundle import load_scorer, save_bundle
from lead_scoring_assets.models.calibration import identity
from lead_scoring_assets.models.encoder import Encoder
from lead_scoring_assets.models.recipe import documented_recipe
from lead_scoring_assets.models.registry import DEVELOPMENT, PRODUCTION, STAGING, ModelRegistry, RegisteredModel
from lead_scoring_assets.models.training import fit_model
from lead_scoring_assets.models.training_set import TRAIN
from lead_scoring_assets.plots import bar_plot
from lead_scoring_assets.settings import SETTINGS_FILE, Home

pytestmark = [
    # MLflow's own use of SQLAlchemy, and its own type hints.
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated"),
    pytest.mark.filterwarnings("ignore:.*Any type hint is inferred as AnyType"),
]

ROOT = Path(__file__).resolve().parents[2]
ENCODER = Encoder(numeric=("age", "size [m2]"), categories={"job": ("admin.", "student")})


@pytest.fixture(scope="module", autouse=True)
def _no_environment() -> Iterator[None]:
    """MLflow writes the tracking URI that is set into the environment; every test begins and ends without."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.delenv("MLFLOW_EXPERIMENT_NAME", raising=False)
        patch.delenv("MLFLOW_RUN_ID", raising=False)
        yield
        mlflow.set_tracking_uri("")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """One store for all tests of this module: creating its tables takes seconds."""
    root = tmp_path_factory.mktemp("with a blank") / "lead scoring"
    root.mkdir()
    shutil.copy(ROOT / SETTINGS_FILE, root)
    home = Home(root)
    ModelRegistry(home).prepare()
    return home


@pytest.fixture
def registry(prepared: Home) -> Iterator[ModelRegistry]:
    registry = ModelRegistry(prepared)
    mlflow.set_tracking_uri(registry.tracking_uri)
    mlflow.set_experiment(registry.name)
    yield registry
    if mlflow.active_run():
        mlflow.end_run()


@pytest.fixture(scope="module")
def leads() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    age = rng.normal(40, 10, 500)
    return pd.DataFrame(
        {
            "age": age,
            "size [m2]": np.where(rng.random(500) < 0.2, np.nan, rng.normal(size=500)),
            "job": rng.choice(["admin.", "student", None], 500),
            "split": TRAIN,
            "label": (rng.random(500) < 1 / (1 + np.exp((40 - age) / 5))).astype(np.int8),
        }
    )


def bundle_of(folder: Path, leads: pd.DataFrame, seed: int) -> tuple[Path, str]:
    settings = Home(ROOT).settings.training.model_copy(update={"rounds": 10, "seed": seed})
    recipe = documented_recipe(settings)
    learner = fit_model(leads, ENCODER, recipe)
    return folder / "bundle", save_bundle(folder / "bundle", learner, recipe, identity(), ENCODER, leads)


def register(registry: ModelRegistry, folder: Path, leads: pd.DataFrame, period: str, seed: int) -> RegisteredModel:
    bundle, fingerprint = bundle_of(folder, leads, seed)
    with mlflow.start_run():
        return registry.register(bundle, ENCODER, period, fingerprint)


# The store.


def test_the_store_lies_in_the_installation(prepared: Home, registry: ModelRegistry) -> None:
    assert " " in str(prepared.root)
    assert registry.tracking_uri == f"sqlite:///{prepared.mlflow / 'mlflow.db'}"
    assert (prepared.mlflow / "mlflow.db").is_file()
    experiment = registry.client.get_experiment_by_name(registry.name)
    assert experiment is not None
    assert Path(unquote(urlparse(experiment.artifact_location).path)) == prepared.mlflow / "artifacts"


def test_preparing_again_changes_nothing(registry: ModelRegistry) -> None:
    def state() -> list[object]:
        client = registry.client
        return [
            [(e.experiment_id, e.name, e.artifact_location) for e in client.search_experiments()],
            [(m.name, m.creation_timestamp) for m in client.search_registered_models()],
        ]

    before = state()
    registry.prepare()
    assert state() == before


def test_another_error_of_mlflow_is_not_hidden(registry: ModelRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: object, **options: object) -> None:
        raise MlflowException("the disk is full")

    monkeypatch.setattr(MlflowClient, "create_registered_model", broken)
    with pytest.raises(RegistryError, match="the disk is full"):
        registry.prepare()


def test_a_tracking_server_that_the_settings_name_is_used(
    prepared: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (
        (ROOT / "lead_scoring.yaml").read_text().replace("tracking_uri: null", "tracking_uri: http://tracking.example")
    )
    (tmp_path / "lead_scoring.yaml").write_text(text)
    assert ModelRegistry(Home(tmp_path)).tracking_uri == "http://tracking.example"
    # MLflow's own variable is left behind by whatever ran before in this process.
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://another.example")
    assert ModelRegistry(prepared).tracking_uri == f"sqlite:///{prepared.mlflow / 'mlflow.db'}"


# Versions.


def test_a_version_is_found_by_period_and_content(registry: ModelRegistry, leads: pd.DataFrame, tmp_path: Path) -> None:
    one = register(registry, tmp_path / "1", leads, "2009-01", seed=1)
    other_period = register(registry, tmp_path / "2", leads, "2009-02", seed=1)
    other_content = register(registry, tmp_path / "3", leads, "2009-01", seed=2)
    assert one.fingerprint == other_period.fingerprint != other_content.fingerprint
    assert len({one.version, other_period.version, other_content.version}) == 3
    for registered, period in ((one, "2009-01"), (other_period, "2009-02"), (other_content, "2009-01")):
        assert registry.find(period, registered.fingerprint) == registered
    assert registry.find("2009-03", one.fingerprint) is None
    assert registry.find("2009-01", "0" * 64) is None
    again = register(registry, tmp_path / "4", leads, "2009-01", seed=1)
    assert again.version > one.version
    assert registry.find("2009-01", one.fingerprint) == one  # of two that are the same, the first


def test_the_kept_bundle_is_the_trained_one(
    prepared: Home, registry: ModelRegistry, leads: pd.DataFrame, tmp_path: Path
) -> None:
    registered = register(registry, tmp_path, leads, "2009-04", seed=3)
    kept = prepared.data / registered.bundle
    assert not Path(registered.bundle).is_absolute()
    for path in (tmp_path / "bundle").iterdir():
        assert (kept / path.name).read_bytes() == path.read_bytes()
    load_scorer(kept, registered.fingerprint)


def test_a_version_is_whole_from_its_first_moment(
    registry: ModelRegistry, leads: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that dies right after the version was created leaves one that can be used."""

    def dies(*args: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(MlflowClient, "set_model_version_tag", dies)
    registered = register(registry, tmp_path, leads, "2009-05", seed=4)
    assert registry.find("2009-05", registered.fingerprint) == registered


def test_a_store_of_another_place_is_refused(
    prepared: Home, registry: ModelRegistry, leads: pd.DataFrame, tmp_path: Path
) -> None:
    registry.client.create_experiment("elsewhere", artifact_location=(tmp_path / "elsewhere").as_uri())
    mlflow.set_experiment("elsewhere")
    versions = len(registry.client.search_model_versions())
    with pytest.raises(LakehouseError, match=r"elsewhere.*expected a folder in .*was made for another place"):
        register(registry, tmp_path, leads, "2009-06", seed=5)
    assert len(registry.client.search_model_versions()) == versions


def test_the_alias_gives_the_scorers_probabilities(
    prepared: Home, registry: ModelRegistry, leads: pd.DataFrame, tmp_path: Path
) -> None:
    registered = register(registry, tmp_path, leads, "2009-07", seed=6)
    registry.follow(registered.version, None, frozenset())
    champion = mlflow.pyfunc.load_model(f"models:/{registry.name}@{PRODUCTION}")
    expected = load_scorer(prepared.data / registered.bundle).probabilities(leads)
    found = np.asarray(champion.predict(leads[ENCODER.columns]))
    assert np.array_equal(found, expected)
    assert np.unique(found).size > 100  # probabilities, not classes
    assert ((found > 0) & (found < 1)).all()
    shuffled = leads[ENCODER.columns[::-1]].iloc[::-1]
    assert np.array_equal(np.asarray(champion.predict(shuffled)), expected[::-1])
    assert champion.input_example is not None
    pd.testing.assert_frame_equal(champion.input_example, leads[ENCODER.columns].head(5), check_dtype=False)
    signature = champion.metadata.signature
    assert signature.inputs.input_names() == ENCODER.columns
    assert [column.type.name for column in signature.outputs.inputs] == ["double"]


def test_nothing_is_pickled(prepared: Home, registry: ModelRegistry, leads: pd.DataFrame, tmp_path: Path) -> None:
    registered = register(registry, tmp_path, leads, "2009-08", seed=7)
    artefact = (prepared.data / registered.bundle).parents[1]
    files = [path for path in artefact.rglob("*") if path.is_file()]
    assert {"MLmodel", "model.ubj", "encoder.json", "golden.json", "manifest.json"} <= {path.name for path in files}
    for path in files:
        assert path.suffix not in (".pkl", ".pickle", ".joblib", ".dill")
        assert not path.read_bytes().startswith(b"\x80")  # how every binary pickle begins
        assert b"pickle" not in path.read_bytes()


# The alias.


def test_the_alias_moves_and_stays(registry: ModelRegistry, leads: pd.DataFrame, tmp_path: Path) -> None:
    one = register(registry, tmp_path / "1", leads, "2009-09", seed=8).version
    two = register(registry, tmp_path / "2", leads, "2009-10", seed=9).version
    for version in (one, two, two, one):
        registry.follow(version, None, frozenset())
        assert registry.production_version() == version
        assert int(registry.client.get_model_version_by_alias(registry.name, PRODUCTION).version) == version
    registry.client.delete_registered_model_alias(registry.name, PRODUCTION)
    assert registry.production_version() is None


def test_an_alias_that_is_there_already_is_not_written(
    registry: ModelRegistry, leads: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = register(registry, tmp_path, leads, "2009-11", seed=10).version
    registry.follow(version, None, frozenset())

    def written(*args: object, **options: object) -> None:
        raise AssertionError

    monkeypatch.setattr(MlflowClient, "set_registered_model_alias", written)
    registry.follow(version, None, frozenset())
    with pytest.raises(AssertionError):
        registry.follow(version + 1, None, frozenset())


def test_staging_development_and_the_tag_of_archived_versions(
    registry: ModelRegistry, leads: pd.DataFrame, tmp_path: Path
) -> None:
    one, two, three, four = (
        register(registry, tmp_path / str(i), leads, f"2010-0{i}", seed=20 + i).version for i in range(1, 5)
    )

    def seen() -> tuple[int | None, ...]:
        return tuple(registry.aliased(alias) for alias in (PRODUCTION, STAGING, DEVELOPMENT))

    registry.follow(two, three, {one})
    assert (seen(), registry.archived_versions()) == ((two, three, four), {one})
    registry.follow(one, None, {two, three})  # back to the first
    assert (seen(), registry.archived_versions()) == ((one, None, four), {two, three})


def test_a_version_is_found_by_its_number(registry: ModelRegistry, leads: pd.DataFrame, tmp_path: Path) -> None:
    one = register(registry, tmp_path, leads, "2010-05", seed=31)
    assert registry.find_version(one.version) == (one, "2010-05")
    assert registry.find_version(10_000) is None


def test_a_registry_that_cannot_follow_says_why(registry: ModelRegistry) -> None:
    assert "10000" in str(registry.try_to_follow(10_000, None, frozenset()))


# Runs.


def test_a_judgement_reaches_its_run(registry: ModelRegistry) -> None:
    with mlflow.start_run() as run:
        pass
    auc, nothing = Metric("auc", 0.75, 0.7, 0.8, 100), Metric("brier", np.nan, np.nan, np.nan, 0)
    picture = bar_plot({"a": 1.0}, "importance")
    registry.log_judgement(run.info.run_id, [auc, nothing], {"roc": picture}, "# card")
    kept = registry.client.get_run(run.info.run_id).data.metrics
    assert kept == {"holdout_auc": 0.75, "holdout_auc_low": 0.7, "holdout_auc_high": 0.8}
    folder = Path(registry.client.download_artifacts(run.info.run_id, "holdout"))
    assert (folder / "model_card.md").read_text() == "# card"
    assert (folder / "roc.svg").read_bytes().startswith(b"<svg ")


def test_only_the_open_runs_of_the_dagster_run_are_closed(registry: ModelRegistry) -> None:
    client = registry.client
    experiment = client.get_experiment_by_name(registry.name)
    assert experiment is not None

    def start(dagster_run_id: str) -> str:
        return str(client.create_run(experiment.experiment_id, tags={"dagster_run_id": dagster_run_id}).info.run_id)

    def status(run_id: str) -> str:
        return str(client.get_run(run_id).info.status)

    parent, child, finished, other = start("died"), start("died"), start("died"), start("alive")
    client.set_terminated(finished)
    long_dead = start("died before")
    assert sorted(registry.close_failed_runs({"died", "died before"})) == sorted([parent, child, long_dead])
    assert [status(run) for run in (parent, child, finished, other)] == ["FAILED", "FAILED", "FINISHED", "RUNNING"]
    assert registry.close_failed_runs({"died"}) == []
    assert registry.close_failed_runs({"never started"}) == []


def test_without_an_experiment_there_is_nothing_to_close(prepared: Home, registry: ModelRegistry) -> None:
    registry.name = "never-prepared"
    assert registry.close_failed_runs({"any"}) == []


def test_telemetry_stays_off(registry: ModelRegistry) -> None:
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"
