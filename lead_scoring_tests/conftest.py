"""Fixtures that several rooms share: the real bank file, fetched and read once per session."""

import fcntl
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from hypothesis import HealthCheck, settings

from lead_scoring_assets.leads.bank import fetch_bank_file, read_bank_leads
from lead_scoring_tests.verbs import Verbs

# No test asserts a time: a busy machine is not a fault. The same examples every time, so that a change is judged by what it
# changed; HYPOTHESIS_PROFILE=exploring draws new ones, and what it finds becomes a test of its own.
settings.register_profile("exploring", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("repeatable", settings.get_profile("exploring"), derandomize=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))

_REPOSITORY = Path(__file__).resolve().parents[1]
_BESIDE_THE_REPOSITORY = _REPOSITORY.parent / "shared" / "data"


def pytest_xdist_auto_num_workers() -> int:
    """Two more than there are cores: the tests that run the whole product mostly wait for its daemon."""
    return (os.cpu_count() or 1) + 2


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests go first, the slowest before the others: the other workers wait for none of them at the end."""
    minutes: dict[Path, float] = {}
    for item in items:
        if slow := item.get_closest_marker("slow"):
            minutes[item.path] = max(minutes.get(item.path, 0), slow.kwargs.get("minutes", 1))
    items.sort(key=lambda item: -minutes.get(item.path, 0))


@pytest.fixture(scope="session")
def bank_mirror() -> Path:
    """A folder that holds the real file: the named mirror, the one beside the repository, else the official download.

    Its absence is a failure, because a skip would hide what is not tested.
    """
    if named := os.environ.get("LEAD_SCORING_MIRROR"):
        return Path(named)
    if _BESIDE_THE_REPOSITORY.is_dir():
        return _BESIDE_THE_REPOSITORY
    return fetch_bank_file(_REPOSITORY / "data" / "downloads", mirror=None).parent


@pytest.fixture(scope="session")
def bank_csv(bank_mirror: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The verified `bank-full.csv`, fetched from the mirror."""
    return fetch_bank_file(tmp_path_factory.mktemp("bank-downloads"), mirror=bank_mirror)


@pytest.fixture(scope="session")
def bank_leads(bank_csv: Path) -> pd.DataFrame:
    """The real leads with their dates; shared by all tests, so copy before changing a row."""
    return read_bank_leads(bank_csv)


MakeHome = Callable[[str], Path]
"""Makes a home of its own below a temporary folder, with the shipped settings."""


@pytest.fixture(scope="session")
def make_home(tmp_path_factory: pytest.TempPathFactory) -> MakeHome:
    """The folder's name holds a blank on purpose: people's folders do."""

    def make(name: str) -> Path:
        home = tmp_path_factory.mktemp(name) / "lead scoring"
        home.mkdir()
        for file in ("lead_scoring.yaml", "dagster.yaml", "workspace.yaml"):
            shutil.copy(_REPOSITORY / file, home / file)
        return home

    return make


RunVerb = Callable[..., subprocess.CompletedProcess[str]]
"""Runs `lead-scoring <words>` in a home, as a person would, and gives what it printed."""


@pytest.fixture(scope="session")
def verbs() -> Iterator[Verbs]:
    """What verbs are run by: processes of their own that need not import everything again."""
    verbs = Verbs()
    yield verbs
    verbs.end()


@pytest.fixture(scope="session")
def run_verb(bank_mirror: Path, verbs: Verbs) -> RunVerb:
    def run(home: Path, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = verbs.run(home, words, environment(home, bank_mirror))
        if check and done.returncode:
            raise AssertionError(
                f"lead-scoring {' '.join(words)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
            )
        # DuckDB's binding says so when something of it outlives the interpreter: noise for whoever typed the verb.
        assert "nanobind" not in done.stderr, done.stderr
        return done

    return run


def environment(home: Path, mirror: Path) -> dict[str, str]:
    """A person's environment in which `home` is the installation."""
    ours = ("LEAD_SCORING_", "DAGSTER_", "MLFLOW_")
    plain = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return {**plain, "LEAD_SCORING_HOME": str(home), "DAGSTER_HOME": str(home), "LEAD_SCORING_MIRROR": str(mirror)}


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[], tuple[Path, ...]]) -> tuple[Path, ...]:
    """What `make` gives, for all workers of a session: the first makes it, the others wait for it."""
    own = factory.getbasetemp()
    note = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / f"{name}.txt"
    with note.open("a+") as made:
        fcntl.flock(made, fcntl.LOCK_EX)
        made.seek(0)
        if not (found := made.read()):
            made.write(found := "\n".join(map(str, make())))
    return tuple(map(Path, found.split("\n")))


@pytest.fixture(scope="session")
def first_months(make_home: MakeHome, run_verb: RunVerb, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    """The first five months, materialised, with the first champion among them: a home, and a copy of it as it lies.

    The home is for who lets its history go on, because models are trained where their registry was made. Everybody else
    takes the copy.
    """

    def make() -> tuple[Path, Path]:
        home = make_home("history")
        run_verb(home, "prepare")
        run_verb(home, "materialize", "--through", "2008-09")
        return home, shutil.copytree(home, tmp_path_factory.mktemp("short") / home.name)

    return made_once(tmp_path_factory, "first_months", make)


@pytest.fixture(scope="session")
def short_home(first_months: tuple[Path, ...]) -> Path:
    """The first five months, materialised, with the first champion among them. Copy it before changing it."""
    return first_months[1]


@pytest.fixture(scope="session")
def make_landed_home(make_home: MakeHome, short_home: Path) -> MakeHome:
    """Makes a home as `lead-scoring prepare` leaves it: the files have landed, and nothing else has happened."""

    def make(name: str) -> Path:
        home = make_home(name)
        shutil.copytree(short_home / "data" / "landing", home / "data" / "landing")
        shutil.copy(short_home / "data" / "clock.json", home / "data" / "clock.json")
        return home

    return make


@pytest.fixture(scope="session", autouse=True)
def _migrations_are_read_once() -> Iterator[None]:
    """Dagster and MLflow have Alembic read every migration that they ever had whenever a store is opened; they never change."""
    read, known = ScriptDirectory.from_config, dict[str | None, ScriptDirectory]()

    def from_config(config: Config) -> ScriptDirectory:
        location = config.get_main_option("script_location")
        if location not in known:
            known[location] = read(config)
        return known[location]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ScriptDirectory, "from_config", from_config)
        yield


@pytest.fixture(autouse=True)
def _mlflow_forgets() -> Iterator[None]:
    """MLflow writes the store it was pointed to into the environment; the next test must not inherit it."""
    yield
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_RUN_ID"):
        os.environ.pop(name, None)
