"""Where a model comes from: code, environment and settings; and in words how two of those differ. The rows are the
snapshot's matter."""

import hashlib
import json
import os
import platform
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit, urlunsplit

from lead_scoring_assets.settings import Settings

UNKNOWN = "unknown"
REPOSITORY = Path(__file__).resolve().parents[2]
LOCK = "requirements.lock"
PACKAGES = ("xgboost", "lightgbm", "scikit-learn", "numpy")
# What decides about a model. Settings, documents and tests may change without making it another one.
_CODE = ("lead_scoring_assets", LOCK, "pyproject.toml")
_GIT_SECONDS = 30


@dataclass(frozen=True)
class Provenance:
    """Code, environment and settings of one training; `UNKNOWN` (for `git_dirty` None) where nobody could tell.

    `git_dirty`: the code or the lock held changes that no commit has; `git_changed_files`: in how many files (None also
    in what was recorded before they were counted). `repository`: the URL of `origin`, without credentials. `packages`:
    the version of each library that fits or numbers.
    """

    git_commit: str
    git_branch: str
    git_dirty: bool | None
    repository: str
    lock_sha256: str
    python: str
    platform: str
    packages: Mapping[str, str]
    settings_sha256: str
    git_changed_files: int | None = None

    @property
    def is_traceable(self) -> bool:
        """A commit holds exactly the code: what a production model needs."""
        return self.git_commit != UNKNOWN and self.git_dirty is False

    def to_json(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Self:
        return cls(**json.loads(text))


def gather(settings: Settings, repository: Path = REPOSITORY) -> Provenance:
    """The provenance of a model that is trained now, by the code in `repository`."""
    commit = _git(repository, "rev-parse", "--verify", "HEAD") if _is_root(repository) else None
    is_known = commit is not None
    changes = _git(repository, "status", "--porcelain", "--untracked-files=all", "--", *_CODE) if is_known else None
    lock = repository / LOCK
    return Provenance(
        git_commit=commit or UNKNOWN,
        git_branch=(_git(repository, "symbolic-ref", "--short", "--quiet", "HEAD") or UNKNOWN) if is_known else UNKNOWN,
        git_dirty=None if changes is None else bool(changes),
        repository=without_credentials(_git(repository, "remote", "get-url", "origin") or "") if is_known else UNKNOWN,
        lock_sha256=hashlib.sha256(lock.read_bytes()).hexdigest() if lock.is_file() else UNKNOWN,
        python=platform.python_version(),
        platform=f"{platform.system()} {platform.machine()}",
        packages={name: _version(name) for name in PACKAGES},
        settings_sha256=hashlib.sha256(settings_json(settings).encode()).hexdigest(),
        git_changed_files=None if changes is None else len(changes.splitlines()),
    )


def settings_json(settings: Settings) -> str:
    """All settings as JSON, which is YAML as well: `parse_settings` reads them back."""
    return json.dumps(settings.model_dump(mode="json"))


def differences(then: Provenance, now: Provenance) -> list[str]:
    """What of the inputs other than rows and recipe was otherwise, one sentence each; an empty list when nothing was.

    Branch and remote are left out: the same commit is the same code, whatever it is called.
    """
    return [*_of_code(then, now), *_of_environment(then, now), *_of_settings(then, now)]


def without_credentials(url: str) -> str:
    """A remote's URL without user, password, query and fragment; `UNKNOWN` for none. A path stays as it is."""
    if "://" not in url:
        host, slash, path = url.partition("/")
        return f"{host.rpartition('@')[2]}{slash}{path}" or UNKNOWN
    try:
        parts = urlsplit(url)
    except ValueError:
        return UNKNOWN
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _of_code(then: Provenance, now: Provenance) -> Iterator[str]:
    if UNKNOWN in (then.git_commit, now.git_commit):
        yield f"commit: cannot be compared, it was {then.git_commit} then and is {now.git_commit} now"
    elif then.git_commit != now.git_commit:
        yield f"commit: trained by {then.git_commit}, this is {now.git_commit}"
    if then.git_dirty:
        yield "dirty tree: the code held changes then that no commit has, so no commit is exactly what trained"
    if now.git_dirty:
        yield "dirty tree: the code holds changes now that no commit has"


def _of_environment(then: Provenance, now: Provenance) -> Iterator[str]:
    if then.lock_sha256 != now.lock_sha256:
        yield f"lock: {LOCK} had SHA-256 {then.lock_sha256}, now {now.lock_sha256}"
    for name, before, here in (("python", then.python, now.python), ("platform", then.platform, now.platform)):
        if before != here:
            yield f"{name}: {before} then, {here} now"
    for name in sorted({*then.packages, *now.packages}):
        before, here = then.packages.get(name, UNKNOWN), now.packages.get(name, UNKNOWN)
        if before != here:
            yield f"{name}: {before} then, {here} now; install what {LOCK} names"


def _of_settings(then: Provenance, now: Provenance) -> Iterator[str]:
    if then.settings_sha256 != now.settings_sha256:
        yield "settings: lead_scoring.yaml says something else now (the model's own recipe and rows were recorded)"


def _is_root(repository: Path) -> bool:
    """A folder inside somebody else's repository (an environment, say) has not that repository's commit."""
    top = _git(repository, "rev-parse", "--show-toplevel")
    return top is not None and Path(top).resolve() == repository.resolve()


def _git(repository: Path, *words: str) -> str | None:
    """What git answers, or None where it does not: it is missing, or this is no repository that it trusts."""
    program = shutil.which("git")
    if program is None:
        return None
    try:
        done = subprocess.run(  # noqa: S603  # words of this module, and no shell
            [program, "-C", str(repository), *words],
            env=git_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_GIT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode(errors="replace").strip() if done.returncode == 0 else None


def git_environment() -> dict[str, str]:
    """The environment without git's own variables, which a hook leaves behind and which would name another repository."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return {**plain, "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return UNKNOWN
