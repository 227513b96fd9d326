"""What scoring a table costs: our stream of Arrow batches, and the same model through mlflow.pyfunc and pandas.

    .venv/bin/python benchmarks/batch_scoring.py                    1 million rows of 20 features, each side three times
    .venv/bin/python benchmarks/batch_scoring.py --rows 10000000

SIMULATED leads in a Delta table of twelve months; one model (XGBoost, 120 trees of depth 4). Each side reads the table's
columns, scores every row and writes lead id and probability to Parquet, in a process of its own, below a small parent; sides
take turns. Told are the CPU seconds of the whole process and of the work without imports and loading the model, rows per CPU
second of that work, and the largest resident memory. The outputs are compared bit for bit with each other and with the
booster read by its own library. Nothing is asserted about time: machines differ.

- ours: `score_batches`, as `lead_scores` uses it. A batch of rows is in memory at a time.
- mlflow_pyfunc: `load_model`, `pandas.read_parquet`, `predict`: the way MLflow's documentation scores a batch. The model is
  the same folder, and XGBoost's own predict gives the margins.
- our_pyfunc: the same with the product's loader, as its registry keeps models: our tables give the margins.
- booster: the reference for the scores: the whole matrix, `Booster.predict(output_margin=True)`. Not a contestant.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

MONTHS = [f"2024-{month:02}" for month in range(1, 13)]
NUMBERS, CATEGORIES = 12, 8
_SETTINGS = """
name: benchmark
clock: replay
crm: own
periods: {cadence: month, start: 2024-01-01, end: 2025-01-01}
columns:
"""
# What stood in `XGBoostTrees` before there were tables: encoder, XGBoost, calibrator.
_XGBOOST_LOADER = """
from pathlib import Path

import xgboost

from lead_scoring_assets.models.calibration import identity
from lead_scoring_assets.models.encoder import Encoder
from lead_scoring_assets.models.learners.xgboost_trees import XGBoostTrees
from lead_scoring_assets.models.recipe import Recipe
from lead_scoring_assets.models.scorer import Scorer


def _load_pyfunc(path):
    folder = Path(path)
    booster = xgboost.Booster(params={"nthread": 1}, model_file=str(folder / "model.ubj"))
    recipe = Recipe.from_json((folder / "recipe.json").read_text())
    learner = XGBoostTrees(b"", booster=booster)
    return Scorer(learner, Encoder.from_json((folder / "encoder.json").read_text()), recipe, identity())
"""
_TRAINING_ROWS = 50_000
_CHUNK_ROWS = 250_000


# The world


def generate(folder: Path, rows: int) -> None:
    """Twelve months of leads, deterministic, and a model trained on some of the first month's."""
    import numpy as np
    import pyarrow as pa

    from lead_scoring_assets.features.plan import feature_schema
    from lead_scoring_assets.installation import Installation
    from lead_scoring_assets.settings import Home

    columns = [f"  n{i}: {{kind: number, role: feature, required: false, why: w}}" for i in range(NUMBERS)]
    columns += [
        f"  c{i}: {{kind: category, role: feature, required: false, categories: {words(i)}, why: w}}".replace("'", "")
        for i in range(CATEGORIES)
    ]
    (folder / "lead_scoring.yaml").write_text(_SETTINGS + "\n".join(columns), encoding="utf-8")
    house = Installation(Home(folder))
    schema = feature_schema(house.settings.registry)

    def months(month: int) -> Any:
        first, last = month * rows // 12, (month + 1) * rows // 12
        start = house.settings.calendar.period(MONTHS[month]).start
        for begin in range(first, last, _CHUNK_ROWS):
            n = min(_CHUNK_ROWS, last - begin)
            random = np.random.default_rng(begin)
            found: dict[str, Any] = {
                "period": pa.repeat(MONTHS[month], n),
                "lead_id": pa.array([f"L{i:09}" for i in range(begin, begin + n)]),
                "created_at": pa.repeat(pa.scalar(start, schema.field("created_at").type), n),
                "known_at": pa.repeat(pa.scalar(start, schema.field("known_at").type), n),
            }
            for i in range(NUMBERS):
                found[f"n{i}"] = pa.array(random.normal(size=n).round(3), mask=random.random(n) < 0.05)
            for i in range(CATEGORIES):
                codes = pa.array(random.integers(0, len(words(i)), n), pa.int32(), mask=random.random(n) < 0.05)
                found[f"c{i}"] = pa.DictionaryArray.from_arrays(codes, words(i)).cast(pa.string())
            yield pa.record_batch([found[name] for name in schema.names], schema=schema)

    for month, key in enumerate(MONTHS):
        house.lakehouse.replace_periods(
            "lead_features", [key], lambda month=month: pa.RecordBatchReader.from_batches(schema, months(month))
        )
    _train(folder)


def words(place: int) -> list[str]:
    """The values of one category column: 4 to 11 texts of a usual length."""
    return [f"value_{place}_{i}" for i in range(4 + place)]


def _train(folder: Path) -> None:
    import mlflow
    import numpy as np
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    from lead_scoring_assets.installation import Installation
    from lead_scoring_assets.models import learners
    from lead_scoring_assets.models.bundle import save_bundle
    from lead_scoring_assets.models.calibration import identity
    from lead_scoring_assets.models.encoder import Encoder
    from lead_scoring_assets.models.recipe import Recipe
    from lead_scoring_assets.settings import Home

    house = Installation(Home(folder))
    frame = house.lakehouse.read("lead_features", periods=MONTHS[:1]).to_pandas().head(_TRAINING_ROWS)
    odds = (
        frame["n0"].fillna(0) + (frame["c0"] == "value_0_1") + frame["n1"].fillna(0) * (frame["c3"] == "value_3_2") - 2
    )
    labels = (np.random.default_rng(0).random(len(frame)) < 1 / (1 + np.exp(-odds))).to_numpy().astype(float)
    encoder = Encoder.from_registry(house.settings.registry)
    recipe = Recipe("xgboost", {"rounds": 120, "max_depth": 4, "eta": 0.1}, "none", 42)
    learner = learners.fit(recipe, encoder.encode(frame), labels, encoder.feature_types)
    save_bundle(folder / "bundle", learner, recipe, identity(), encoder, frame)
    loader = folder / "xgboost_loader.py"
    loader.write_text(_XGBOOST_LOADER, encoding="utf-8")
    # As the product's registry does it: with a signature, to which MLflow holds what it is given.
    inputs = [ColSpec("double", name, required=False) for name in encoder.numeric]
    inputs += [ColSpec("string", name, required=False) for name in encoder.categories]
    for side, module in ((mlflow_pyfunc, loader.stem), (our_pyfunc, "lead_scoring_assets.models.bundle")):
        mlflow.pyfunc.save_model(
            str(folder / side.__name__),
            signature=ModelSignature(inputs=Schema(inputs), outputs=Schema([ColSpec("double")])),
            loader_module=module,
            code_paths=[str(loader)],
            data_path=str(folder / "bundle"),
            pip_requirements=["lead-scoring"],
        )


# The sides


def ours(folder: Path) -> Any:
    import pyarrow.parquet as pq

    from lead_scoring_assets.installation import Installation
    from lead_scoring_assets.models.bundle import load_scorer
    from lead_scoring_assets.predictions.batches import score_batches
    from lead_scoring_assets.settings import Home

    house = Installation(Home(folder))
    scorer = load_scorer(folder / "bundle")
    rows = house.lakehouse.scan("lead_features")
    yield
    writer = None
    for batch in score_batches(rows, scorer, ("lead_id",)):
        writer = writer or pq.ParquetWriter(folder / "ours.parquet", batch.schema)
        writer.write_batch(batch)
    if writer:
        writer.close()


def mlflow_pyfunc(folder: Path) -> Any:
    yield from _through_pyfunc(folder, "mlflow_pyfunc")


def our_pyfunc(folder: Path) -> Any:
    yield from _through_pyfunc(folder, "our_pyfunc")


def _through_pyfunc(folder: Path, side: str) -> Any:
    import mlflow
    import pandas as pd

    model = mlflow.pyfunc.load_model(str(folder / side))
    columns = [f"n{i}" for i in range(NUMBERS)] + [f"c{i}" for i in range(CATEGORIES)]
    files = _files(folder)
    yield
    frames = [pd.read_parquet(file, columns=["lead_id", *columns]) for file in files]
    frame = pd.concat(frames, ignore_index=True)
    scored = frame[["lead_id"]].assign(probability=model.predict(frame[columns]))
    scored.to_parquet(folder / f"{side}.parquet", index=False)


def booster(folder: Path) -> Any:
    """The model's file as XGBoost itself reads it; the sigmoid in 64 bits."""
    import numpy as np
    import pandas as pd
    import xgboost

    from lead_scoring_assets.models.encoder import Encoder

    encoder = Encoder.from_json((folder / "bundle" / "encoder.json").read_text())
    model = xgboost.Booster(params={"nthread": 1}, model_file=str(folder / "bundle" / "model.ubj"))
    yield
    frame = pd.concat([pd.read_parquet(file) for file in _files(folder)], ignore_index=True)
    matrix = xgboost.DMatrix(encoder.encode(frame), feature_types=encoder.feature_types, nthread=1)
    margins = model.predict(matrix, output_margin=True).astype(np.float64)
    scored = frame[["lead_id"]].assign(probability=1 / (1 + np.exp(-margins)))
    scored.to_parquet(folder / "booster.parquet", index=False)


def _files(folder: Path) -> list[str]:
    """In the order in which a scan reads them. A Delta table lists its files; dead ones may lie beside them."""
    from lead_scoring_assets.installation import Installation
    from lead_scoring_assets.settings import Home

    lakehouse = Installation(Home(folder)).lakehouse
    return [
        str(lakehouse.path("lead_features")) + "/" + file.lstrip("/") for file in lakehouse.scan("lead_features").files
    ]


SIDES = {side.__name__: side for side in (ours, mlflow_pyfunc, our_pyfunc)}


# Measuring


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--times", type=int, default=3, help="how often each side is measured")
    parser.add_argument("--below", type=Path, help="folder for the working files (default: the system's temporary one)")
    asked = parser.parse_args()
    from rich.console import Console
    from rich.table import Table

    progress = Console(stderr=True)
    table = Table(title=f"{asked.rows:,} rows, {NUMBERS + CATEGORIES} features (SIMULATED), medians of {asked.times}")
    for name in ("side", "CPU s", "of it scoring", "rows per CPU s of scoring", "peak MB"):
        table.add_column(name, justify="left" if name == "side" else "right")
    with tempfile.TemporaryDirectory(dir=asked.below) as name:
        folder = Path(name)
        progress.print("generating")
        generate(folder, asked.rows)
        found: dict[str, list[dict[str, float]]] = {side: [] for side in SIDES}
        for turn in range(asked.times):
            # They take turns, and the first one changes: what else the machine does falls on both.
            for side in sorted(SIDES, reverse=bool(turn % 2)):
                progress.print(f"{side}, {turn + 1} of {asked.times}")
                found[side].append(measure(side, folder))
        for side, told in found.items():
            figures = {key: statistics.median(one[key] for one in told) for key in told[0]}
            speed = asked.rows / figures["scoring"]
            table.add_row(
                side, f"{figures['cpu']:.1f}", f"{figures['scoring']:.1f}", f"{speed:,.0f}", f"{figures['peak']:,.0f}"
            )
        measure("booster", folder)
        Console().print(table)
        Console().print("\n".join([*compare(folder), *paired(found)]))


def measure(side: str, folder: Path) -> dict[str, float]:
    """One side as a process of its own, below a small parent, so that its peak is not an earlier one's."""
    program = (
        "import json, resource, subprocess, sys\n"
        "done = subprocess.run(sys.argv[1:], capture_output=True, text=True)\n"
        "used = resource.getrusage(resource.RUSAGE_CHILDREN)\n"
        "print(json.dumps({'cpu': used.ru_utime + used.ru_stime, 'peak': used.ru_maxrss / 1024,\n"
        "                  'code': done.returncode, 'told': done.stdout, 'failed': done.stderr[-3000:]}))\n"
    )
    work = f"import runpy; m = runpy.run_path({__file__!r}, run_name='side'); m['run_side']({side!r}, {str(folder)!r})"
    done = subprocess.run(
        [sys.executable, "-c", program, sys.executable, "-c", work], capture_output=True, text=True, check=True
    )
    found = json.loads(done.stdout)
    if found["code"]:
        raise SystemExit(f"{side} ended with {found['code']}:\n{found['failed']}")
    return {"cpu": found["cpu"], "peak": found["peak"], "scoring": float(found["told"].splitlines()[-1])}


def run_side(side: str, folder: str) -> None:
    steps = {**SIDES, "booster": booster}[side](Path(folder))
    next(steps)
    begin = time.process_time()
    for _ in steps:
        pass
    print(time.process_time() - begin)


def compare(folder: Path) -> list[str]:
    """Whether all sides gave every lead the same bits."""
    import numpy as np
    import pyarrow.parquet as pq

    reference = pq.read_table(folder / "booster.parquet")
    told = []
    for side in SIDES:
        scores = pq.read_table(folder / f"{side}.parquet")
        order, other = (np.argsort(t["lead_id"].to_numpy(zero_copy_only=False)) for t in (scores, reference))
        same = (scores["probability"].to_numpy()[order] == reference["probability"].to_numpy()[other]).sum()
        told.append(f"{side}: {same:,} of {reference.num_rows:,} scores are the booster's, bit for bit")
    return told


def paired(found: dict[str, list[dict[str, float]]]) -> list[str]:
    """Ratios within each turn, from least to greatest."""
    told = []
    for side in list(SIDES)[1:]:
        pairs = list(zip(found["ours"], found[side], strict=True))
        speeds = sorted(theirs["scoring"] / own["scoring"] for own, theirs in pairs)
        whole = sorted(theirs["cpu"] / own["cpu"] for own, theirs in pairs)
        memory = sorted(own["peak"] / theirs["peak"] for own, theirs in pairs)
        told += [
            f"ours against {side}: rows per CPU second of scoring {_spread(speeds)} times, of the whole process",
            f"  {_spread(whole)} times, at {_spread(memory)} of its peak memory",
        ]
    return told


def _spread(values: list[float]) -> str:
    return f"{statistics.median(values):.2f} ({values[0]:.2f} to {values[-1]:.2f})"


if __name__ == "__main__":
    main()
