"""Bad input, played through the real assets: a refusal in one sentence, the champion untouched, and the next run works."""

import errno
import json
import re
import resource
import socket
from collections.abc import Callable
from pathlib import Path

import deltalake
import numpy as np
import pandas as pd
import pytest
from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository

from lead_scoring_assets.alerts.sensors import alert_on_model_taken_back
from lead_scoring_assets.jobs import StretchRun
from lead_scoring_assets.models import learners, snapshot
from lead_scoring_assets.models.encoder import Encoder
from lead_scoring_assets.models.training import remark_on_features
from lead_scoring_assets.promotion.deployments import Deployments
from lead_scoring_assets.resources import InstallationResource
from lead_scoring_tests.conftest import MakeHome
from lead_scoring_tests.models.small_installation import NOW, Small, build, copied

dg = pytest.importorskip("dagster")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated"),  # MLflow's own use of SQLAlchemy
]
HOLDOUT_FROM = pd.Timestamp("2009-05-02", tz="UTC")


@pytest.fixture(scope="module")
def made(make_home: MakeHome) -> Small:
    return build(make_home("bad-input"))


@pytest.fixture
def small(made: Small, tmp_path: Path) -> Small:
    return copied(made, tmp_path / "lead scoring")


def refused(run: StretchRun, *words: str) -> None:
    """The run failed in one line of ours that holds all of `words`, not in an error of a library below."""
    assert not run.succeeded
    [told] = run.errors
    assert "\n" not in told
    assert not re.search(r": [\w.]*(Error|Exception): ", told), told
    for word in words:
        assert word in told


def trains_and_goes_live(small: Small) -> None:
    run = small.train()
    assert run.succeeded, run.errors
    live = Deployments(small.house.lakehouse).newest()
    assert live is not None
    assert (live.version, small.row("promotion_decision")["verdict"]) == (3, "promoted")


def flip_a_bit(file: Path) -> None:
    file.chmod(0o644)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


# Rows.


def few(small: Small) -> None:
    small.change("lead_features", lambda rows: rows.iloc[::3])


def labelled(small: Small, label: int, of: Callable[[pd.Series], pd.Series]) -> None:
    """Give one outcome to the leads whose instant of creation is meant."""
    created = small.house.lakehouse.read("lead_features").to_pandas().set_index("lead_id")["created_at"]
    small.change(
        "ground_truth_labels",
        lambda rows: rows.assign(label=rows["label"].mask(of(rows["lead_id"].map(created)), label)),
    )


UNLEARNABLE: tuple[tuple[Callable[[Small], None], str], ...] = (
    (few, "insufficient data: 364 of 800 training leads"),
    (
        lambda small: labelled(small, 0, lambda created: created < HOLDOUT_FROM),
        "insufficient data: 0 of 30 converted training leads",
    ),
    (
        lambda small: labelled(small, 1, lambda created: created < HOLDOUT_FROM),
        "insufficient data: all 1,092 training leads have the same outcome",
    ),
    (
        lambda small: labelled(small, 1, lambda created: created >= HOLDOUT_FROM),
        "insufficient data: all 180 holdout leads have the same outcome",
    ),
)


def test_what_cannot_be_learned_from_is_refused_in_words_and_the_next_run_works(small: Small) -> None:
    before, good = small.evidence(), {name: small.rows(name) for name in ("lead_features", "ground_truth_labels")}
    for spoil, refusal in UNLEARNABLE:
        spoil(small)
        assert small.train().succeeded  # a month without a model is no fault of the run
        assert small.row("trained_model")["refusal"] == refusal
        assert small.row("promotion_decision")["verdict"] == "no_candidate"
        assert small.registered() == [1, 2]
        after = small.evidence()
        assert (after["steps"], after["files"]) == (before["steps"], before["files"])
        for table, rows in good.items():
            small.change(table, lambda _, rows=rows: rows)  # type: ignore[misc]  # bound now, not after the loop
    trains_and_goes_live(small)


def test_a_feature_without_a_value_trains_and_is_remarked(small: Small) -> None:
    small.change("lead_features", lambda rows: rows.assign(balance=np.nan, job=None))
    trains_and_goes_live(small)
    rows = small.house.lakehouse.read("training_set", periods=[NOW]).to_pandas()
    remark = remark_on_features(rows, Encoder.from_registry(small.house.settings.registry))
    assert remark == "no known value in any of 1,092 training leads: balance, job"


def test_a_category_never_seen_is_scored_as_missing(small: Small) -> None:
    def scores(job: str | None) -> dict[str, float]:
        small.change("lead_features", lambda rows: rows.assign(job=rows["job"].mask(rows["period"] == NOW, job)))
        assert small.score().succeeded
        rows = small.house.lakehouse.read("lead_scores", periods=[NOW])
        return dict(zip(rows["lead_id"].to_pylist(), rows["probability"].to_pylist(), strict=True))

    known, never_seen, missing = scores("student"), scores("astronaut"), scores(None)
    assert never_seen == missing != known


# Scores.


class _Odd:
    """A learner that gives, beyond a few rows, what is no finite number: the golden rows would find it earlier."""

    def __init__(self, learner: learners.Learner, odd: float, from_rows: int) -> None:
        self._learner, self._odd, self._from_rows = learner, odd, from_rows

    def __getattr__(self, name: str) -> object:
        return getattr(self._learner, name)

    def margins(self, matrix: np.ndarray) -> np.ndarray:
        found = self._learner.margins(matrix)
        if len(found) >= self._from_rows:
            found[0] = self._odd
        return found


def test_a_model_that_gives_no_number_is_refused_and_nothing_is_written(
    small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, load = small.evidence(), learners.load

    def give(odd: float, from_rows: int) -> None:
        monkeypatch.setattr(learners, "load", lambda algorithm, content: _Odd(load(algorithm, content), odd, from_rows))

    for odd in (np.nan, np.inf, -np.inf):
        give(odd, from_rows=30)
        words = ("1 of 180 leads", "expected finite ones", f"found {odd} in row 0", "roll back, or train again")
        refused(small.train(), "trained_model: ", *words)
        refused(small.score(), "lead_scores: ", *words)
        assert small.evidence() == before
        assert small.registered() == [1, 2]
    # With few rows it is found when its folder is written, and when it is loaded.
    give(np.nan, from_rows=1)
    refused(small.train(), "1 of 180 leads")
    assert small.evidence() == before
    monkeypatch.undo()
    trains_and_goes_live(small)


# Surroundings.


def test_a_registry_that_is_down_is_named_within_seconds(small: Small) -> None:
    before = small.evidence()
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"http://mona:secret@127.0.0.1:{closed.getsockname()[1]}"
    small.rewrite_settings("tracking_uri: null ", f"tracking_uri: {address} ")
    run = small.train()
    refused(
        run,
        "could not begin: the model registry (MLflow) at http://127.0.0.1:",
        "Connection refused",
        "start the server",
    )
    assert "secret" not in run.errors[0]
    assert small.evidence() == before
    small.rewrite_settings(f"tracking_uri: {address} ", "tracking_uri: null ")
    store = small.root / "data" / "mlflow" / "mlflow.db"
    content = store.read_bytes()
    for damaged, found in ((b"no database" * 99, "file is not a database"), (content[:60_000], "malformed")):
        store.write_bytes(damaged)
        refused(small.train(), f"the model registry (MLflow) at {store}", found, "restore the store from a backup")
        assert small.evidence() == before
    store.unlink()
    store.mkdir()
    refused(small.train(), f"the model registry (MLflow) at {store}", "unable to open database file")
    assert small.score().succeeded  # scoring does not need MLflow
    assert small.evidence() == before
    store.rmdir()
    store.write_bytes(content)
    trains_and_goes_live(small)


def test_a_disk_that_is_full_is_named_and_the_next_run_goes_on_from_there(
    small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each fault lies further along the way: that it is reached proves that the one before left nothing in the way."""
    before = small.evidence()
    write_table, write_bytes = deltalake.write_deltalake, Path.write_bytes

    def full(*args: object, **options: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    def full_for_the_manifest_of_a_model(path: Path, content: bytes) -> int:
        return full() or 0 if path.parts[-2:] == ("bundle", "manifest.json") else write_bytes(path, content)

    def full_for(table: str) -> Callable[..., None]:
        def write(where: object, *args: object, **options: object) -> None:
            to = where.table_uri if isinstance(where, deltalake.DeltaTable) else str(where)
            return full() if to.rstrip("/").endswith(table) else write_table(where, *args, **options)

        return write

    faults: list[tuple[object, str, object, str]] = [
        (snapshot.pq, "write_table", full, "training_set: "),
        (snapshot, "_settle", full, "training_set: "),
        (deltalake, "write_deltalake", full_for("/training_set"), "training_set: training_set: "),
        (Path, "write_bytes", full_for_the_manifest_of_a_model, "trained_model: "),
        (LocalArtifactRepository, "log_artifacts", full, "trained_model: "),
        (deltalake, "write_deltalake", full_for("/trained_model"), "trained_model: trained_model: "),
        (deltalake, "write_deltalake", full_for("/deployments"), "promotion_decision: deployments: "),
    ]
    for where, what, broken, step in faults:
        monkeypatch.setattr(where, what, broken)
        run = small.train()
        refused(run, step, "No space left on device")
        monkeypatch.undo()
        assert small.evidence() == before, step
        # Each has a run of its own in MLflow, which does not go on for ever: finished where the training was.
        ended = (
            {"FAILED"}
            if step in ("training_set: ", "training_set: training_set: ", "trained_model: ")
            else {"FINISHED"}
        )
        assert small.runs()[run.run_id] == ended
        assert all(snapshot.load(folder) for folder in small.snapshots())
    # The last two had trained a model before: it is taken up, not made again.
    assert small.registered() == [1, 2, 3]
    trains_and_goes_live(small)
    assert small.registered() == [1, 2, 3]


def test_a_store_that_cannot_grow_is_named_without_a_traceback(small: Small, capfd: pytest.CaptureFixture[str]) -> None:
    """No stand-in: the kernel refuses every write beyond so many bytes of a file."""
    before, unlimited = small.evidence(), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, unlimited[1]))
    try:
        run = small.train()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
    refused(run, "the model registry (MLflow) at sqlite:", "disk I/O error")
    assert "Traceback" not in "".join(capfd.readouterr())
    assert small.evidence() == before
    trains_and_goes_live(small)


def test_a_snapshot_with_one_flipped_bit_is_refused_with_its_file(small: Small) -> None:
    trains_and_goes_live(small)
    before = small.evidence()
    [folder] = (folder for folder in small.snapshots() if folder.parent.name == NOW)
    for name in ("rows.parquet", "manifest.json"):
        flip_a_bit(folder / name)
        refused(small.train(), f"{folder / name} was changed since the snapshot was taken", "Restore it from a backup.")
        assert small.evidence() == before
        flip_a_bit(folder / name)
    assert small.train().succeeded


def test_a_champion_with_one_flipped_bit_falls_back_and_a_critical_alert_is_stored(small: Small) -> None:
    champion = Deployments(small.house.lakehouse).newest()
    assert champion is not None
    file = champion.folder(small.house.home.data) / "model.ubj"
    flip_a_bit(file)
    run = small.score()
    assert run.succeeded, run.errors
    rows = small.house.lakehouse.read("lead_scores", periods=[NOW])
    assert set(rows["model_version"].to_pylist()) == {1}
    steps = Deployments(small.house.lakehouse).steps()
    assert [(step.action, step.version) for step in steps[2:]] == [("fell_back", 1)]
    with dg.DagsterInstance.ephemeral() as instance:
        resources = {"installation": InstallationResource(root=str(small.root)).opened}
        for _ in range(2):
            alert_on_model_taken_back(dg.build_sensor_context(instance=instance, resources=resources))
    lines = (small.house.home.data / "logs" / "alerts.jsonl").read_text().splitlines()
    [alert] = [
        told for told in map(json.loads, lines) if told["level"] == "critical"
    ]  # beside the news of what is live
    assert str(file) in alert["message"]
    trains_and_goes_live(small)
