"""A home with two small models of the shipped registry, served without tables or MLflow, and what is asked of it."""

import asyncio
import contextlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd

from lead_scoring_assets.clock import Clock, FixedClock
from lead_scoring_assets.models.bundle import load_scorer, save_bundle
from lead_scoring_assets.models.scorer import Scorer
from lead_scoring_assets.models.training import fit_model
from lead_scoring_assets.prediction_log.records import Record, record_of
from lead_scoring_assets.rollout.traffic import Traffic
from lead_scoring_assets.serving.deployment_file import FILE, DeploymentFile, ServedModel
from lead_scoring_assets.serving.worker import Worker, open_worker
from lead_scoring_assets.settings import Home
from lead_scoring_tests.models.scored_leads import RECIPES, SHIPPED, STEEPER, leads

NOW = datetime(2009, 1, 1, 12, tzinfo=UTC)
BASE_RATE = 0.125
ADDRESS = "http://127.0.0.1"


class Client:
    """Asks an application in this process, one request after the other."""

    def __init__(self, app: Any) -> None:
        self._runner = asyncio.Runner()
        self._client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=ADDRESS)

    def get(self, path: str, **more: Any) -> httpx.Response:
        return self._runner.run(self._client.get(path, **more))

    def post(self, path: str, **more: Any) -> httpx.Response:
        return self._runner.run(self._client.post(path, **more))

    def send(self, path: str, body: object, **headers: str) -> httpx.Response:
        """POST `body` as JSON."""
        return self.post(path, content=as_json(body), headers={"content-type": "application/json", **headers})

    def close(self) -> None:
        self._runner.run(self._client.aclose())
        self._runner.close()


@dataclass(frozen=True)
class Served:
    """The home, and its models by version; version 3 is of another algorithm, which has no tables."""

    root: Path
    models: dict[int, ServedModel]

    @property
    def home(self) -> Home:
        return Home(self.root)

    def scorer(self, version: int) -> Scorer:
        model = self.models[version]
        return load_scorer(self.home.data / model.bundle, model.fingerprint)

    def deploy(self, champion: int, challenger: int | None = None, traffic: Traffic | None = None, **more: Any) -> None:
        path = self.home.serving / FILE
        old = DeploymentFile.read(path)
        DeploymentFile(
            sequence=0 if old is None else old.sequence + 1,
            written_at=NOW,
            champion=self.models[champion],
            challenger=None if challenger is None else self.models[challenger],
            traffic=traffic or Traffic("champion_only" if challenger is None else "shadow"),
            last_label_at=more.get("last_label_at"),
            model_trained_at=datetime(2008, 12, 1, tzinfo=UTC),
            base_rate=more.get("base_rate", BASE_RATE),
            next_up=more.get("next_up", ()),
        ).write(path)

    def set_serving(self, yaml: str) -> None:
        """Give the settings another section `serving`."""
        path = self.root / "lead_scoring.yaml"
        head, _, rest = path.read_text().partition("\nserving:")
        _, _, tail = rest.partition("\nmlflow:")
        path.write_text(f"{head}\nserving: {yaml}\n\nmlflow:{tail}")

    @contextlib.contextmanager
    def worker(self, name: str = "w0", clock: Clock | None = None) -> Iterator[Worker]:
        with open_worker(self.home, name, may_be_open=True, clock=clock or FixedClock(NOW)) as worker:
            yield worker

    @contextlib.contextmanager
    def client(self, name: str = "w0") -> Iterator[Client]:
        with self.worker(name) as worker, contextlib.closing(Client(worker.app)) as client:
            yield client

    def records(self, kind: str | None = None) -> list[Any]:
        """The prediction log; of each worker in order."""
        found: list[Record] = []
        for path in sorted((self.home.serving / "log").glob("*.jsonl")):
            found += [record_of(line) for line in path.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]
        return [record for record in found if kind in (None, record["kind"])]


def make_served(root: Path) -> Served:
    """Train and keep the models in the home `root`, which has settings."""
    sample = leads(600)
    models = {}
    # The last has trees too large for tables of our own.
    large = replace(RECIPES["lightgbm"], parameters={"rounds": 10, "num_leaves": 100, "min_data_in_leaf": 1})
    for version, kind, seed in ((1, RECIPES["xgboost"], 1), (2, RECIPES["lightgbm"], 2), (3, large, 3)):
        recipe = replace(kind, seed=seed)
        learner = fit_model(leads(600, seed=seed), SHIPPED, recipe)
        bundle = f"models/v{version}"
        fingerprint = save_bundle(root / "data" / bundle, learner, recipe, STEEPER, SHIPPED, sample)
        models[version] = ServedModel(version, bundle, fingerprint)
    return Served(root, models)


def copied(made: Served, folder: Path) -> Served:
    """A copy that may be changed."""
    root = folder / "lead scoring"
    shutil.copytree(made.root, root)
    return Served(root, made.models)


def requests(n: int, seed: int = 7) -> list[dict[str, Any]]:
    """Leads as a program sends them: whole numbers as such, None for missing where the registry lets it be."""
    registry = Home(Path(__file__).resolve().parents[2]).settings.registry
    frame = leads(n, seed=seed).drop(columns=["split", "label"])
    found = []
    for number, row in enumerate(frame.to_dict("records")):
        body: dict[str, Any] = {"lead_id": f"lead-{seed}-{number}"}
        for name, column in registry.features.items():
            value: Any = row[name]
            if column.is_numeric:
                value = 0 if pd.isna(value) else value
                value = float(np.clip(value, column.minimum, column.maximum))
                value = round(value) if column.kind == "integer" else value
            elif pd.isna(value):
                value = column.categories[0]
            body[name] = value
        found.append(body)
    return found


def as_features(body: dict[str, Any]) -> pd.DataFrame:
    """One lead as `lead_features` has it: what means "not there" is not there."""
    registry = Home(Path(__file__).resolve().parents[2]).settings.registry
    row = {
        name: None if body.get(name) in column.missing else body.get(name) for name, column in registry.features.items()
    }
    frame = pd.DataFrame([row])
    for name, column in registry.features.items():
        frame[name] = frame[name].astype("float64" if column.is_numeric else object)
    return frame


def as_json(body: object) -> bytes:
    return json.dumps(body).encode()
