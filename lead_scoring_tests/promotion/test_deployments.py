"""Who was champion when: the past can be asked, added to at its end, and not rewritten."""

import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lead_scoring_assets.lakehouse.tables import Lakehouse
from lead_scoring_assets.periods import Period
from lead_scoring_assets.promotion.deployments import SCHEMA, TABLE, Deployment, Deployments

JANUARY = datetime(2024, 1, 1, tzinfo=UTC)
TICK = timedelta(microseconds=1)


def at(day: int) -> datetime:
    return JANUARY + timedelta(days=day)


def deployment(version: int, day: int) -> Deployment:
    return Deployment(
        version=version,
        effective_at=at(day),
        period=f"day {day:03}",
        bundle=f"mlflow/artifacts/m-{version}/data/bundle",
        fingerprint=f"fingerprint of {version}",
        actor="gate, run 1",
        reason="not worse: AUC +0.01 [-0.01, +0.03] · größer",
    )


@pytest.fixture
def lakehouse(tmp_path: Path) -> Lakehouse:
    return Lakehouse(tmp_path / "a lakehouse")


@pytest.mark.parametrize("is_made", [False, True])
def test_before_the_first_there_is_no_champion(lakehouse: Lakehouse, *, is_made: bool) -> None:
    if is_made:  # by a process that was killed before its first row
        lakehouse.append(TABLE, SCHEMA.empty_table())
    deployments = Deployments(lakehouse)
    assert deployments.history() == []
    assert deployments.newest() is None
    assert deployments.champion_at(at(1_000)) is None
    assert lakehouse.exists(TABLE) == is_made  # asking leaves nothing behind


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
        with deployments.one_at_a_time():
            deployments.append(replace(deployment(version, 10), action="promoted_by_hand"))
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


def test_what_was_rolled_back_from_is_not_brought_back_by_deciding_again(lakehouse: Lakehouse) -> None:
    deployments = Deployments(lakehouse)
    for version in (1, 2):
        deployments.record(deployment(version, 10 * version))
    with deployments.one_at_a_time():
        deployments.append(replace(deployment(1, 10), effective_at=at(20), action="rolled_back"))
    assert not deployments.record(deployment(2, 20))
    assert deployments.champion_at(at(20)) == deployments.newest()
    assert deployments.newest().version == 1  # type: ignore[union-attr]
    assert deployments.record(deployment(3, 30))  # another candidate is welcome


def test_a_person_who_acts_between_two_decisions_does_not_stop_the_second(lakehouse: Lakehouse) -> None:
    deployments = Deployments(lakehouse)
    for version in (1, 2):
        deployments.record(deployment(version, 10 * version))
    with deployments.one_at_a_time():
        deployments.append(replace(deployment(1, 10), effective_at=at(25), action="rolled_back"))
    # The decision of day 20 to 30 was taken late, or is taken again: the next one is due at day 40.
    assert deployments.record(deployment(3, 24), until=at(40))
    assert [d.version for d in deployments.history()] == [1, 2, 1, 3]
    assert deployments.champion_at(at(25)).version == 3  # type: ignore[union-attr]  # never before what it replaced
    assert deployments.champion_at(at(25) - TICK).version == 2  # type: ignore[union-attr]


def test_an_old_decision_does_not_overrule_a_person(lakehouse: Lakehouse) -> None:
    deployments = Deployments(lakehouse)
    for version in (1, 2):
        deployments.record(deployment(version, 10 * version))
    with deployments.one_at_a_time():
        deployments.append(replace(deployment(1, 10), effective_at=at(90), action="rolled_back"))
    assert not deployments.record(deployment(3, 30), until=at(40))


def test_what_a_period_met_when_it_was_decided_is_what_it_meets_again(lakehouse: Lakehouse) -> None:
    deployments = Deployments(lakehouse)
    start = at(0)

    def met(day: int, until: int) -> list[int]:
        return [d.version for d in deployments.before(Period(start, at(day), f"day {day:03}"), at(until))]

    deployments.record(deployment(1, 10))
    assert (met(10, 20), met(20, 30)) == ([], [1])
    deployments.record(deployment(2, 20))
    with deployments.one_at_a_time():
        deployments.append(replace(deployment(1, 10), effective_at=at(25), action="rolled_back"))
    assert (met(10, 20), met(20, 30)) == ([], [1])  # neither itself nor what came after
    assert met(22, 24) == [1, 2]  # history: decided before the person acted
    assert met(30, 40) == [1, 2, 1]


def test_a_proposal_is_no_deployment(lakehouse: Lakehouse) -> None:
    deployments = Deployments(lakehouse)
    deployments.record(deployment(1, 10))
    proposal = replace(deployment(2, 20), action="proposed")
    assert deployments.record(proposal)
    assert not deployments.record(replace(proposal, actor="gate, run 2"))
    assert [d.version for d in deployments.history()] == [1]
    assert deployments.steps()[-1] == replace(proposal, champion_version=1)
    assert deployments.champion_at(at(20)).version == 1  # type: ignore[union-attr]
    assert deployments.lifecycle().staging == 2


def test_a_table_from_before_there_were_actions_is_read(lakehouse: Lakehouse) -> None:
    old = [name for name in SCHEMA.names if name not in ("action", "requested_by", "champion_version")]
    row = {"sequence": 0, **vars(deployment(1, 10))}
    schema = pa.schema([SCHEMA.field(name) for name in old])
    lakehouse.append(TABLE, pa.Table.from_pylist([{name: row[name] for name in old}], schema=schema))
    deployments = Deployments(lakehouse)
    assert deployments.history() == [deployment(1, 10)]
    assert deployments.record(deployment(2, 20))
    assert [d.action for d in deployments.history()] == ["promoted", "promoted"]


def test_processes_that_record_at_once_leave_each_sequence_once(lakehouse: Lakehouse, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from datetime import UTC, datetime\n"
        "from lead_scoring_assets.lakehouse.tables import Lakehouse\n"
        "from lead_scoring_assets.promotion.deployments import Deployment, Deployments\n"
        "table = Deployments(Lakehouse(Path(sys.argv[1])))\n"
        "for i in range(4):\n"
        "    with table.one_at_a_time():\n"
        "        version = 1 + len(table.steps())\n"
        "        when = datetime(2024, 1, 1, tzinfo=UTC)\n"
        "        table.append(Deployment(version, when, 'p', 'b', str(version), 'gate', 'r', 'promoted_by_hand'))\n"
    )
    writers = [subprocess.Popen([sys.executable, "-c", code, str(lakehouse.root)]) for _ in range(3)]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    assert sorted(lakehouse.read(TABLE)["sequence"].to_pylist()) == list(range(12))
    assert [d.version for d in Deployments(lakehouse).history()] == list(range(1, 13))


def test_a_decision_about_the_past_does_not_rewrite_history(lakehouse: Lakehouse) -> None:
    deployments = Deployments(lakehouse)
    deployments.record(deployment(1, 10))
    deployments.record(deployment(2, 20))
    for late in (deployment(3, 15), deployment(3, 5), deployment(1, 10), deployment(3, 10)):
        assert not deployments.record(late)
    assert [(d.version, d.effective_at) for d in deployments.history()] == [(1, at(10)), (2, at(20))]


def test_going_back_to_an_older_version_is_a_new_deployment(lakehouse: Lakehouse) -> None:
    deployments = Deployments(lakehouse)
    for version, day in ((1, 10), (2, 20)):
        assert deployments.record(deployment(version, day))
    with deployments.one_at_a_time():
        deployments.append(replace(deployment(1, 10), effective_at=at(21), action="rolled_back"))
    assert [deployments.champion_at(at(day)).version for day in (10, 20, 21)] == [1, 2, 1]  # type: ignore[union-attr]


def test_recording_only_appends(lakehouse: Lakehouse) -> None:
    deployments = Deployments(lakehouse)
    before: list[Deployment] = []
    for i in range(4):
        deployments.record(deployment(i, 10 * i))
        history = deployments.history()
        assert history[:-1] == before
        assert lakehouse.read(TABLE, version=i + 1).num_rows == i + 1  # every earlier state can still be read
        before = history


@settings(max_examples=10, deadline=None)
@given(st.lists(st.integers(0, 6), min_size=1, max_size=7))
def test_history_against_a_list(tmp_path_factory: pytest.TempPathFactory, tried: list[int]) -> None:
    """Recorded is what was not recorded and what nothing newer overtook; the past stays as it was."""
    deployments = Deployments(Lakehouse(tmp_path_factory.mktemp("lakehouse")))
    expected: list[int] = []
    for day in tried:
        is_new = not expected or day > expected[-1]
        past = [deployments.champion_at(at(d) - TICK) for d in range(day + 1)]
        assert deployments.record(deployment(day, day)) == is_new
        if is_new:
            expected.append(day)
            assert [deployments.champion_at(at(d) - TICK) for d in range(day + 1)] == past
    assert [d.version for d in deployments.history()] == expected
    for day in range(8):
        last = [version for version in expected if version <= day][-1:]
        champion = deployments.champion_at(at(day))
        assert ([champion.version] if champion else []) == last
