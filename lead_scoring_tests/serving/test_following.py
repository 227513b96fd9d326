"""Servers follow the file whole or not at all; the agent follows the tables, verified."""

import json
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lead_scoring_assets.alerts.episodes import episodes_of
from lead_scoring_assets.clock import FixedClock, ReplayClock
from lead_scoring_assets.errors import LakehouseError, ServingError
from lead_scoring_assets.models.row_scorer import RowScorer
from lead_scoring_assets.promotion.deployments import Deployments
from lead_scoring_assets.promotion.transitions import roll_back
from lead_scoring_assets.rollout.traffic import Traffic
from lead_scoring_assets.serving import following
from lead_scoring_assets.serving.agent import ModelAgent
from lead_scoring_assets.serving.deployment_file import FILE, DeploymentFile, ServedModel
from lead_scoring_assets.serving.following import Follower, LoadedModel, ShadowFollower, load_model, warm_up
from lead_scoring_assets.serving.moments import Moments
from lead_scoring_assets.settings import Breaker
from lead_scoring_tests.conftest import MakeHome
from lead_scoring_tests.promotion.worlds import NOW, World, make_world
from lead_scoring_tests.serving.served import Served, requests

CANARY = Traffic("canary", 5_000, salt="s")
MOMENTS = st.none() | st.datetimes(timezones=st.just(UTC))
MODELS = st.builds(ServedModel, st.integers(1, 10**6), st.text(max_size=20), st.text(max_size=20))
FILES = st.builds(
    DeploymentFile,
    sequence=st.integers(0, 10**9),
    written_at=st.datetimes(timezones=st.just(UTC)),
    champion=MODELS,
    challenger=st.none() | MODELS,
    traffic=st.builds(Traffic, st.sampled_from(["shadow", "canary"]), st.integers(0, 10_000), st.text(max_size=5)),
    last_label_at=MOMENTS,
    model_trained_at=MOMENTS,
    base_rate=st.none() | st.floats(0, 1),
    next_up=st.lists(MODELS, max_size=3).map(tuple),
)


@given(FILES)
def test_the_file_is_read_back_as_it_was(file: DeploymentFile) -> None:
    assert DeploymentFile.of_bytes(file.to_bytes(), Path(FILE)) == file


@given(FILES, st.data())
def test_a_cut_file_is_refused_in_words(file: DeploymentFile, data: st.DataObject) -> None:
    content = file.to_bytes()
    cut = content[: data.draw(st.integers(0, len(content) - 3))]
    with pytest.raises(ServingError, match="the agent writes it anew"):
        DeploymentFile.of_bytes(cut, Path(FILE))


def follower_of(served: Served) -> Follower:
    return Follower(served.home, Moments(FixedClock(NOW)), Breaker())


def test_who_asks_during_swaps_sees_one_deployment_whole(served: Served) -> None:
    """Never the version of one model with the score of another."""
    served.deploy(1)
    follower = follower_of(served)
    follower.look()
    [lead] = requests(1)
    features = {name: value for name, value in lead.items() if name != "lead_id"}
    expected = {version: RowScorer(served.scorer(version)).probability(features) for version in (1, 2)}
    assert expected[1] != expected[2]
    wrong: list[object] = []
    swaps = threading.Event()

    def ask() -> None:
        while not swaps.is_set():
            live = follower.live
            assert live is not None
            if live.champion.scorer.probability(features) != expected[live.champion.version]:
                wrong.append(live)
            if live.champion.version != live.deployment.champion.version:
                wrong.append(live)

    asking = threading.Thread(target=ask)
    asking.start()
    for number in range(12):
        served.deploy(1 + number % 2)
        follower.look()
        assert follower.live is not None
        assert follower.live.champion.version == 1 + number % 2
    swaps.set()
    asking.join()
    assert wrong == []


def test_whatever_happens_to_the_file_the_server_goes_on(served: Served) -> None:
    served.deploy(1)
    follower = follower_of(served)
    follower.look()
    path = served.home.serving / FILE
    whole = path.read_bytes()
    for content in (b"", b"{}", b"damaged", whole.replace(b'"bundle": "models/v1"', b'"bundle": "../../etc"')):
        path.write_bytes(content)
        follower.look()
        assert follower.live is not None
        assert follower.live.champion.version == 1
    path.unlink()
    follower.look()
    assert follower.live is not None
    served.deploy(2)
    follower.look()
    assert follower.live.champion.version == 2
    assert follower.problem is None


def test_a_rollback_waits_for_no_model_to_load(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """The champion before this one is kept, through whatever else the file says in between, and nothing older."""
    loaded: list[int] = []

    def load(data: Path, model: ServedModel, breaker: Breaker) -> LoadedModel:
        loaded.append(model.version)
        return load_model(data, model, breaker)

    monkeypatch.setattr(following, "load_model", load)
    follower = follower_of(served)
    for champion, challenger in ((1, None), (2, None), (2, 3), (2, None), (1, None), (2, None), (3, None), (1, None)):
        served.deploy(champion, challenger, CANARY)
        follower.look()
        assert follower.live is not None
        assert follower.live.champion.version == champion
    assert loaded == [1, 2, 3, 3, 1]


def test_who_may_be_the_champion_next_is_loaded_before_he_is(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """A damaged one, or one that is not there, disturbs nobody before it is to answer."""
    loaded: dict[int, str] = {}

    def load(data: Path, model: ServedModel, breaker: Breaker) -> LoadedModel:
        assert model.version not in loaded
        loaded[model.version] = threading.current_thread().name
        return load_model(data, model, breaker)

    monkeypatch.setattr(following, "load_model", load)
    gone = replace(served.models[1], version=9, bundle="models/nowhere")
    served.deploy(1, next_up=(gone, served.models[2], served.models[3]))
    follower = follower_of(served)
    follower.start()
    try:
        assert follower.live is not None
        wait_until(lambda: 3 in loaded)
        # The first answer waits for the champion alone.
        assert [*loaded.items()] == [(1, "MainThread"), (9, "follower"), (2, "follower"), (3, "follower")]
        assert (follower.live.champion.version, follower.problem) == (1, None)
        served.deploy(3, next_up=(served.models[1],))
        wait_until(lambda: follower.live is not None and follower.live.champion.version == 3)
        served.deploy(1)
        wait_until(lambda: follower.live is not None and follower.live.champion.version == 1)
    finally:
        follower.end()


def wait_until(is_so: Callable[[], bool]) -> None:
    for _ in range(1_000):
        if is_so():
            return
        time.sleep(0.01)
    raise AssertionError("it did not happen within 10 s")


def test_each_champion_explains_a_lead_before_anybody_asks_why(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    explained: list[tuple[int, str]] = []
    has_explained = threading.Event()

    def explain(model: LoadedModel, registry: object) -> None:
        if model.version == 3:
            raise RuntimeError("a library that is broken")
        warm_up(model, served.home.settings.registry)
        explained.append((model.version, threading.current_thread().name))
        has_explained.set()

    monkeypatch.setattr(following, "warm_up", explain)
    served.deploy(3)
    follower = follower_of(served)
    follower.start()
    try:
        for champion, challenger in ((1, 2), (2, 1)):  # whoever cannot explain stops nobody
            served.deploy(champion, challenger)
            assert has_explained.wait(60)
            has_explained.clear()
    finally:
        follower.end()
    assert explained == [(1, "explainer"), (2, "explainer")]


def test_warming_up_is_an_explanation_of_a_row_that_the_model_knows(served: Served) -> None:
    model = load_model(served.home.data, served.models[1], Breaker())
    asked: list[object] = []
    contributions = model.scorer.contributions
    model.scorer.contributions = lambda features: asked.append(features) or contributions(features)  # type: ignore
    warm_up(model, served.home.settings.registry)
    assert asked == [model.golden[0]]


def test_an_unchanged_model_is_not_loaded_again_and_keeps_its_breaker(served: Served) -> None:
    served.deploy(1)
    follower = follower_of(served)
    follower.look()
    before = follower.live
    served.deploy(1, 2, CANARY)
    follower.look()
    assert before is not None
    assert follower.live is not None
    assert follower.live.champion is before.champion
    assert follower.live.challenger is not None


def test_the_shadow_s_process_loads_the_shadow_and_servers_do_not(served: Served) -> None:
    server, shadow = follower_of(served), ShadowFollower(served.home)

    def look() -> tuple[int | None, int | None]:
        server.look()
        shadow.look()
        assert server.live is not None
        loaded = server.live.challenger, shadow.model
        first, second = (None if model is None else model.version for model in loaded)
        return first, second

    served.deploy(1)
    assert look() == (None, None)
    served.deploy(1, 2)
    assert look() == (None, 2)
    before = shadow.model
    (served.home.serving / FILE).write_text("damaged")
    assert look() == (None, 2)
    assert "the agent writes it anew" in (shadow.problem or "")
    (served.home.serving / FILE).unlink()
    served.deploy(3, 2)
    assert look() == (None, 2)
    assert (shadow.model is before, shadow.problem) == (True, None)
    served.deploy(1, 2, CANARY)
    assert look() == (2, None)


def test_the_replayed_clock_is_read_when_the_server_looks(tmp_path: Path) -> None:
    clock = ReplayClock(tmp_path / "clock.json")
    clock.move_to(datetime(2008, 6, 1, tzinfo=UTC))
    moments = Moments(clock)
    clock.move_to(datetime(2008, 7, 1, tzinfo=UTC))
    assert moments.iso() == "2008-06-01T00:00:00.000000+00:00"
    moments.look()
    assert moments.iso() == "2008-07-01T00:00:00.000000+00:00"


@pytest.fixture(scope="module")
def made_world(make_home: MakeHome) -> World:
    return make_world(make_home("agent"), versions=3)


@pytest.fixture
def world(made_world: World, tmp_path: Path) -> World:
    import shutil

    shutil.copytree(made_world.root, tmp_path / "lead scoring")
    return World(tmp_path / "lead scoring")


def file_of(world: World) -> DeploymentFile | None:
    return DeploymentFile.read(world.root / "data" / "serving" / FILE)


def alerts(world: World) -> list[Any]:
    return [alert for episode in episodes_of(world.house.events.events()) for alert in episode.alerts]


def test_the_agent_brings_what_the_tables_say(world: World) -> None:
    agent = ModelAgent(world.house)
    assert agent.look() is None
    assert file_of(world) is None
    world.promote(1)
    found = agent.look()
    assert found is not None
    assert found == file_of(world)
    assert (found.sequence, found.champion.version, found.challenger) == (0, 1, None)
    assert found.written_at == NOW
    assert found.model_trained_at == world.version(1).effective_at
    assert agent.look() == found  # nothing changed, nothing is written
    world.promote(2)
    assert [(f.sequence, f.champion.version) for f in (agent.look(), ModelAgent(world.house).look()) if f] == [
        (1, 2)
    ] * 2
    roll_back(world.house, "Mona", "worse")
    assert [f.champion.version for f in [agent.look()] if f] == [1]


def test_who_waits_in_staging_is_the_shadow(world: World) -> None:
    world.promote(1)
    assert Deployments(world.house.lakehouse).record(replace(world.version(2), action="proposed"))
    found = ModelAgent(world.house).look()
    assert found is not None
    assert found.challenger is not None
    assert (found.challenger.version, found.traffic.mode) == (2, "shadow")


def test_the_agent_tells_who_may_be_the_champion_next(world: World) -> None:
    """What waits in staging, and what a rollback brings back, by the same rule."""

    def next_up() -> list[int]:
        found = ModelAgent(world.house).look()
        assert found is not None
        return [model.version for model in found.next_up]

    world.promote(1)
    assert next_up() == []
    world.promote(2)
    assert next_up() == [1]
    assert Deployments(world.house.lakehouse).record(replace(world.version(3), action="proposed"))
    assert next_up() == [3, 1]
    roll_back(world.house, "Mona", "worse")
    assert world.live() == 1
    assert next_up() == [3]  # v2 was left; nothing was live before v1


def test_of_a_damaged_champion_the_version_before_is_served_and_people_are_told(world: World) -> None:
    world.promote(1, 2)
    world.damage(2)
    found = ModelAgent(world.house).look()
    assert found is not None
    assert found.champion.version == 1
    assert world.live() == 1
    assert [step.action for step in Deployments(world.house.lakehouse).steps()][-1] == "fell_back"


def test_where_no_version_loads_the_file_stays_and_the_alert_is_critical(world: World) -> None:
    world.promote(1)
    before = ModelAgent(world.house).look()
    world.damage(1)
    agent = ModelAgent(world.house)
    for _ in range(2):
        with pytest.raises(LakehouseError, match="no earlier version"):
            agent.look()
    assert file_of(world) == before
    [alert] = alerts(world)
    assert (alert.level, alert.subject) == ("critical", "v1")


def test_a_damaged_challenger_gets_no_leads(world: World) -> None:
    world.promote(1)
    assert Deployments(world.house.lakehouse).record(replace(world.version(2), action="proposed"))
    world.damage(2)
    found = ModelAgent(world.house).look()
    assert found is not None
    assert (found.challenger, found.traffic) == (None, Traffic())
    [alert] = alerts(world)
    assert (alert.level, alert.subject) == ("critical", "v2")


def test_labels_and_the_training_cohort_are_told(world: World) -> None:
    world.promote(1)
    newest = datetime(2008, 12, 30, tzinfo=UTC)
    lakehouse, period = world.house.lakehouse, world.version(1).period
    lakehouse.append(
        "ground_truth_labels", pa.table({"label_known_at": pa.array([NOW.replace(year=2008), newest], pa.timestamp("us", "UTC"))})
    )  # fmt: skip
    rows = {
        "period": [period] * 5 + ["2008-09"],
        "split": ["train"] * 4 + ["holdout", "train"],
        "label": [1, 0, 0, 0, 1, 1],
    }
    lakehouse.append("training_set", pa.table(rows))
    agent = ModelAgent(world.house)
    found = agent.look()
    assert found is not None
    assert (found.last_label_at, found.base_rate) == (newest, 0.25)
    later = datetime(2008, 12, 31, tzinfo=UTC)
    lakehouse.append("ground_truth_labels", pa.table({"label_known_at": pa.array([later], pa.timestamp("us", "UTC"))}))
    assert [file.last_label_at for file in [agent.look()] if file] == [later]


def test_the_agent_goes_on_when_tables_and_registry_are_gone(world: World) -> None:
    import shutil

    world.promote(1)
    agent = ModelAgent(world.house)
    before = agent.look()
    shutil.rmtree(world.root / "data" / "lakehouse" / "deployments" / "_delta_log")
    shutil.rmtree(world.root / "data" / "mlflow" / "mlflow.db", ignore_errors=True)
    agent.start()
    agent.end()
    assert file_of(world) == before


def test_the_agent_follows_in_its_thread(world: World) -> None:
    world.promote(1)
    agent = ModelAgent(world.house)
    agent.look()
    agent.start()
    world.promote(2)
    path = world.root / "data" / "serving" / FILE
    for _ in range(600):
        if json.loads(path.read_bytes())["champion"]["version"] == 2:
            break
        threading.Event().wait(0.05)
    agent.end()
    assert json.loads(path.read_bytes())["champion"]["version"] == 2
    assert agent.problem is None
