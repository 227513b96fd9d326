"""Provenance on real repositories: what git, the lock and the settings say, and nothing where nobody can say it."""

import dataclasses
import hashlib
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lead_scoring_assets.models.provenance import (
    LOCK,
    PACKAGES,
    UNKNOWN,
    Provenance,
    differences,
    gather,
    settings_json,
    without_credentials,
)
from lead_scoring_assets.settings import parse_settings

OWN = "{name: own, periods: {start: 2009-01-01}, columns: {age: {kind: number, role: feature, why: w}}}"
SETTINGS = parse_settings(OWN, "the test's")


def git(folder: Path, *words: str) -> str:
    plain = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    names = {f"GIT_{who}_{what}": "test@example" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    nothing = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    done = subprocess.run(
        ["git", *words], cwd=folder, env={**plain, **names, **nothing}, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def make_repository(folder: Path) -> Path:
    """A repository of the product's shape, with two commits."""
    (folder / "lead_scoring_assets").mkdir(parents=True)
    git(folder, "init", "--quiet", "--initial-branch=trunk")
    (folder / ".gitignore").write_text("__pycache__/\n/data/\n")
    (folder / "README.md").write_text("read me\n")
    (folder / LOCK).write_text("numpy==2.0.0\n")
    (folder / "lead_scoring_assets" / "code.py").write_text("one = 1\n")
    for message in ("first", "second"):
        (folder / "pyproject.toml").write_text(f"# {message}\n")
        git(folder, "add", "--all")
        git(folder, "commit", "--quiet", "--message", message)
    return folder


@pytest.fixture(scope="module")
def committed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Not to be written to."""
    return make_repository(tmp_path_factory.mktemp("clone") / "lead scoring; touch $(HOME)")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "repository")


def test_a_clean_tree_is_told_with_all_there_is_to_know(committed: Path) -> None:
    found = gather(SETTINGS, committed)
    assert found.git_commit == git(committed, "rev-parse", "HEAD")
    assert len(found.git_commit) == 40
    assert (found.git_branch, found.git_dirty, found.repository) == ("trunk", False, UNKNOWN)
    assert found.lock_sha256 == hashlib.sha256(b"numpy==2.0.0\n").hexdigest()
    assert set(found.packages) == set(PACKAGES)
    assert UNKNOWN not in (found.python, found.platform, *found.packages.values())
    assert found.is_traceable
    assert Provenance.from_json(found.to_json()) == found == gather(SETTINGS, committed)


@pytest.mark.parametrize(
    ("file", "is_dirty"),
    [
        ("lead_scoring_assets/code.py", True),
        ("lead_scoring_assets/new.py", True),
        (LOCK, True),
        ("pyproject.toml", True),
        ("README.md", False),
        ("lead_scoring.yaml", False),
        ("data/lakehouse.bin", False),
        ("lead_scoring_assets/__pycache__/code.pyc", False),
    ],
)
@pytest.mark.parametrize("is_staged", [False, True])
def test_dirty_is_what_can_change_a_model(repository: Path, file: str, is_dirty: bool, is_staged: bool) -> None:
    (repository / file).parent.mkdir(exist_ok=True)
    (repository / file).write_text("changed\n")
    if is_staged:
        git(repository, "add", "--all")
    found = gather(SETTINGS, repository)
    assert found.git_dirty is is_dirty
    assert found.git_changed_files == int(is_dirty)
    assert found.is_traceable is not is_dirty


def test_changed_files_are_counted_each_once(repository: Path) -> None:
    code = repository / "lead_scoring_assets"
    git(repository, "mv", "lead_scoring_assets/code.py", "lead_scoring_assets/moved.py")
    (code / "moved.py").write_text("two = 2\n")
    (code / "room").mkdir()
    for name in ("a", "b"):
        (code / "room" / f"{name} new.py").write_text("")
    (repository / "README.md").write_text("not counted\n")
    found = gather(SETTINGS, repository)
    assert (found.git_dirty, found.git_changed_files) == (True, 3)  # one that was moved is one


def test_outside_git_it_says_that_it_does_not_know(tmp_path: Path) -> None:
    found = gather(SETTINGS, tmp_path)
    assert (found.git_commit, found.git_branch, found.git_dirty, found.repository) == (UNKNOWN, UNKNOWN, None, UNKNOWN)
    assert (found.lock_sha256, found.git_changed_files) == (UNKNOWN, None)
    assert not found.is_traceable
    assert Provenance.from_json(found.to_json()) == found


def test_a_folder_inside_somebody_elses_repository_has_not_its_commit(repository: Path) -> None:
    inside = repository / "site-packages"
    inside.mkdir()
    assert gather(SETTINGS, inside).git_commit == UNKNOWN


def test_without_git_on_the_machine_it_does_not_know(committed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert gather(SETTINGS, committed).git_commit == UNKNOWN


def test_a_repository_without_a_commit_has_none(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    assert gather(SETTINGS, tmp_path).git_commit == UNKNOWN


def test_what_a_hook_leaves_in_the_environment_does_not_name_another_repository(
    committed: Path, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (repository / "README.md").write_text("another commit\n")
    git(repository, "commit", "--quiet", "--all", "--message", "third")
    monkeypatch.setenv("GIT_DIR", str(repository / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(repository))
    assert gather(SETTINGS, committed).git_commit == git(committed, "rev-parse", "HEAD")


def test_a_shallow_clone_a_detached_head_and_a_worktree_know_their_commit(committed: Path, tmp_path: Path) -> None:
    head, first = git(committed, "rev-parse", "HEAD"), git(committed, "rev-parse", "HEAD~1")
    git(tmp_path, "clone", "--quiet", "--depth=1", committed.as_uri(), "shallow")
    shallow = gather(SETTINGS, tmp_path / "shallow")
    assert (shallow.git_commit, shallow.git_branch, shallow.git_dirty) == (head, "trunk", False)
    git(tmp_path, "clone", "--quiet", str(committed), "whole")
    git(tmp_path / "whole", "worktree", "add", "--quiet", "--detach", str(tmp_path / "past"), first)
    past = gather(SETTINGS, tmp_path / "past")
    assert (past.git_commit, past.git_branch, past.git_dirty) == (first, UNKNOWN, False)


def test_the_remotes_credentials_are_not_recorded(repository: Path) -> None:
    git(repository, "remote", "add", "origin", "https://somebody:s3cret@git.example:8443/team/lead-scoring.git")
    found = gather(SETTINGS, repository)
    assert found.repository == "https://git.example:8443/team/lead-scoring.git"
    assert "s3cret" not in found.to_json()


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("", UNKNOWN),
        ("git@git.example:team/lead-scoring.git", "git.example:team/lead-scoring.git"),
        ("ssh://git@git.example/team/x", "ssh://git.example/team/x"),
        ("https://git.example/x?access_token=s3cret#s3cret", "https://git.example/x"),
        ("/home/a@b/x", "/home/a@b/x"),
        ("file:///home/x", "file:///home/x"),
        ("https://[", UNKNOWN),
    ],
)
def test_urls_of_every_form(url: str, expected: str) -> None:
    assert without_credentials(url) == expected


@given(st.text("abcS3@:/?#[]%.-", max_size=12), st.text("abcS3:%.-", min_size=1, max_size=12))
def test_no_password_is_left_in_a_url(user: str, password: str) -> None:
    marked = f"SECRET{password}"
    user = user.translate(str.maketrans("", "", "/?#[]@"))
    assert "SECRET" not in without_credentials(f"https://{user}:{marked}@git.example/x")


def test_all_settings_are_recorded_and_can_be_read_back() -> None:
    assert parse_settings(settings_json(SETTINGS), "a record") == SETTINGS
    assert gather(SETTINGS).settings_sha256 == hashlib.sha256(settings_json(SETTINGS).encode()).hexdigest()
    other = SETTINGS.model_copy(update={"currency": "AED"})
    assert gather(other).settings_sha256 != gather(SETTINGS).settings_sha256


BASE = Provenance("c" * 40, "main", False, "r", "l" * 64, "3.11.7", "Linux x86_64", {"xgboost": "3.1.0"}, "s" * 64)


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"git_commit": "d" * 40}, f"commit: trained by {'c' * 40}, this is {'d' * 40}"),
        ({"git_commit": UNKNOWN}, f"commit: cannot be compared, it was {'c' * 40} then and is unknown now"),
        ({"git_dirty": True}, "dirty tree: the code holds changes now that no commit has"),
        ({"lock_sha256": "m" * 64}, f"lock: {LOCK} had SHA-256 {'l' * 64}, now {'m' * 64}"),
        ({"python": "3.12.1"}, "python: 3.11.7 then, 3.12.1 now"),
        ({"platform": "Darwin arm64"}, "platform: Linux x86_64 then, Darwin arm64 now"),
        ({"packages": {"xgboost": "3.2.0"}}, f"xgboost: 3.1.0 then, 3.2.0 now; install what {LOCK} names"),
        ({"packages": {}}, f"xgboost: 3.1.0 then, unknown now; install what {LOCK} names"),
        ({"settings_sha256": "t" * 64}, "settings: lead_scoring.yaml says something else now"),
    ],
)
def test_each_input_that_differs_is_named(changed: dict[str, Any], expected: str) -> None:
    now = dataclasses.replace(BASE, **changed)
    [told] = differences(BASE, now)
    assert told.startswith(expected)
    assert len(differences(now, BASE)) == 1


def test_equal_inputs_differ_in_nothing_and_a_branch_is_only_a_name() -> None:
    assert differences(BASE, BASE) == []
    assert differences(BASE, dataclasses.replace(BASE, git_branch="other", repository="elsewhere")) == []
    dirty = dataclasses.replace(BASE, git_dirty=True)
    assert differences(dirty, BASE)[0].startswith("dirty tree: the code held changes then")
