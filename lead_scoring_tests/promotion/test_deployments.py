"""Who was champion when: the past can be asked, added to at its end, and not rewritten."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lead_scoring_assets.lakehouse.tables import Lakehouse
from lead_scoring_assets.promotion.deployments import SCHEMA, TABLE, Deployment, Deployments

JANUARY = datetime(2024, 1, 1, tzinfo=UTC)
TICK = timedelta(microseconds=1)


def at(day: int) -> datetime:
    return JANUARY + timedelta(days=day)


def deployment(version: int, day: int) -> Deployment:
    return Deployment(
        version=version,
        effective_at=at(day),
        period=f"day {day}",
        bundle=f"mlflow/artifacts/m-{version}/data/bundle",
        fingerprint=f"fingerprint of {version}",
        actor="gate, run 1",
        reason="not worse: AUC +0.01 [-0.01, +0.03] · größer",
    )


@pytest.fixture
def lakehouse(tmp_path: Path) -> Lakehouse:
    return Lakehouse(tmp_path / "a lakehouse")


def test_before_the_first_there_is_no_champion(lakehouse: Lakehouse) -> None:
    deployments = Deployments(lakehouse)
    assert deployments.history() == []
    assert deployments.newest() is None
    assert deployments.champion_at(at(1_000)) is None
    assert not lakehouse.exists(TABLE)  # asking leaves nothing behind


def test_what_was_recorded_comes_back_whole(lakehouse: Lakehouse, tmp_path: Path) -> None:
    first = deployment(3, 0)
    assert Deployments(lakehouse).record(first)
    assert Deployments(lakehouse).history() == [first]
    assert lakehouse.read(TABLE).schema == SCHEMA
    assert first.folder(tmp_path) == tmp_path / "mlflow/artifacts/m-3/data/bundle"


def test_champion_at_any_moment(lakehouse: Lakehouse) -> None:
    deployments = Deployments(lakehouse)
    for version, day in ((1, 10), (2, 20), (3, 30)):
        deployments.record(deployment(version, day))
    found = {
        moment: champion.version if (champion := deployments.champion_at(moment)) else None
        for moment in (at(0), at(10) - TICK, at(10), at(20) - TICK, at(20), at(29), at(30), at(10_000))
    }
    assert list(found.values()) == [None, None, 1, 1, 2, 2, 3, 3]
    newest = deployments.newest()
    assert newest is not None
    assert newest.version == 3


def test_of_two_at_one_instant_the_one_recorded_later_is_live(lakehouse: Lakehouse) -> None:
    deployments = Deployments(lakehouse)
    for version in (5, 9, 2):  # neither the number nor the name decides
        assert deployments.record(deployment(version, 10))
    assert [d.version for d in deployments.history()] == [5, 9, 2]
    for champion in (deployments.champion_at(at(10)), deployments.champion_at(at(11)), deployments.newest()):
        assert champion is not None
        assert champion.version == 2


def test_recording_twice_is_harmless(lakehouse: Lakehouse) -> None:
    deployments = Deployments(lakehouse)
    assert deployments.record(deployment(1, 10))
    version = lakehouse.version(TABLE)
    # A run that is repeated has another id and another sentence; what happened is the same.
    assert not deployments.record(replace(deployment(1, 10), actor="gate, run 2", reason="again"))
    assert lakehouse.version(TABLE) == version
    assert deployments.history() == [deployment(1, 10)]


def test_a_decision_about_the_past_does_not_rewrite_history(lakehouse: Lakehouse) -> None:
    deployments = Deployments(lakehouse)
    deployments.record(deployment(1, 10))
    deployments.record(deployment(2, 20))
    for late in (deployment(3, 15), deployment(3, 5), deployment(1, 10), deployment(3, 10)):
        assert not deployments.record(late)
    assert [(d.version, d.effective_at) for d in deployments.history()] == [(1, at(10)), (2, at(20))]


def test_going_back_to_an_older_version_is_a_new_deployment(lakehouse: Lakehouse) -> None:
    deployments = Deployments(lakehouse)
    for version, day in ((1, 10), (2, 20), (1, 21)):
        assert deployments.record(deployment(version, day))
    assert [deployments.champion_at(at(day)).version for day in (10, 20, 21)] == [1, 2, 1]  # type: ignore[union-attr]


def test_recording_only_appends(lakehouse: Lakehouse) -> None:
    deployments = Deployments(lakehouse)
    before: list[Deployment] = []
    for i in range(4):
        deployments.record(deployment(i, 10 * i))
        history = deployments.history()
        assert history[:-1] == before
        assert lakehouse.read(TABLE, version=i).num_rows == i + 1  # every earlier state can still be read
        before = history


@settings(max_examples=10, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 4), st.integers(0, 6)), min_size=1, max_size=7))
def test_history_against_a_list(tmp_path_factory: pytest.TempPathFactory, tried: list[tuple[int, int]]) -> None:
    """Recorded is what does not lie in the past and is not the case already; champion is who came last."""
    deployments = Deployments(Lakehouse(tmp_path_factory.mktemp("lakehouse")))
    expected: list[tuple[int, int]] = []
    for version, day in tried:
        is_new = not expected or (day >= expected[-1][1] and (version, day) != expected[-1])
        past = [deployments.champion_at(at(d) - TICK) for d in range(day + 1)]
        assert deployments.record(deployment(version, day)) == is_new
        if is_new:
            expected.append((version, day))
            assert [deployments.champion_at(at(d) - TICK) for d in range(day + 1)] == past
    assert [(d.version, (d.effective_at - JANUARY).days) for d in deployments.history()] == expected
    for day in range(8):
        last = [version for version, since in expected if since <= day][-1:]
        champion = deployments.champion_at(at(day))
        assert ([champion.version] if champion else []) == last
