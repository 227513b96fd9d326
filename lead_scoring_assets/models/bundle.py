"""A trained model as a folder of plain files (no pickle): written by training, kept by MLflow, read by every scorer."""

import hashlib
import importlib.metadata
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lead_scoring_assets.errors import LakehouseError, LeadScoringError, ScoringError
from lead_scoring_assets.models import learners
from lead_scoring_assets.models.calibration import Calibrator
from lead_scoring_assets.models.encoder import Encoder
from lead_scoring_assets.models.learners import Learner
from lead_scoring_assets.models.recipe import Recipe
from lead_scoring_assets.models.scorer import Scorer
from lead_scoring_assets.settings import Algorithm

if TYPE_CHECKING:
    import pandas as pd

MODEL: Mapping[Algorithm, str] = {"xgboost": "model.ubj", "lightgbm": "model.txt", "logistic": "model.json"}
ENCODER, RECIPE, CALIBRATOR = "encoder.json", "recipe.json", "calibrator.json"
GOLDEN, MANIFEST = "golden.json", "manifest.json"
_BESIDE_THE_MODEL = (ENCODER, RECIPE, CALIBRATOR, GOLDEN)
_GOLDEN_ROWS = 20
_COMPARED_ROWS = 1_000
_EXAMPLE_ROWS = 5
# Another machine's exp() may differ in the last bits; another version of a learner differs in far more.
_SAME_SCORE = 1e-9
_PRODUCT = "lead-scoring"
_LIBRARY: Mapping[Algorithm, str] = {"xgboost": "xgboost", "lightgbm": "lightgbm", "logistic": _PRODUCT}


def save_bundle(
    folder: Path, learner: Learner, recipe: Recipe, calibrator: Calibrator, encoder: Encoder, sample: "pd.DataFrame"
) -> str:
    """Write the model's folder and return its fingerprint (SHA-256 over the files' checksums).

    `sample`: rows whose scores are stored beside the model; a loader that scores them otherwise is refused.

    Raises:
        ScoringError: the model gives one of them what is no finite number, or another number once it is read back.
    """
    import pandas as pd

    model = learner.to_bytes()
    # As it will be loaded; and the rows as they will be read back: as text, a number may have lost its last digit.
    scorer = Scorer(learners.load(recipe.algorithm, model), encoder, recipe, calibrator)
    _refuse_other_scores(Scorer(learner, encoder, recipe, calibrator), scorer, sample.head(_COMPARED_ROWS))
    rows = _golden_rows(sample, encoder)
    found = scorer.probabilities(pd.DataFrame(rows, columns=encoder.columns))
    # Ten digits: the same training has the same fingerprint on a machine whose exp() differs in the last bits.
    scores = [float(f"{score:.10g}") for score in found]
    files = {
        MODEL[recipe.algorithm]: model,
        ENCODER: encoder.to_json().encode(),
        RECIPE: recipe.to_json().encode(),
        CALIBRATOR: calibrator.to_json().encode(),
        GOLDEN: json.dumps({"rows": rows, "scores": scores}).encode(),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name in MODEL.values():
        (folder / name).unlink(missing_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    sums = _sums(files)
    (folder / MANIFEST).write_bytes(_manifest(sums))
    return _fingerprint(sums)


def load_scorer(folder: Path, fingerprint: str | None = None) -> Scorer:
    """Load and verify a model's folder: its checksums, the fingerprint where one is known, and the golden scores.

    Raises:
        LakehouseError: a file is missing, was changed, or scores its golden rows differently.
    """
    files, model = _intact(folder, fingerprint)
    return _verified(folder, files, model)


def verify_files(folder: Path, fingerprint: str) -> None:
    """Verify that the files are those that loaded when this fingerprint was taken; no library is imported to load them.

    Raises:
        LakehouseError: a file is missing or was changed.
    """
    _intact(folder, fingerprint)


def _intact(folder: Path, fingerprint: str | None) -> tuple[dict[str, bytes], str]:
    """The files by name, and which of them is the model."""
    try:
        manifest = (folder / MANIFEST).read_bytes()
        model = _model_file(folder, manifest)
        files = {name: (folder / name).read_bytes() for name in (model, *_BESIDE_THE_MODEL)}
    except OSError as problem:
        raise LakehouseError(f"model in {folder} cannot be read ({problem}); roll back, or train it again.") from None
    sums = _sums(files)
    if _manifest(sums) != manifest:
        changed = [str(folder / name) for name, total in sums.items() if total.encode() not in manifest]
        raise LakehouseError(
            f"model file {' and '.join(changed) or folder / MANIFEST} was changed since training (its checksum and "
            f"{MANIFEST} disagree); roll back, or train it again."
        )
    if fingerprint is not None and _fingerprint(sums) != fingerprint:
        raise LakehouseError(f"model in {folder} is not the one that was deployed (fingerprint differs); roll back.")
    return files, model


def requirements(folder: Path) -> list[str]:
    """What must be installed to load the model in `folder`: this product, and its learner's library in this version."""
    library = _LIBRARY[Recipe.from_json((folder / RECIPE).read_text(encoding="utf-8")).algorithm]
    learner = [] if library == _PRODUCT else [f"{library}=={importlib.metadata.version(library)}"]
    return [_PRODUCT, *learner]


def example_rows(folder: Path) -> "pd.DataFrame | None":
    """A few of the golden rows in `folder`, typed as the model's signature wants them; None where there are none."""
    import pandas as pd

    encoder = Encoder.from_json((folder / ENCODER).read_text(encoding="utf-8"))
    rows = json.loads((folder / GOLDEN).read_text(encoding="utf-8"))["rows"][:_EXAMPLE_ROWS]
    if not rows:
        return None
    frame = pd.DataFrame(rows, columns=encoder.columns)
    for name in encoder.columns:  # a column of which nothing is known has a type as well
        is_number = name in encoder.numeric
        frame[name] = (
            pd.to_numeric(frame[name], "coerce").astype("float64") if is_number else frame[name].astype(object)
        )
    return frame


def _refuse_other_scores(fitted: Scorer, loaded: Scorer, rows: "pd.DataFrame") -> None:
    """Trees are read back into tables of our own: golden scores prove them only if they are the library's own scores."""
    found, expected = loaded.margins(rows), fitted.margins(rows)
    if len(wrong := np.flatnonzero(found != expected)):
        raise ScoringError(
            f"the {fitted.recipe.algorithm} model scores {len(wrong):,} of {len(rows):,} leads otherwise once it is read back: "
            f"expected log odds of {expected[wrong[0]]}, found {found[wrong[0]]} in row {wrong[0]:,}. Nothing was written; "
            "install the locked environment, or train again."
        )


def _golden_rows(sample: "pd.DataFrame", encoder: Encoder) -> list[dict[str, object]]:
    """The first rows of `sample` as they are read back from JSON."""
    features = sample.head(_GOLDEN_ROWS)[encoder.columns]
    rows: list[dict[str, object]] = json.loads(features.to_json(orient="records", double_precision=15))
    return rows


def _verified(folder: Path, files: Mapping[str, bytes], model: str) -> Scorer:
    try:
        recipe = Recipe.from_json(files[RECIPE].decode())
        scorer = Scorer(
            learners.load(recipe.algorithm, files[model]),
            Encoder.from_json(files[ENCODER].decode()),
            recipe,
            Calibrator.from_json(files[CALIBRATOR].decode()),
        )
        golden = json.loads(files[GOLDEN])
        found = scorer.row_probabilities(golden["rows"])
    except LeadScoringError as problem:
        raise LakehouseError(f"model in {folder} cannot be loaded: {problem}") from None
    expected = np.asarray(golden["scores"], dtype=np.float64)
    if found.shape != expected.shape or not np.allclose(found, expected, rtol=_SAME_SCORE, atol=0):
        raise LakehouseError(
            f"model in {folder} scores its golden rows differently from when it was trained; "
            f"the installed {_LIBRARY[recipe.algorithm]} differs: install the locked environment."
        )
    return scorer


def _load_pyfunc(path: str) -> Scorer:
    """MLflow's entry point (loader module): no pickle is involved."""
    return load_scorer(Path(path))


def _model_file(folder: Path, manifest: bytes) -> str:
    """The model's file is called after its algorithm: as the manifest says, or as it lies there where that is damaged."""
    named = [name for name in MODEL.values() if name.encode() in manifest]
    there = [name for name in MODEL.values() if (folder / name).exists()]
    return (named or there or list(MODEL.values()))[0]


def _sums(files: Mapping[str, bytes]) -> dict[str, str]:
    return {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}


def _manifest(sums: Mapping[str, str]) -> bytes:
    return json.dumps(sums, indent=1).encode()


def _fingerprint(sums: Mapping[str, str]) -> str:
    return hashlib.sha256(json.dumps(sums, sort_keys=True).encode()).hexdigest()
