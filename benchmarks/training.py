"""What a training costs: one fit, one trial on folds in time, the calibration, saving, and registering in MLflow.

    .venv/bin/python benchmarks/training.py                 20,000 leads of 13 features
    .venv/bin/python benchmarks/training.py --rows 100000

SIMULATED leads with the columns of the shipped settings; one thread, as the product fits. Registering is compared with the
same call when MLflow is left to find the model's requirements itself. Each figure is the smallest of three, the first call (which
imports the library) left out. Nothing is asserted about time: machines differ.
"""

import argparse
import os
import shutil
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

REPOSITORY = Path(__file__).resolve().parents[1]
ROUNDS = 3


def leads(rows: int, registry: Any) -> pd.DataFrame:
    """A training set in which age and balance decide a little; a tenth is the holdout."""
    draw = np.random.default_rng(1)
    found = pd.DataFrame({"lead_id": [f"L{i:08}" for i in range(rows)]})
    found["created_at"] = pd.date_range("2009-01-01", periods=rows, freq="min", tz="UTC")
    for name in registry.numeric_features:
        found[name] = draw.integers(15, 100, rows).astype(float)
    for name in registry.category_features:
        found[name] = draw.choice(np.array(registry.features[name].categories), rows)
    odds = (found[registry.numeric_features[0]] - 50) / 25 - 2
    found["label"] = (draw.random(rows) < 1 / (1 + np.exp(-odds))).astype(float)
    found["split"] = np.where(np.arange(rows) < 0.9 * rows, "train", "holdout")
    return found


def cheapest(work: Callable[[], Any]) -> tuple[float, float]:
    """Wall and CPU seconds of the cheapest of some calls."""
    work()
    found = []
    for _ in range(ROUNDS):
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        found.append((time.perf_counter() - wall, time.process_time() - cpu))
    return min(found, key=lambda pair: pair[1])


def measure(rows: int, home: Path, tell: Callable[[str, tuple[float, float]], None]) -> None:
    from lead_scoring_assets.models import learners
    from lead_scoring_assets.models.bundle import save_bundle
    from lead_scoring_assets.models.calibration import fit_calibrator, identity
    from lead_scoring_assets.models.encoder import Encoder
    from lead_scoring_assets.models.recipe import default_recipe, documented_recipe
    from lead_scoring_assets.models.registry import ModelRegistry
    from lead_scoring_assets.models.search.cross_validation import CrossValidation
    from lead_scoring_assets.models.search.folds import time_folds
    from lead_scoring_assets.settings import Home

    settings = Home(home).settings
    frame, encoder = leads(rows, settings.registry), Encoder.from_registry(settings.registry)
    train = frame[frame["split"] == "train"]
    matrix, labels = encoder.encode(train), train["label"].to_numpy()
    created_at = train["created_at"].dt.tz_localize(None).to_numpy()
    folds = time_folds(
        created_at, labels, embargo=timedelta(hours=6), folds=5, minimum_rows=100, minimum_positives=10
    ).folds
    for name in ("xgboost", "lightgbm", "logistic"):
        recipe = documented_recipe(settings.training) if name == "xgboost" else default_recipe(name, settings.training)
        tell(f"{name}: one fit", cheapest(lambda: learners.fit(recipe, matrix, labels, encoder.feature_types)))  # noqa: B023
        judged = CrossValidation(matrix, labels, encoder.feature_types, folds, learners.fit)
        tell(f"{name}: one trial, {len(folds)} folds", cheapest(lambda: judged.measure(recipe, lambda _: None)))  # noqa: B023
    recipe = documented_recipe(settings.training)
    learner = learners.fit(recipe, matrix, labels, encoder.feature_types)
    margins = learner.margins(matrix)
    tell("calibration", cheapest(lambda: fit_calibrator(margins, labels)))
    bundle = home / "bundle"
    holdout = frame[frame["split"] == "holdout"]
    tell(
        "saving the model's folder",
        cheapest(lambda: save_bundle(bundle, learner, recipe, identity(), encoder, holdout)),
    )
    fingerprint = save_bundle(bundle, learner, recipe, identity(), encoder, holdout)
    registry = ModelRegistry(Home(home))
    registry.prepare()
    import mlflow

    mlflow.set_tracking_uri(registry.tracking_uri)
    mlflow.set_experiment(registry.name)

    def register() -> None:
        with mlflow.start_run():
            registry.register(bundle, encoder, "2009-06", fingerprint)

    def register_as_mlflow_would() -> None:
        with mlflow.start_run(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            mlflow.pyfunc.log_model(
                name="model", loader_module="lead_scoring_assets.models.bundle", data_path=str(bundle)
            )

    tell("registering in MLflow, requirements stated", cheapest(register))
    tell("the same, requirements found by MLflow", cheapest(register_as_mlflow_would))


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--rows", type=int, default=20_000)
    rows = asked.parse_args().rows
    table = Table(title=f"Cost of a training on {rows:,} leads (SIMULATED)")
    for name in ("step", "wall s", "CPU s"):
        table.add_column(name, justify="left" if name == "step" else "right")
    console = Console(stderr=True)

    def tell(step: str, found: tuple[float, float]) -> None:
        console.print(step)
        table.add_row(step, *(f"{seconds:.3f}" for seconds in found))

    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        for file in ("lead_scoring.yaml", "dagster.yaml", "workspace.yaml"):
            shutil.copy(REPOSITORY / file, home / file)
        os.environ["MLFLOW_LOGGING_LEVEL"] = "ERROR"
        measure(rows, home, tell)
    Console(file=sys.stdout).print(table)


if __name__ == "__main__":
    main()
