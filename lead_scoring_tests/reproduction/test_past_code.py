"""Reproducing with the code of then: on clones of this very package, whose later commits change what matters."""

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lead_scoring_assets.models.provenance import UNKNOWN, Provenance, gather
from lead_scoring_assets.models.record import TrainingRecord
from lead_scoring_assets.reproduction.past_code import is_present_code
from lead_scoring_assets.settings import SETTINGS_FILE
from lead_scoring_tests.models.test_provenance import git
from lead_scoring_tests.models.trainings import FOLDS, RECIPES, Trained, train_and_record

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
# Stands for the real one, which takes minutes: an environment is a Python that can be run.
MAKEFILE = """
setup:
\tmkdir -p .venv/bin
\tprintf '#!/bin/sh\\nexport INSTALLED_ENVIRONMENT=yes\\nexec "%s" "$$@"\\n' "$(PYTHON)" > .venv/bin/python
\tchmod +x .venv/bin/python
\techo "installed with $(PYTHON)"
"""
OTHER_CODE = """

_fit_in_order = fit_model


def fit_model(training_set, encoder, recipe):
    return _fit_in_order(training_set.iloc[::-1], encoder, recipe)
"""


@dataclasses.dataclass(frozen=True)
class Past:
    """A model, and the clone whose first commit trained it."""

    clone: Path
    trained: Trained

    def commit(self, message: str) -> str:
        git(self.clone, "add", "--all")
        git(self.clone, "commit", "--quiet", "--message", message)
        return git(self.clone, "rev-parse", "HEAD")

    def change_the_code(self) -> None:
        with (self.clone / "lead_scoring_assets" / "models" / "training.py").open("a") as source:
            source.write(OTHER_CODE)

    def reproduce(self, *options: str, record: TrainingRecord | None = None) -> tuple[int, str]:
        """Exit code and everything that was printed, in a process that runs the clone's present code."""
        told = self.clone.parent / "told.json"
        told.write_bytes((record or self.trained.record).to_bytes())
        done = subprocess.run(
            [
                *(sys.executable, "-c", "from lead_scoring_assets.cli import main; main(prog_name='lead-scoring')"),
                *("reproduce", "v7", "--record", str(told), *options),
            ],
            cwd=self.clone,
            env={**os.environ, "PYTHONPATH": str(self.clone), "LEAD_SCORING_HOME": str(self.trained.home.root)},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Past:
    """Not to be written to."""
    folder = tmp_path_factory.mktemp("past code")
    clone = folder / "lead scoring"
    shutil.copytree(
        ROOT / "lead_scoring_assets", clone / "lead_scoring_assets", ignore=shutil.ignore_patterns("__pycache__")
    )
    for name in ("pyproject.toml", "requirements.lock", ".gitignore"):
        shutil.copy(ROOT / name, clone / name)
    (clone / "Makefile").write_text(MAKEFILE)
    git(clone, "init", "--quiet", "--initial-branch=trunk")
    git(clone, "add", "--all")
    git(clone, "commit", "--quiet", "--message", "first")
    trained = train_and_record(folder / "home", RECIPES["xgboost"], FOLDS)
    record = dataclasses.replace(trained.record, provenance=gather(trained.home.settings, clone))
    return Past(clone, dataclasses.replace(trained, record=record))


@pytest.fixture
def past(first: Past, tmp_path: Path) -> Iterator[Past]:
    """A copy that a test may change; whatever happens, no worktree and no change of the code is left behind."""
    clone = Path(shutil.copytree(first.clone, tmp_path / "clone here"))
    own = Past(clone, first.trained)
    before = git(clone, "rev-parse", "HEAD")
    yield own
    assert len(git(clone, "worktree", "list", "--porcelain").split("\n\n")) == 1
    assert git(clone, "merge-base", "--is-ancestor", before, "HEAD") == ""


SAME = "v7 is the same again: fingerprint"


def test_by_the_code_of_then_it_is_rebuilt_at_once(past: Past) -> None:
    code, told = past.reproduce()
    assert (code, SAME in told, "checked out" in told) == (0, True, False), told
    assert "another" not in told
    assert "other input" not in told


def test_after_the_code_and_the_settings_have_changed_the_commit_of_then_gives_the_same_model(
    past: Past, tmp_path: Path
) -> None:
    """Settings gained a key that the code of then would refuse."""
    past.change_the_code()
    settings = past.clone / "lead_scoring_assets" / "settings" / "whole.py"
    text = settings.read_text()
    settings.write_text(text.replace("    tracking_uri: str", "    novelty: int = 0\n    tracking_uri: str"))
    assert settings.read_text() != text
    head = past.commit("another order of rows, another setting")
    home = Path(shutil.copytree(past.trained.home.root, tmp_path / "home of today"))
    with (home / SETTINGS_FILE).open("a") as today:
        today.write("mlflow: {novelty: 1}\n")
    now = dataclasses.replace(past, trained=dataclasses.replace(past.trained, home=type(past.trained.home)(home)))
    then = past.trained.record.provenance.git_commit

    code, told = now.reproduce()
    assert code == 0, told
    assert SAME in told
    assert f"here it is another: commit: trained by {then}, this is {head}" in told
    assert f"commit {then[:12]} is checked out" in told
    assert "other input" not in told  # nothing differs there

    code, told = now.reproduce("--here")
    assert code == 1, told
    assert f"other input: commit: trained by {then}, this is {head}" in told
    assert "other input: settings" in told
    assert "differs: model: model.ubj had SHA-256" in told
    assert "differs: metric auc" in told
    assert "differs: recipe" not in told


def test_changes_that_no_commit_has_are_not_used_and_those_of_then_are_told(past: Past) -> None:
    past.change_the_code()
    record = past.trained.record
    dirty = dataclasses.replace(record, provenance=dataclasses.replace(record.provenance, git_dirty=True))
    code, told = past.reproduce(record=dirty)
    assert code == 0, told
    assert "here it is another: dirty tree: the code holds changes now" in told
    assert "other input: dirty tree: the code held changes then" in told
    assert "other input: dirty tree: the code holds changes now" not in told


def test_a_dirty_tree_is_named_before_and_after_what_its_commit_cannot_do(past: Past) -> None:
    """The settings of then hold what only the changes of then knew."""
    past.change_the_code()
    past.commit("other code")
    record = past.trained.record
    dirty = dataclasses.replace(record.provenance, git_dirty=True, git_changed_files=3)
    settings = json.dumps({**json.loads(record.settings), "novelty": 1})
    code, told = past.reproduce(record=dataclasses.replace(record, provenance=dirty, settings=settings))
    assert code == 2, told
    before, refused, after = (
        told.index(words)
        for words in (
            "v7 was trained in a dirty tree, with changes in 3 file(s) that no commit has",
            "novelty: no such setting",
            "v7 was not rebuilt as it was",
        )
    )
    assert before < refused < after
    assert "lead-scoring reproduce 7 --here" in told
    code, told = past.reproduce(record=record)
    assert (code, "dirty" in told) == (0, False), told


def test_another_lock_is_refused_in_words_or_its_environment_built(past: Past) -> None:
    with (past.clone / "requirements.lock").open("a") as lock:
        lock.write("# newer\n")
    past.commit("another lock")
    code, told = past.reproduce()
    assert code == 2, told
    then = past.trained.record.provenance.lock_sha256
    assert f"expected requirements.lock with SHA-256 {then}, found" in told
    assert "lead-scoring reproduce 7 --install" in told
    assert "Traceback" not in told
    code, told = past.reproduce("--install")
    assert code == 0, told
    assert f"installed with {sys.executable}" in told
    assert SAME in told
    assert "other input" not in told


def test_an_environment_that_cannot_be_built_is_an_error_in_words(past: Past) -> None:
    (past.clone / "Makefile").write_text("setup:\n\texit 3\n")
    commit = past.commit("no way to set up")
    record = past.trained.record
    changed = dataclasses.replace(record.provenance, lock_sha256="f" * 64, git_commit=commit)
    code, told = past.reproduce("--install", record=dataclasses.replace(record, provenance=changed))
    assert code == 2, told
    assert f"the environment of commit {commit[:12]} cannot be built" in told


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"git_commit": "e" * 40}, "cannot be checked out of"),
        ({"git_commit": UNKNOWN}, "trained by code of no known commit"),
        ({"python": "3.9.1"}, "expected Python 3.9.1, found 3."),
    ],
)
def test_what_cannot_be_had_is_told_with_the_way_out(past: Past, changes: dict[str, str], expected: str) -> None:
    record = past.trained.record
    code, told = past.reproduce(
        record=dataclasses.replace(record, provenance=dataclasses.replace(record.provenance, **changes))
    )
    assert code == 2, told
    assert expected in told
    assert "--here" in told or "git fetch --unshallow" in told
    assert "Traceback" not in told


def test_a_shallow_clone_says_that_it_may_lack_the_commit(past: Past, tmp_path: Path) -> None:
    past.change_the_code()
    past.commit("later")
    git(tmp_path, "clone", "--quiet", "--depth=1", past.clone.as_uri(), "shallow")
    code, told = Past(tmp_path / "shallow", past.trained).reproduce()
    assert code == 2, told
    assert "git fetch --unshallow" in told


THEN = Provenance("c" * 40, "main", False, "r", "l" * 64, "3.11.7", "Linux x86_64", {}, "s" * 64)


@pytest.mark.parametrize(
    ("changes", "is_present"),
    [
        ({}, True),
        ({"settings_sha256": "t" * 64, "git_branch": "other"}, True),
        ({"git_commit": "d" * 40}, False),
        ({"git_dirty": True}, False),
        ({"git_dirty": None}, False),
        ({"lock_sha256": "m" * 64}, False),
        ({"python": "3.11.8"}, False),
    ],
)
def test_the_present_code_is_that_of_then_when_commit_lock_and_python_are(
    changes: dict[str, Any], is_present: bool
) -> None:
    assert is_present_code(THEN, dataclasses.replace(THEN, **changes)) is is_present


@pytest.mark.parametrize("field", ["git_commit", "lock_sha256"])
def test_two_that_nobody_knows_are_not_the_same(field: str) -> None:
    unknown = dataclasses.replace(THEN, **{field: UNKNOWN})
    assert not is_present_code(unknown, unknown)
