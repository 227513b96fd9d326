"""Running `lead-scoring reproduce` with the code of an earlier commit: a worktree of its own, removed afterwards.

What that code does there is `rebuild.py`'s matter, of then.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from lead_scoring_assets.errors import LeadScoringError
from lead_scoring_assets.models.provenance import LOCK, REPOSITORY, UNKNOWN, Provenance, differences, git_environment
from lead_scoring_assets.models.record import RECORD, TrainingRecord
from lead_scoring_assets.settings import SETTINGS_FILE

_RUN = "from lead_scoring_assets.cli import main; main(prog_name='lead-scoring')"


def is_present_code(then: Provenance, now: Provenance) -> bool:
    """Whether what runs now is, to the last byte, what a commit, a lock and a Python say it was then."""
    if UNKNOWN in (then.git_commit, then.lock_sha256):
        return False
    then_was, now_is = ((p.git_commit, p.lock_sha256, p.python) for p in (then, now))
    return then_was == now_is and now.git_dirty is False


def reproduce_by_past_code(
    version: int,
    record: TrainingRecord,
    now: Provenance,
    data: Path,
    *,
    install: bool,
    tell: Callable[[str], None],
    repository: Path = REPOSITORY,
) -> int:
    """Check out the commit of `record`, let its code rebuild the model from the folder `data`, and give its exit code.

    It runs in a home of its own with the settings of then, which the code of then can read, and the same data. The
    present environment is used when its lock and Python are those of then.

    Args:
        version: The number of the model version, for what is told.
        record: What is known of the training.
        now: The present provenance.
        data: The installation's data folder.
        install: Build the environment of then, when the present one is another.
        tell: Is told what is being done.
        repository: The clone that holds the commit.

    Raises:
        LeadScoringError: no commit was recorded, this clone does not have it, or its environment is missing.
    """
    then = record.provenance
    if then.git_commit == UNKNOWN:
        raise LeadScoringError(
            f"v{version} was trained by code of no known commit, expected one to check out. Rebuild it with the present "
            f"code: lead-scoring reproduce {version} --here"
        )
    if then.git_dirty:
        tell(_dirty_then(version, then))
    for difference in differences(then, now):
        tell(f"here it is another: {difference}")
    is_same_environment = (then.lock_sha256, then.python) == (now.lock_sha256, now.python)
    if not is_same_environment and not install:
        raise LeadScoringError(_what_to_install(version, then, now))
    with _worktree(repository, then.git_commit) as (code, scratch):
        tell(f"commit {then.git_commit[:12]} is checked out in {code}")
        python = Path(sys.executable) if is_same_environment else _install(code, then, tell)
        home = scratch / "home"
        home.mkdir()
        (home / SETTINGS_FILE).write_text(record.settings, encoding="utf-8")
        (home / "data").symlink_to(data.resolve(), target_is_directory=True)
        told = scratch / RECORD
        told.write_bytes(record.to_bytes())
        # From the record and not from the model store, which code of then may not be able to open any more.
        words = ["reproduce", str(version), "--here", "--record", str(told)]
        environment = {**os.environ, "LEAD_SCORING_HOME": str(home), "PYTHONPATH": str(code)}
        done = subprocess.run(  # noqa: S603  # our own words, and no shell
            [str(python), "-c", _RUN, *words], cwd=code, env=environment, stdin=subprocess.DEVNULL, check=False
        )
    if done.returncode and then.git_dirty:
        tell(_not_rebuilt(version, then))
    return done.returncode


def _dirty_then(version: int, then: Provenance) -> str:
    where = f" in {then.git_changed_files:,} file(s)" if then.git_changed_files else ""
    return (
        f"v{version} was trained in a dirty tree, with changes{where} that no commit has: commit {then.git_commit[:12]} "
        "alone may not rebuild it. It is tried all the same."
    )


def _not_rebuilt(version: int, then: Provenance) -> str:
    return (
        f"v{version} was not rebuilt as it was: what was changed then is lost, and commit {then.git_commit[:12]} without it "
        "trains otherwise, or does not know settings of then (see above). Rebuild it with the present code, differences "
        f"told: lead-scoring reproduce {version} --here. To have a model that can be rebuilt for certain, commit first and "
        "train again."
    )


def _what_to_install(version: int, then: Provenance, now: Provenance) -> str:
    asked = [
        f"{what} {before}, found {here}"
        for what, before, here in (
            (f"{LOCK} with SHA-256", then.lock_sha256, now.lock_sha256),
            ("Python", then.python, now.python),
        )
        if before != here
    ]
    return (
        f"v{version} was trained in another environment: expected {'; '.join(asked)}. Either let it be built from commit "
        f"{then.git_commit[:12]} (about 2 GB, removed afterwards): lead-scoring reproduce {version} --install; or rebuild "
        f"with what is here, differences told: lead-scoring reproduce {version} --here"
    )


@contextmanager
def _worktree(repository: Path, commit: str) -> Iterator[tuple[Path, Path]]:
    """The code of `commit` in a folder of its own, and an empty folder; both are gone afterwards."""
    git = shutil.which("git")
    if git is None:
        raise LeadScoringError("git is not installed, expected it to check out the code of then. Install it.")
    # What a repository runs when something is checked out is none of the past code's business.
    at = [git, "-C", str(repository), "-c", f"core.hooksPath={os.devnull}"]

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # noqa: S603  # our own words, and no shell
            [*at, *words], env=git_environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )

    with tempfile.TemporaryDirectory(prefix="lead-scoring-reproduce-") as folder:
        code, scratch = Path(folder).resolve() / "code", Path(folder).resolve() / "scratch"
        scratch.mkdir()
        added = run("worktree", "add", "--detach", "--quiet", str(code), commit)
        if added.returncode:
            raise LeadScoringError(
                f"commit {commit} cannot be checked out of {repository} (git: {added.stderr.strip()}). A shallow clone "
                "may not hold it: git fetch --unshallow. Then try again."
            )
        try:
            yield code, scratch
        finally:
            run("worktree", "remove", "--force", str(code))


def _install(code: Path, then: Provenance, tell: Callable[[str], None]) -> Path:
    """The Python of an environment with exactly what the checked-out lock names."""
    tell(f"installing what {code / LOCK} names")
    made = subprocess.run(  # noqa: S603  # our own words
        ["make", "setup", f"PYTHON={_python(then.python)}"],  # noqa: S607  # wherever the system has make
        cwd=code,
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr,
        check=False,
    )
    if made.returncode:
        raise LeadScoringError(
            f"the environment of commit {then.git_commit[:12]} cannot be built: make setup ended with {made.returncode}, "
            "expected 0. Its own words stand above."
        )
    return code / ".venv" / "bin" / "python"


def _python(version: str) -> str:
    """A Python of that version's series, this one before others; what differs in the last place is told by who runs."""
    series = version.rpartition(".")[0]
    if series == f"{sys.version_info.major}.{sys.version_info.minor}":
        return sys.executable
    found = shutil.which(f"python{series}")
    if found is None:
        raise LeadScoringError(f"Python {version} trained this model, found no python{series} here. Install it.")
    return found
