"""What importing costs, counted in modules and not in seconds; and that every library we name can be imported."""

import importlib
import importlib.metadata
import json
import subprocess
import sys
import tomllib
import warnings
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]

# Dagster imports the definitions in every process it starts, the daemon and each run of a sensor among them.
NOT_FOR_DEFINITIONS = (
    "dagster_mlflow",
    "evidently",
    "matplotlib",
    "mlflow",
    "pyspark",
    "scipy.stats",
    "shap",
    "sklearn",
    "xgboost",
)
# A person waits for the CLI, if only to read its help.
NOT_FOR_THE_CLI = ("dagster", "pandas", *NOT_FOR_DEFINITIONS)

NAMED_OTHERWISE = {"pyyaml": "yaml", "scikit-learn": "sklearn"}

DEPENDENCIES = [
    Requirement(line)
    for line in tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
]


def imported_with(module: str, watched: tuple[str, ...]) -> list[str]:
    """Which of the watched modules a fresh process holds after importing this one."""
    code = f"import sys, json, {module}; print(json.dumps([name for name in {watched!r} if name in sys.modules]))"
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    found: list[str] = json.loads(ended.stdout)
    return found


def test_the_definitions_are_light() -> None:
    assert imported_with("lead_scoring_assets.definitions", NOT_FOR_DEFINITIONS) == []


def test_the_cli_is_lighter() -> None:
    assert imported_with("lead_scoring_assets.cli", NOT_FOR_THE_CLI) == []


def test_a_heavy_import_would_be_seen() -> None:
    assert imported_with("scipy.stats", NOT_FOR_DEFINITIONS) == ["scipy.stats"]
    assert imported_with("lead_scoring_assets.definitions", ("dagster",)) == ["dagster"]


@pytest.mark.parametrize("dependency", DEPENDENCIES, ids=lambda dependency: dependency.name)
def test_a_direct_dependency_is_there_and_can_be_imported(dependency: Requirement) -> None:
    """Versions that a resolver accepts may still not import together: evidently 0.7 with pandas 3, for one."""
    assert importlib.metadata.version(dependency.name) in dependency.specifier
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of third parties
        importlib.import_module(NAMED_OTHERWISE.get(dependency.name, dependency.name.replace("-", "_")))
