"""MLflow: the run that trained a model, its registered version, its aliases and tags. Decisions are not made here."""

import json
import os
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlparse

import pyarrow as pa

from lead_scoring_assets.errors import LakehouseError, RegistryError, StorageError
from lead_scoring_assets.evaluation.metrics import Metric
from lead_scoring_assets.files import write_atomically
from lead_scoring_assets.models.bundle import example_rows, requirements
from lead_scoring_assets.models.encoder import Encoder
from lead_scoring_assets.models.mlflow_store import asks_the_store, be_patient_for_seconds, refuse_damaged
from lead_scoring_assets.models.record import RECORD, TrainingRecord, read_record
from lead_scoring_assets.plots import svg_of
from lead_scoring_assets.settings import Home

if TYPE_CHECKING:
    from mlflow import MlflowClient

PRODUCTION, STAGING, DEVELOPMENT = "production", "staging", "development"
"""Aliases: the champion, the candidate that waits for approval, the newest version that is neither nor archived."""
ARCHIVED = "archived"
"""Tag of versions that were live and are not any more, or that a person rejected."""
_PERIOD, _FINGERPRINT, _BUNDLE = "period", "fingerprint", "bundle"


@dataclass(frozen=True)
class RegisteredModel:
    """One registered version: `bundle` is its folder relative to the data folder."""

    version: int
    run_id: str
    bundle: str
    fingerprint: str


class ModelRegistry:
    """The models of one installation in MLflow's registry (SQLite and local files by default).

    Every method that asks MLflow raises RegistryError where its store cannot be used, StorageError where the disk cannot.
    """

    def __init__(self, home: Home) -> None:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
        be_patient_for_seconds()
        self._home = home
        self.name = home.settings.name

    @property
    def tracking_uri(self) -> str:
        # Not MLFLOW_TRACKING_URI: MLflow writes that variable itself, and a second installation would inherit the first's.
        return self._home.settings.mlflow.tracking_uri or f"sqlite:///{self._file}"

    @property
    def folder(self) -> Path:
        """Where artefacts are written, and the store where it is a local one."""
        return self._home.mlflow

    @property
    def client(self) -> "MlflowClient":
        from mlflow import MlflowClient

        if self._home.settings.mlflow.tracking_uri is None:
            refuse_damaged(self._file)
        return MlflowClient(tracking_uri=self.tracking_uri)

    @asks_the_store
    def prepare(self) -> None:
        """Create the store, the experiment and the registered model, once, before several processes need them."""
        self._home.mlflow.mkdir(parents=True, exist_ok=True)
        client = self.client
        with _unless_it_exists():
            client.create_experiment(self.name, artifact_location=(self._home.mlflow / "artifacts").as_uri())
        with _unless_it_exists():
            client.create_registered_model(self.name, description="Probability that a lead converts.")

    @property
    def is_prepared(self) -> bool:
        """Whether there is a store to ask: opening a local one that is not there would make it."""
        is_elsewhere = self._home.settings.mlflow.tracking_uri is not None
        return is_elsewhere or self._file.is_file()

    @asks_the_store
    def find(self, period: str, fingerprint: str) -> RegisteredModel | None:
        """The version that was trained at the end of `period` with exactly this content, if there is one."""
        found = self.client.search_model_versions(
            f"name = '{self.name}' AND tags.{_PERIOD} = '{period}' AND tags.{_FINGERPRINT} = '{fingerprint}'"
        )
        return self._describe(min(found, key=lambda v: int(v.version))) if found else None

    @asks_the_store
    def register(self, bundle: Path, encoder: Encoder, period: str, fingerprint: str) -> RegisteredModel:
        """Log `bundle` to the active MLflow run as a pickle-free pyfunc that gives probabilities, and register it."""
        import mlflow
        from mlflow.models import ModelSignature
        from mlflow.types import ColSpec, Schema

        inputs = [ColSpec("double", name, required=False) for name in encoder.numeric]
        inputs += [ColSpec("string", name, required=False) for name in encoder.categories]
        with warnings.catch_warnings():
            # It asks for an example; where there was no holdout there is none.
            warnings.filterwarnings("ignore", message=".*input example was not provided", category=UserWarning)
            info = mlflow.pyfunc.log_model(
                name="model",
                loader_module="lead_scoring_assets.models.bundle",
                data_path=str(bundle),
                # Stated, because finding them out by importing everything takes MLflow five seconds a model.
                pip_requirements=requirements(bundle),
                signature=ModelSignature(inputs=Schema(inputs), outputs=Schema([ColSpec("double")])),
                input_example=example_rows(bundle),
            )
        run = mlflow.active_run()
        kept = Path(unquote(urlparse(info.artifact_path).path)) / "data" / bundle.name
        relative = self._relative(kept)
        known: dict[str, str] = {}
        if (told := bundle.with_name(RECORD)).exists():  # what it takes to train it again stays beside the model
            write_atomically(kept.with_name(RECORD), told.read_bytes())
            known = _tags_of(read_record(told))
        # All tags at once: a version without its bundle, left by a process that died in between, could not be used.
        version = self.client.create_model_version(
            self.name,
            info.model_uri,
            run_id=run.info.run_id,
            model_id=info.model_id,
            tags={_PERIOD: period, _FINGERPRINT: fingerprint, _BUNDLE: relative, **known},
        )
        return RegisteredModel(int(version.version), run.info.run_id, relative, fingerprint)

    @asks_the_store
    def record_again(self, registered: RegisteredModel, bundle: Path) -> None:
        """Put the record beside `bundle`, which holds the same bytes, in place of the version's own.

        For who has committed the code and trained again: the version that they made before can be rebuilt from now on.
        """
        told = bundle.with_name(RECORD)
        write_atomically((self._home.data / registered.bundle).with_name(RECORD), told.read_bytes())
        for name, value in _tags_of(read_record(told)).items():
            self.client.set_model_version_tag(self.name, str(registered.version), name, value)

    @asks_the_store
    def log_judgement(self, run_id: str, metrics: Sequence[Metric], pictures: Mapping[str, str], card: str) -> None:
        """Keep what was found on the holdout beside the run: figures with both ends of their intervals, pictures, card."""
        from mlflow.entities import Metric as Logged

        named = [
            (f"holdout_{metric.name}{edge}", value)
            for metric in metrics
            for edge, value in (("", metric.value), ("_low", metric.low), ("_high", metric.high))
        ]
        # No time of day of ours: MLflow wants one, and the figures are those of the period's end.
        logged = [Logged(name, value, 0, 0) for name, value in named if isfinite(value)]
        self.client.log_batch(run_id, metrics=logged)
        with tempfile.TemporaryDirectory() as folder:
            for name, picture in pictures.items():
                (Path(folder) / f"{name}.svg").write_bytes(svg_of(picture))
            (Path(folder) / "model_card.md").write_text(card, encoding="utf-8")
            self.client.log_artifacts(run_id, folder, "holdout")

    @asks_the_store
    def log_rows(self, run_id: str, rows: pa.Table, name: str) -> None:
        """Keep a small table beside the run, as JSON."""
        self.client.log_text(run_id, json.dumps(rows.to_pylist(), indent=1), name)

    @asks_the_store
    def find_version(self, number: int) -> tuple[RegisteredModel, str] | None:
        """The version of this number and the key of the period at whose end it was trained, if there is one."""
        found = self.client.search_model_versions(f"name = '{self.name}' AND version_number = {number}")
        return (self._describe(found[0]), found[0].tags[_PERIOD]) if found else None

    @asks_the_store
    def versions(self) -> list[tuple[RegisteredModel, str]]:
        """Every version with the key of the period at whose end it was trained, in order of number."""
        found = self.client.search_model_versions(f"name = '{self.name}'")
        told = [(self._describe(version), str(version.tags[_PERIOD])) for version in found]
        return sorted(told, key=lambda pair: pair[0].version)

    @asks_the_store
    def aliased(self, alias: str) -> int | None:
        """Where an alias points, or None."""
        number = self.client.get_registered_model(self.name).aliases.get(alias)
        return int(number) if number is not None else None

    def production_version(self) -> int | None:
        """The champion as MLflow has it, or None."""
        return self.aliased(PRODUCTION)

    @asks_the_store
    def archived_versions(self) -> frozenset[int]:
        """The versions that are tagged as archived."""
        found = self.client.search_model_versions(f"name = '{self.name}' AND tags.{ARCHIVED} = 'true'")
        return frozenset(int(version.version) for version in found)

    @asks_the_store
    def follow(self, production: int | None, staging: int | None, archived: Set[int]) -> None:
        """Move the aliases and tags to where the versions stand; nothing is written where they are there.

        The champion's alias first: who loads by alias is served soonest. One call moves it, so it is never missing.
        """
        client = self.client
        self._point(client, PRODUCTION, production)
        self._point(client, STAGING, staging)
        versions = client.search_model_versions(f"name = '{self.name}'")
        for version in versions:
            is_archived, has_tag = int(version.version) in archived, ARCHIVED in version.tags
            if is_archived and not has_tag:
                client.set_model_version_tag(self.name, version.version, ARCHIVED, "true")
            elif has_tag and not is_archived:
                client.delete_model_version_tag(self.name, version.version, ARCHIVED)
        placed = archived | {production, staging}
        free = [int(version.version) for version in versions if int(version.version) not in placed]
        self._point(client, DEVELOPMENT, max(free, default=None))

    def try_to_follow(self, production: int | None, staging: int | None, archived: Set[int]) -> str | None:
        """`follow`, where a store that cannot be reached or does not know a version is told and not raised."""
        try:
            self.follow(production, staging, archived)
        except (RegistryError, StorageError) as problem:
            return str(problem)
        return None

    def _point(self, client: "MlflowClient", alias: str, version: int | None) -> None:
        if self.aliased(alias) == version:
            return
        if version is None:
            client.delete_registered_model_alias(self.name, alias)
        else:
            client.set_registered_model_alias(self.name, alias, str(version))

    @asks_the_store
    def close_failed_runs(self, dagster_run_ids: Set[str]) -> list[str]:
        """Mark the open MLflow runs of these Dagster runs as FAILED (a killed process could not); their ids."""
        experiment = self.client.get_experiment_by_name(self.name)
        if experiment is None:
            return []
        still_open = self.client.search_runs([experiment.experiment_id], "attributes.status = 'RUNNING'")
        failed = [run.info.run_id for run in still_open if run.data.tags.get("dagster_run_id") in dagster_run_ids]
        for run_id in failed:
            self.client.set_terminated(run_id, status="FAILED")
        return failed

    @property
    def _file(self) -> Path:
        """The local store, where the settings name no server."""
        return self._home.mlflow / "mlflow.db"

    def _relative(self, folder: Path) -> str:
        if not folder.is_relative_to(self._home.data):
            raise LakehouseError(
                f"MLflow put a model into {folder}, expected a folder in {self._home.data}: the experiment "
                f"{self.name!r} was made for another place. Rename it in MLflow, or move the installation back."
            )
        return str(folder.relative_to(self._home.data))

    def _describe(self, version: Any) -> RegisteredModel:
        return RegisteredModel(int(version.version), version.run_id, version.tags[_BUNDLE], version.tags[_FINGERPRINT])


def _tags_of(told: TrainingRecord) -> dict[str, str]:
    """What a person who looks at MLflow's registry asks of a version; all of it stands in its record."""
    return {
        "trigger": told.trigger,
        "data_hash": told.content_hash,
        "git_commit": told.provenance.git_commit,
        "settings_sha256": told.provenance.settings_sha256,
        **{f"holdout_{name}": f"{value:.4f}" for name, value in told.metrics.items() if name in ("auc", "brier")},
    }


@contextmanager
def _unless_it_exists() -> Iterator[None]:
    """Creating first and looking afterwards: of two processes that start at once, both succeed."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as problem:
        if problem.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
