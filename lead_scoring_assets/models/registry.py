"""MLflow: the run that trained a model, its registered version, and the champion alias. Decisions are not made here."""

import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlparse

from lead_scoring_assets.errors import LakehouseError
from lead_scoring_assets.models.encoder import Encoder
from lead_scoring_assets.settings import Home

if TYPE_CHECKING:
    from mlflow import MlflowClient

CHAMPION = "champion"
_PERIOD, _FINGERPRINT, _BUNDLE = "period", "fingerprint", "bundle"


@dataclass(frozen=True)
class RegisteredModel:
    """One registered version: `bundle` is its folder relative to the data folder."""

    version: int
    run_id: str
    bundle: str
    fingerprint: str


class ModelRegistry:
    """The models of one installation in MLflow's registry (SQLite and local files by default)."""

    def __init__(self, home: Home) -> None:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
        self._home = home
        self.name = home.settings.name

    @property
    def tracking_uri(self) -> str:
        # Not MLFLOW_TRACKING_URI: MLflow writes that variable itself, and a second installation would inherit the first's.
        return self._home.settings.mlflow.tracking_uri or f"sqlite:///{self._home.mlflow / 'mlflow.db'}"

    @property
    def client(self) -> "MlflowClient":
        from mlflow import MlflowClient

        return MlflowClient(tracking_uri=self.tracking_uri)

    def prepare(self) -> None:
        """Create the store, the experiment and the registered model, once, before several processes need them."""
        self._home.mlflow.mkdir(parents=True, exist_ok=True)
        client = self.client
        with _unless_it_exists():
            client.create_experiment(self.name, artifact_location=(self._home.mlflow / "artifacts").as_uri())
        with _unless_it_exists():
            client.create_registered_model(self.name, description="Probability that a lead converts.")

    def find(self, period: str, fingerprint: str) -> RegisteredModel | None:
        """The version that was trained at the end of `period` with exactly this content, if there is one."""
        found = self.client.search_model_versions(
            f"name = '{self.name}' AND tags.{_PERIOD} = '{period}' AND tags.{_FINGERPRINT} = '{fingerprint}'"
        )
        return self._describe(min(found, key=lambda v: int(v.version))) if found else None

    def register(self, bundle: Path, encoder: Encoder, period: str, fingerprint: str) -> RegisteredModel:
        """Log `bundle` to the active MLflow run as a pickle-free pyfunc that gives probabilities, and register it."""
        import mlflow
        import xgboost
        from mlflow.models import ModelSignature
        from mlflow.types import ColSpec, Schema

        inputs = [ColSpec("double", name, required=False) for name in encoder.numeric]
        inputs += [ColSpec("string", name, required=False) for name in encoder.categories]
        with warnings.catch_warnings():
            # It asks for an input example to check the signature with; ours is stated, and golden rows check the model.
            warnings.filterwarnings("ignore", message=".*input example was not provided", category=UserWarning)
            info = mlflow.pyfunc.log_model(
                name="model",
                loader_module="lead_scoring_assets.models.scorer",
                data_path=str(bundle),
                # Stated, because finding them out by importing everything takes MLflow five seconds a model.
                pip_requirements=["lead-scoring", f"xgboost=={xgboost.__version__}"],
                signature=ModelSignature(inputs=Schema(inputs), outputs=Schema([ColSpec("double")])),
            )
        run = mlflow.active_run()
        relative = self._relative(Path(unquote(urlparse(info.artifact_path).path)) / "data" / bundle.name)
        # All tags at once: a version without its bundle, left by a process that died in between, could not be used.
        version = self.client.create_model_version(
            self.name,
            info.model_uri,
            run_id=run.info.run_id,
            model_id=info.model_id,
            tags={_PERIOD: period, _FINGERPRINT: fingerprint, _BUNDLE: relative},
        )
        return RegisteredModel(int(version.version), run.info.run_id, relative, fingerprint)

    def log_metrics(self, run_id: str, metrics: Mapping[str, float]) -> None:
        for name, value in metrics.items():
            self.client.log_metric(run_id, name, value)

    def champion_version(self) -> int | None:
        """Where the alias points, or None."""
        alias = self.client.get_registered_model(self.name).aliases.get(CHAMPION)
        return int(alias) if alias is not None else None

    def point_champion_to(self, version: int) -> None:
        """Move the alias; nothing happens when it is there already."""
        if self.champion_version() != version:
            self.client.set_registered_model_alias(self.name, CHAMPION, str(version))

    def close_failed_runs(self, dagster_run_id: str) -> list[str]:
        """Mark MLflow runs of a Dagster run that did not finish as FAILED (a killed process could not); their ids."""
        experiment = self.client.get_experiment_by_name(self.name)
        if experiment is None:
            return []
        runs = self.client.search_runs(
            [experiment.experiment_id], f"tags.dagster_run_id = '{dagster_run_id}' AND attributes.status = 'RUNNING'"
        )
        for run in runs:
            self.client.set_terminated(run.info.run_id, status="FAILED")
        return [run.info.run_id for run in runs]

    def _relative(self, folder: Path) -> str:
        if not folder.is_relative_to(self._home.data):
            raise LakehouseError(
                f"MLflow put a model into {folder}, expected a folder in {self._home.data}: the experiment "
                f"{self.name!r} was made for another place. Rename it in MLflow, or move the installation back."
            )
        return str(folder.relative_to(self._home.data))

    def _describe(self, version: Any) -> RegisteredModel:
        return RegisteredModel(int(version.version), version.run_id, version.tags[_BUNDLE], version.tags[_FINGERPRINT])


@contextmanager
def _unless_it_exists() -> Iterator[None]:
    """Creating first and looking afterwards: of two processes that start at once, both succeed."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as problem:
        if problem.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
