"""A trained model as a folder of plain files (no pickle), and the scorer that everything loads from it.

Training writes the folder, MLflow keeps it, batch scoring and `models:/name@champion` read it: one artefact, one path.
"""

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from lead_scoring_assets.errors import LakehouseError
from lead_scoring_assets.models.encoder import Encoder

if TYPE_CHECKING:
    import xgboost

MODEL, ENCODER, GOLDEN, MANIFEST = "model.ubj", "encoder.json", "golden.json", "manifest.json"
_FILES = (MODEL, ENCODER, GOLDEN)
_GOLDEN_ROWS = 20


class Scorer:
    """Gives every lead a probability of conversion."""

    def __init__(self, booster: "xgboost.Booster", encoder: Encoder) -> None:
        self._booster = booster
        self._encoder = encoder

    @property
    def columns(self) -> list[str]:
        """The feature columns that `probabilities` reads."""
        return self._encoder.columns

    def probabilities(self, features: pd.DataFrame) -> npt.NDArray[np.float64]:
        """Probability of conversion for each row of `features` (columns by name), shape (rows,)."""
        import xgboost

        if not len(features):
            return np.empty(0)
        matrix = xgboost.DMatrix(self._encoder.encode(features), feature_types=self._encoder.feature_types, nthread=1)
        return np.asarray(self._booster.predict(matrix), dtype=np.float64)

    def predict(self, model_input: pd.DataFrame) -> npt.NDArray[np.float64]:
        """MLflow's name for the same: probabilities, never classes."""
        return self.probabilities(model_input)


def save_bundle(folder: Path, model: bytes, encoder: Encoder, sample: pd.DataFrame) -> str:
    """Write the model's folder and return its fingerprint (SHA-256 over the files' checksums).

    `sample`: rows whose scores are stored beside the model; a loader that scores them otherwise is refused.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MODEL).write_bytes(model)
    (folder / ENCODER).write_text(encoder.to_json(), encoding="utf-8")
    golden = sample.head(_GOLDEN_ROWS)[encoder.columns]
    rows = json.loads(golden.to_json(orient="records", double_precision=15))
    # The rows as they will be read back are scored: as text, a number may have lost its last digit.
    scores = Scorer(_booster(model), encoder).probabilities(pd.DataFrame(rows, columns=encoder.columns))
    (folder / GOLDEN).write_text(json.dumps({"rows": rows, "scores": scores.tolist()}), encoding="utf-8")
    sums = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in _FILES}
    (folder / MANIFEST).write_bytes(_manifest(sums))
    return _fingerprint(sums)


def load_scorer(folder: Path, fingerprint: str | None = None) -> Scorer:
    """Load and verify a model's folder: its checksums, the fingerprint where one is known, and the golden scores.

    Raises:
        LakehouseError: a file is missing, was changed, or scores its golden rows differently.
    """
    try:
        manifest = (folder / MANIFEST).read_bytes()
        files = {name: (folder / name).read_bytes() for name in _FILES}
    except OSError as problem:
        raise LakehouseError(f"model in {folder} cannot be read ({problem}); roll back, or train it again.") from None
    sums = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    if _manifest(sums) != manifest:
        changed = [str(folder / name) for name, total in sums.items() if total.encode() not in manifest]
        raise LakehouseError(
            f"model file {' and '.join(changed) or folder / MANIFEST} was changed since training (its checksum and "
            f"{MANIFEST} disagree); roll back, or train it again."
        )
    if fingerprint is not None and _fingerprint(sums) != fingerprint:
        raise LakehouseError(f"model in {folder} is not the one that was deployed (fingerprint differs); roll back.")
    scorer = Scorer(_booster(files[MODEL]), Encoder.from_json(files[ENCODER].decode()))
    golden = json.loads(files[GOLDEN])
    found = scorer.probabilities(pd.DataFrame(golden["rows"], columns=scorer.columns))
    if not np.array_equal(found, np.asarray(golden["scores"], dtype=np.float64)):
        raise LakehouseError(
            f"model in {folder} scores its golden rows differently from when it was trained; "
            "the installed xgboost differs: install the locked environment."
        )
    return scorer


def _load_pyfunc(path: str) -> Scorer:
    """MLflow's entry point (loader module): no pickle is involved."""
    return load_scorer(Path(path))


def _booster(model: bytes) -> "xgboost.Booster":
    import xgboost

    return xgboost.Booster(params={"nthread": 1}, model_file=bytearray(model))


def _manifest(sums: dict[str, str]) -> bytes:
    return json.dumps(sums, indent=1).encode()


def _fingerprint(sums: dict[str, str]) -> str:
    return hashlib.sha256(json.dumps(sums, sort_keys=True).encode()).hexdigest()
