"""Experiments, rollouts and guardrails on a running API: real processes, its log, what becomes of it, and back to the API."""

import contextlib
import http.client
import json
import re
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import dagster as dg
import pyarrow as pa
import pytest
from click.testing import CliRunner

from lead_scoring_assets.cli import main
from lead_scoring_assets.clock import ReplayClock
from lead_scoring_assets.definitions import defs
from lead_scoring_assets.experiments.assignment import assign
from lead_scoring_assets.experiments.records import Experiments
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.lots import lot
from lead_scoring_assets.models.bundle import save_bundle
from lead_scoring_assets.models.calibration import identity
from lead_scoring_assets.models.encoder import Encoder
from lead_scoring_assets.models.learners.logistic import LogisticModel
from lead_scoring_assets.models.recipe import Recipe
from lead_scoring_assets.models.training import fit_model
from lead_scoring_assets.models.training_set import TRAIN
from lead_scoring_assets.monitoring.service import sensors as service
from lead_scoring_assets.monitoring.service.measuring import measure
from lead_scoring_assets.prediction_log.ingestion import ingest
from lead_scoring_assets.prediction_log.sources import open_source
from lead_scoring_assets.promotion import following
from lead_scoring_assets.rollout import sensors as rollouts
from lead_scoring_assets.rollout.gathering import analysis_of, shadowed_of
from lead_scoring_assets.rollout.records import Rollouts
from lead_scoring_assets.rollout.traffic import traffic_now
from lead_scoring_assets.serving.deployment_file import FILE, DeploymentFile
from lead_scoring_assets.settings import Home
from lead_scoring_tests.conftest import MakeHome
from lead_scoring_tests.experiments.worlds import labels
from lead_scoring_tests.promotion.worlds import PERIODS, leads
from lead_scoring_tests.rollout.homes import DAY, RolloutHome, make_models
from lead_scoring_tests.serving.served import requests
from lead_scoring_tests.serving.test_processes import serving

pytestmark = pytest.mark.slow(minutes=1)
REPOSITORY = defs.get_repository_def()
BROKEN = (4, 5)
"""Versions that fail for jobs that they have not met."""
_KNOWN, _UNKNOWN = "admin.", "housemaid"
_PATIENCE_SECONDS = 60
[LEAD] = requests(1)


@dataclass
class House(RolloutHome):
    """A home whose clock every process reads, under an API that runs on `port`."""

    port: int = 0
    cursors: dict[str, str | None] = field(default_factory=dict)

    @property
    def house(self) -> Installation:
        return Installation(Home(self.root))

    def later(self, span: timedelta) -> None:
        """Move the clock, and wait until the API has seen it."""
        self.now += span
        ReplayClock(self.house.home.clock_file).move_to(self.now)
        file = DeploymentFile.read(self.house.home.serving / FILE)
        assert file is not None
        assert file.model_trained_at is not None
        age = (self.now - file.model_trained_at).total_seconds()
        self.wait(lambda: self.health()["model_age_seconds"] == age)

    def follows(self) -> None:
        """Wait until the API does what the tables say."""

        def has_followed() -> bool:
            champion, challenger, traffic, _ = traffic_now(self.house)
            file = DeploymentFile.read(self.house.home.serving / FILE)
            assert champion is not None
            if file is None or self.health()["deployment_sequence"] != file.sequence:
                return False
            told = file.champion.version, file.challenger and file.challenger.version, file.traffic
            return told == (champion.version, challenger and challenger.version, traffic)

        self.wait(has_followed)

    def wait(self, is_so: Any) -> None:
        until = time.monotonic() + _PATIENCE_SECONDS
        while not is_so():
            assert time.monotonic() < until, self.health()
            time.sleep(0.02)

    def health(self) -> dict[str, Any]:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)) as connection:
            connection.request("GET", "/health")
            told: dict[str, Any] = json.loads(connection.getresponse().read())
        return told

    def ask(self, names: Iterable[str], **changed: Any) -> dict[str, tuple[str | None, str]]:
        """Version and source by lead; every one is answered."""
        told: dict[str, tuple[str | None, str]] = {}
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)) as connection:
            for name in names:
                body = json.dumps({**LEAD, "job": _KNOWN, **changed, "lead_id": name})
                connection.request("POST", "/predict", body, {"content-type": "application/json"})
                answer = connection.getresponse()
                content = json.loads(answer.read())
                assert answer.status == 200, content
                told[name] = content["model_version"], content["source"]
        return told

    def ask_for_versions(self, names: Iterable[str]) -> dict[str, str | None]:
        return {name: version for name, (version, _) in self.ask(names).items()}

    @contextlib.contextmanager
    def under_load(self) -> Iterator[None]:
        """Somebody asks all the time, and is answered every time."""
        is_over = threading.Event()
        failed: list[Exception] = []

        def go_on() -> None:
            number = 0
            try:
                while not is_over.wait(0.02):
                    number += 1
                    self.ask([f"meanwhile-{number}"])
            except (AssertionError, OSError, http.client.HTTPException, ValueError) as problem:
                failed.append(problem)

        asking = threading.Thread(target=go_on)
        asking.start()
        try:
            yield
        finally:
            is_over.set()
            asking.join()
        assert failed == []

    def take_in(self) -> None:
        assert ingest(self.house, open_source(self.house)).rows["rejected_records"] == 0

    def table(self, name: str, **equal: Any) -> list[dict[str, Any]]:
        rows = self.house.lakehouse.read(name).to_pylist()
        return [row for row in rows if all(row[column] == value for column, value in equal.items())]

    def since(self, moment: datetime, name: str) -> list[dict[str, Any]]:
        return [row for row in self.table(name) if row["at"] >= moment] if self.house.lakehouse.exists(name) else []

    def tick(self, sensor: dg.SensorDefinition) -> str:
        with dg.build_sensor_context(
            resources={"installation": self.house}, repository_def=REPOSITORY, cursor=self.cursors.get(sensor.name)
        ) as context:
            told = sensor.evaluate_tick(context)
        self.cursors[sensor.name] = told.cursor
        return str(told.skip_message)

    def verb(self, *words: str) -> str:
        done = CliRunner().invoke(main, ["--home", str(self.root), *words], terminal_width=200)
        assert done.exit_code == 0, done.output
        return done.stdout


def make_broken_model(home: RolloutHome, version: int) -> None:
    """Whole, and as it was trained, by all that can be verified; it knows one job, and fails for another."""
    sample = leads(seed=version).assign(job=_KNOWN)
    encoder, recipe = Encoder(("age",), {"job": (_KNOWN,)}), Recipe("logistic", {"C": 0.1}, "none", 1)
    learner = fit_model(sample, encoder, recipe)
    assert isinstance(learner, LogisticModel)
    age, job = learner.effects
    broken = replace(learner, effects=(age, replace(job, missing_weight=float("inf"))))
    folder = home.root / "data" / "models" / f"m-{version}"
    folder.with_suffix(".fingerprint").write_text(save_bundle(folder, broken, recipe, identity(), encoder, sample))


@pytest.fixture(scope="module")
def running(make_home: MakeHome) -> Iterator[House]:
    root = make_home("served rooms")
    make_models(root, versions=3)
    home = House(root)
    for version in BROKEN:
        make_broken_model(home, version)
    for found, wanted in (
        ("shadow_leads: 2000", "shadow_leads: 100"),
        ("minimum_requests: 200", "minimum_requests: 5"),
        ("maximum_offline_gap: 0.20", "maximum_offline_gap: 1.0"),
        # A busy machine is not a fault.
        ("maximum_latency_ms: 50.0", "maximum_latency_ms: 60000.0"),
        ("open_seconds: 10.0, timeout_ms: 50.0", "open_seconds: 10.0, timeout_ms: 60000.0"),
        ("queue: 10000, timeout_ms: 200.0", "queue: 10000, timeout_ms: 60000.0"),
        ("maximum_latency_p95_ms: 500.0", "maximum_latency_p95_ms: null"),
        ("maximum_latency_p99_ms: 500.0", "maximum_latency_p99_ms: null"),
    ):
        home.set(found, wanted)
    ReplayClock(home.house.home.clock_file).move_to(home.now)
    # Of which the plain rule knows how many leads convert.
    for period in PERIODS:
        split = pa.table({"period": [period] * 8, "split": [TRAIN] * 8, "label": [1] + [0] * 7})
        home.house.lakehouse.replace_periods("training_set", [period], split)
    assert home.deployments().record(home.step(1, "promoted"))
    with serving(home) as api:  # type: ignore[arg-type]
        home.port = api.port
        home.follows()
        yield home


@pytest.fixture
def api(running: House, monkeypatch: pytest.MonkeyPatch) -> House:
    """v1 is live and nothing runs beside it, whichever test was before."""
    # MLflow has no part in what is asked here, and takes seconds.
    for module, name in ((following, "follow"), (service, "follow"), (rollouts, "follow_later")):
        monkeypatch.setattr(module, name, lambda installation: None)
    monkeypatch.chdir(running.root)
    running.later(DAY)
    assert running.live() == 1
    assert set(running.ask_for_versions(names("before", 20)).values()) == {"v1"}
    running.later(timedelta(hours=2))
    return running


def names(of: str, n: int) -> list[str]:
    return [f"{of}-{number}" for number in range(n)]


def drawn(salt: str, share_bp: int, asked: Sequence[str], version: int) -> dict[str, str]:
    """What each lead gets in a canary."""
    return {lead: f"v{version}" if lot(salt, lead) < share_bp else "v1" for lead in asked}


def test_an_experiment_from_its_verb_to_its_end(api: House) -> None:
    api.propose(2)
    figures = ("--lift", "0.3", "--base-rate", "0.125", "--leads-per-day", "300")
    api.verb("experiment", "plan", "2", *figures, "--name", "march", "--by", "Mona")
    with api.under_load():
        assert "march: running" in api.verb("experiment", "start", "march", "--by", "Mona")
        api.follows()
        asked = names("x", 300)
        first, again = api.ask_for_versions(asked), api.ask_for_versions(asked[:100])
    traffic = Experiments(api.house.lakehouse).find("march").experiment.traffic
    arms = {lead: assign(traffic, lead).arm for lead in asked}
    assert first == {lead: {"champion": "v1", "challenger": "v2"}[arm] for lead, arm in arms.items()}
    assert again == {lead: first[lead] for lead in again}

    api.take_in()
    logged = [row for row in api.table("served_predictions", experiment_id="march") if row["lead_id"] in arms]
    assert Counter(row["lead_id"] for row in logged) == Counter([*asked, *asked[:100]])
    assert {(row["lead_id"], row["arm"], row["model_version"]) for row in logged} == {
        (lead, arm, 2 if arm == "challenger" else 1) for lead, arm in arms.items()
    }
    assert {row["propensity"] for row in logged} == {0.5}

    period = api.house.settings.calendar.containing(api.now).key
    somebody = labels([{"period": period, "lead_id": "somebody else", "label": 0, "label_known_at": api.now}])
    api.house.lakehouse.replace_periods("ground_truth_labels", [period], somebody)
    shown = json.loads(api.verb("experiment", "show", "march", "--json"))
    [ratio] = [row for row in shown["reading"] if row["metric"] == "sample_ratio"]
    exposed = {row["unit_id"] for row in api.table("served_predictions", experiment_id="march")}
    assert exposed >= set(asked)
    of_treatment = sum(assign(traffic, unit).arm == "challenger" for unit in exposed)
    assert (ratio["n_control"], ratio["n_treatment"]) == (len(exposed) - of_treatment, of_treatment)

    with api.under_load():
        api.verb("experiment", "stop", "march", "--reason", "the campaign is over", "--by", "Mona")
        api.follows()
        assert set(api.ask_for_versions(asked).values()) == {"v1"}


def test_a_rollout_from_the_shadow_through_the_canary_and_back(api: House) -> None:
    began = api.now
    api.propose(3)
    assert "v3 is" in api.verb("rollout", "start", "3", "--reason", "knows the new branch", "--by", "Mona")
    api.follows()
    with api.under_load():
        assert set(api.ask_for_versions(names("shadowed", 400)).values()) == {"v1"}

    def has_shadowed() -> bool:
        api.take_in()
        return len(api.since(began, "shadow_scores")) == len(api.since(began, "served_predictions"))

    # Every request that the champion answered was scored by the shadow as well.
    api.wait(has_shadowed)
    requested = {row["request_id"] for row in api.since(began, "served_predictions")}
    assert len(requested) >= 400
    assert {row["request_id"] for row in api.since(began, "shadow_scores")} == requested
    assert analysis_of(api.house, shadowed_of(api.house, 3, began, api.now)).coverage.value == 1.0

    rollout_id, asked = api.rollout.rollout_id, names("canary", 800)
    treated: set[str] = set()
    for days, share_bp in ((14, 500), (1, 1_000), (1, 5_000)):
        api.take_in()
        with api.under_load():
            api.later(days * DAY)
            assert f"v3 is a canary at {share_bp / 100:g} %" in api.tick(rollouts.advance_rollouts)
            api.follows()
            told = api.ask_for_versions(asked)
        assert told == drawn(rollout_id, share_bp, asked, version=3)
        assert api.ask_for_versions(asked[:50]) == {lead: told[lead] for lead in asked[:50]}
        now_treated = {lead for lead, version in told.items() if version == "v3"}
        assert now_treated > treated
        treated = now_treated

    with api.under_load():
        api.verb("rollout", "abort", "--reason", "sales reports wrong numbers", "--by", "Lina")
        api.follows()
        assert set(api.ask_for_versions(asked).values()) == {"v1"}
    api.take_in()
    assert [row for row in api.table("served_predictions", rollout_id=rollout_id) if row["source"] != "model"] == []


def test_a_champion_that_raises_on_one_lead_in_twenty_is_gone_after_one_look(api: House) -> None:
    """While its rollout still says that it gets every lead, which must not keep it."""
    broken = BROKEN[0]
    api.propose(broken)
    api.verb("rollout", "start", str(broken), "--reason", "knows more jobs", "--by", "Mona")
    api.deployments().append(api.step(broken, "rolled_out", effective_at=api.now))
    live = replace(api.rollout, state="watching", step=4, share_bp=10_000, since=api.now)
    Rollouts(api.house.lakehouse).append(live, "moved", api.now, "advance_rollouts", "takes over")
    api.follows()
    asked = names("g", 700)
    told: dict[str, tuple[str | None, str]] = {}
    for first in range(0, 700, 20):
        told |= api.ask(asked[first : first + 19]) | api.ask([asked[first + 19]], job=_UNKNOWN)
    assert Counter(told.values()) == {(f"v{broken}", "model"): 665, (None, "fallback"): 35}

    with api.under_load():
        said = api.tick(service.watch_guardrails)
        assert re.search(rf"^v{broken} VIOLATIONS_DETECTED: errors: 35 of \d+ requests", said), said
        assert f"v1 is live in place of v{broken}" in said
        api.follows()
        assert set(api.ask(asked[600:], job=_UNKNOWN).values()) == {("v1", "model")}
    # The rollout is ended with the reason, without waiting for its next look.
    assert f"v{broken} is rolled back" in api.tick(rollouts.advance_rollouts)
    assert "errors: 35 of" in Rollouts(api.house.lakehouse).rows()[-1]["reason"]
    assert "v1 HEALTHY" in api.tick(service.watch_guardrails)
    assert api.live() == 1

    api.take_in()
    health = {(row["window"], row["endpoint"]): row for row in measure(api.house, open_source(api.house))}
    assert (health["hour", "/predict"]["errors"], health["hour", "/predict"]["is_reliable"]) == (35, False)
    [violated] = api.table("guardrail_evaluations", status="VIOLATIONS_DETECTED")
    assert (violated["model_version"], violated["action"]) == (broken, "rolled_back")


def test_a_challenger_that_raises_costs_no_lead_its_score_and_is_taken_back(api: House) -> None:
    broken = BROKEN[1]
    api.propose(broken)
    api.verb("rollout", "start", str(broken), "--reason", "knows more jobs", "--by", "Mona")
    canary = replace(api.rollout, state="canary", step=3, share_bp=5_000, since=api.now)
    Rollouts(api.house.lakehouse).append(canary, "moved", api.now, "advance_rollouts", "50 %")
    api.follows()
    known, unknown = names("k", 300), names("u", 60)
    assert api.ask_for_versions(known) == drawn(canary.rollout_id, 5_000, known, broken)
    answered = {
        lead: ("v1", "fallback" if version == f"v{broken}" else "model")
        for lead, version in drawn(canary.rollout_id, 5_000, unknown, broken).items()
    }
    assert api.ask(unknown, job=_UNKNOWN) == answered
    api.take_in()
    assert "v1 HEALTHY" in api.tick(service.watch_guardrails)  # the champion has failed nobody
    with api.under_load():
        assert f"v{broken} is rolled back ({canary.rollout_id}): errors: " in api.tick(rollouts.advance_rollouts)
        api.follows()
        assert set(api.ask(unknown, job=_UNKNOWN).values()) == {("v1", "model")}
    assert api.live() == 1
