"""What lies in the repository and what must not: the files people look for, the lock, what git ignores, what CI runs."""

import os
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from lead_scoring_assets.leads.bank import BANK_FILE_NAME
from lead_scoring_assets.settings import Home

ROOT = Path(__file__).resolve().parents[2]
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
WORKFLOW_TEXT = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")

PYTHONS = ("3.11", "3.12")
LARGEST_FILE_BYTES = 1_000_000
DATA_SUFFIXES = frozenset(
    {".csv", ".tsv", ".parquet", ".arrow", ".feather", ".xlsx", ".npy", ".npz"}
    | {".db", ".sqlite", ".sqlite3", ".duckdb", ".pkl", ".pickle", ".joblib", ".ubj", ".gz", ".zip", ".tar", ".log"}
)


def git(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def kept() -> list[Path]:
    """The files that git tracks, and those that it would with the next commit."""
    listed = git("ls-files", "-z", "--cached", "--others", "--exclude-standard")
    assert listed.returncode == 0, listed.stderr
    return [Path(name) for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


@pytest.mark.parametrize(
    "name",
    [
        ".ci/run",
        ".gitignore",
        "Makefile",
        "README.md",
        "dagster.yaml",
        "data/README.md",
        "lead_scoring.yaml",
        "lead_scoring_assets/definitions.py",
        "lead_scoring_tests/conftest.py",
        "pyproject.toml",
        "requirements.lock",
        "workspace.yaml",
    ],
)
def test_the_files_people_look_for_are_kept(name: str, kept: list[Path]) -> None:
    assert Path(name) in kept


def test_ci_can_be_run_by_hand() -> None:
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


# The lock


def locked(text: str) -> dict[str, list[tuple[Requirement, int]]]:
    """The requirements of a lock by name, each with the number of its hashes."""
    found: dict[str, list[tuple[Requirement, int]]] = {}
    for line in text.replace("\\\n", " ").splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            requirement, *hashes = re.split(r"\s+--hash=sha256:(?=[0-9a-f]{64}(?:\s|$))", line)
            parsed = Requirement(requirement.strip())
            found.setdefault(canonicalize_name(parsed.name), []).append((parsed, len(hashes)))
    return found


def faults_of_lock(text: str) -> list[str]:
    told = [
        f"line {number} names a place that is not everybody's: {line}"
        for number, line in enumerate(text.splitlines(), 1)
        if re.search(r"https?:|git\+|file:|--(extra-)?index|--find-links|--trusted-host| @ ", line)
    ]
    for name, pins in locked(text if not told else "").items():
        for pin, hashes in pins:
            if not hashes:
                told.append(f"{name} has no hash")
            if [each.operator for each in pin.specifier] != ["=="]:
                told.append(f"{name} is not pinned to one version")
    return told


def unmet(declared: list[str], text: str, python: str) -> list[str]:
    """Declared requirements that the lock does not satisfy on that Python, on Linux."""
    environment = {
        "python_version": python,
        "python_full_version": f"{python}.9",
        "sys_platform": "linux",
        "platform_python_implementation": "CPython",
        "implementation_name": "cpython",
    }
    pins = locked(text)
    told = []
    for requirement in map(Requirement, declared):
        versions = [
            next(iter(pin.specifier)).version
            for pin, _ in pins.get(canonicalize_name(requirement.name), [])
            if pin.marker is None or pin.marker.evaluate(environment)
        ]
        if len(versions) != 1 or versions[0] not in requirement.specifier:
            told.append(f"{requirement}: locked is {versions or 'nothing'} for Python {python}")
    return told


def test_the_lock_holds_versions_and_hashes_and_names_no_place() -> None:
    assert faults_of_lock(LOCK) == []


@pytest.mark.parametrize("python", PYTHONS)
def test_the_lock_gives_what_the_project_asks_for(python: str) -> None:
    declared = PROJECT["project"]["dependencies"] + PROJECT["dependency-groups"]["dev"]
    assert unmet(declared, LOCK, python) == []


def test_a_faulty_lock_is_found_out() -> None:
    one_hash = "--hash=sha256:" + 64 * "a"
    assert faults_of_lock(f"good==1 \\\n    {one_hash}\n    # via nothing\n") == []
    assert faults_of_lock("bare==1\n") == ["bare has no hash"]
    assert faults_of_lock(f"loose>=1 {one_hash}\n") == ["loose is not pinned to one version"]
    for place in ("--index-url https://example.org/simple", "a @ https://example.org/a.whl", "--extra-index-url x"):
        assert len(faults_of_lock(place)) == 1
    assert unmet(["good>=2", "Absent"], f"good==1 {one_hash}\n", "3.11") == [
        "good>=2: locked is ['1'] for Python 3.11",
        "Absent: locked is nothing for Python 3.11",
    ]
    assert unmet(["new"], f"new==1 ; python_full_version >= '3.12' {one_hash}\n", "3.11") != []


# What git keeps


def made_by_running() -> list[str]:
    home = Home(ROOT)
    folders = [home.landing, home.lakehouse, home.reports, home.downloads, home.mlflow, home.data / "dagster"]
    return [
        *(f"{folder.relative_to(ROOT)}/some/file" for folder in folders),
        str(home.clock_file.relative_to(ROOT)),
        str((home.downloads / BANK_FILE_NAME).relative_to(ROOT)),
        "data/logs/alerts.jsonl",
        "mlruns/0/meta.yaml",
        "mlflow.db",
        "history/runs.db",
        "schedules/schedules.db",
        "storage/some_run/step",
        "logs/event.log",
        ".telemetry/id.yaml",
        ".venv/bin/python",
        "lead_scoring.egg-info/PKG-INFO",
        "lead_scoring_assets/__pycache__/clock.cpython-311.pyc",
        ".pytest_cache/README.md",
        ".mypy_cache/missing_stubs",
        ".ruff_cache/CACHEDIR.TAG",
        ".import_linter_cache/meta.json",
        ".hypothesis/examples/a",
    ]


@pytest.mark.parametrize("path", made_by_running())
def test_what_running_makes_is_ignored(path: str) -> None:
    assert git("check-ignore", "--no-index", "--quiet", path).returncode == 0


@pytest.mark.parametrize("path", ["data/README.md", "lead_scoring_assets/clock.py", "lead_scoring.yaml", ".ci/run"])
def test_what_people_write_is_not_ignored(path: str) -> None:
    assert git("check-ignore", "--no-index", "--quiet", path).returncode == 1


def test_no_file_is_large(kept: list[Path]) -> None:
    sizes = {str(path): (ROOT / path).stat().st_size for path in kept}
    assert {name: size for name, size in sizes.items() if size > LARGEST_FILE_BYTES} == {}


def test_no_data_are_kept(kept: list[Path]) -> None:
    assert [path for path in kept if path.suffix.lower() in DATA_SUFFIXES] == []
    assert [path for path in kept if path.parts[0] == "data"] == [Path("data/README.md")]


# Continuous integration


@pytest.fixture(scope="module")
def workflow() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.load(WORKFLOW_TEXT, Loader=yaml.BaseLoader)  # `on` stays a word
    return loaded


@pytest.fixture(scope="module")
def steps(workflow: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = workflow["jobs"]["verify"]["steps"]
    return found


def make_verbs(script: str) -> list[str]:
    return re.findall(r"^\s*make ([a-z]+)", script, re.MULTILINE)


def test_ci_runs_the_verbs_that_people_run(steps: list[dict[str, Any]]) -> None:
    in_ci = [verb for step in steps for verb in make_verbs(step.get("run", ""))]
    by_hand = make_verbs((ROOT / ".ci" / "run").read_text(encoding="utf-8"))
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert in_ci == by_hand
    assert {"check", "test"} <= set(in_ci)  # the tests play the history
    assert set(in_ci) <= set(targets)
    assert all(line.startswith("make ") for step in steps for line in step.get("run", "").splitlines())


def test_make_lets_python_keep_what_it_compiled() -> None:
    """Else each of the hundred processes that the tests start compiles the libraries anew, for seconds."""
    probe = "probe:\n\t@printenv PYTHONDONTWRITEBYTECODE || echo kept\n"
    told = subprocess.run(
        ["make", "--no-print-directory", "-f", "Makefile", "-f", "-", "probe"],
        cwd=ROOT,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        input=probe,
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout == "kept\n"


def test_ci_runs_for_every_change_but_of_documents(workflow: dict[str, Any]) -> None:
    assert set(workflow["on"]) == {"push", "pull_request"}
    for event in workflow["on"].values():
        assert event["branches"] == ["main"]
        # The last pattern that fits a path decides.
        assert event["paths"] == ["**", "!docs/**", "!**.md", "README.md"]


def test_ci_runs_on_the_pythons_that_are_promised(workflow: dict[str, Any], steps: list[dict[str, Any]]) -> None:
    assert workflow["jobs"]["verify"]["strategy"]["matrix"]["python"] == list(PYTHONS)
    assert PROJECT["project"]["requires-python"] == f">={PYTHONS[0]}"
    assert "${{ matrix.python }}" in [step.get("with", {}).get("python-version") for step in steps]


def test_ci_is_well_formed(workflow: dict[str, Any], steps: list[dict[str, Any]]) -> None:
    assert {"name", "on", "permissions", "jobs"} <= set(workflow)
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        assert job["runs-on"]
        assert int(job["timeout-minutes"]) <= 60
    for step in steps:
        assert ("run" in step) != ("uses" in step), step
        assert re.fullmatch(r"actions/[a-z-]+@v\d+", step.get("uses", "actions/none@v0")), step
    assert "\t" not in WORKFLOW_TEXT


def test_ci_needs_nothing_but_the_public_internet(steps: list[dict[str, Any]]) -> None:
    """No secret and no folder beside the checkout: the product downloads the data itself."""
    assert not re.search(r"secrets\.|shared/|https?://", WORKFLOW_TEXT)
    assert all("env" not in step for step in steps)
