"""The prediction log into the lakehouse: every line once, whoever is killed, however many are at work."""

import hashlib
import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lead_scoring_assets.errors import OvertakenError
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.prediction_log import feedback as feedback_module
from lead_scoring_assets.prediction_log import ingestion
from lead_scoring_assets.prediction_log.feedback import Row, ToldApart, with_landing_files
from lead_scoring_assets.prediction_log.ingestion import Ingested, ingest, pending_bytes, read_part, take_in_part
from lead_scoring_assets.prediction_log.segments import Line, LogFolder
from lead_scoring_assets.prediction_log.tables import (
    ERRORS,
    FEEDBACK,
    INGESTED,
    PREDICTIONS,
    REJECTED,
    SHADOWS,
    TABLES,
)
from lead_scoring_assets.prediction_log.writer import LogWriter
from lead_scoring_tests.prediction_log.worlds import NOW, World, error, feedback, lines, score, shadow

INGESTS = """
import sys
from pathlib import Path
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.prediction_log.ingestion import Ingested, ingest, take_in_part
from lead_scoring_assets.prediction_log.segments import LogFolder
from lead_scoring_assets.settings import Home
house = Installation(Home(Path(sys.argv[1])))
source, part_bytes = LogFolder(house.home.serving / "log"), int(sys.argv[3])
print("ready", flush=True)
if sys.argv[2] == "alone":
    ingest(house, source, part_bytes)
else:  # without the lock, as on two machines that share a disk
    while take_in_part(house, source, Ingested(), part_bytes):
        pass
"""


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World.make(tmp_path / "a home")


def ingest_now(world: World, **options: int) -> Ingested:
    return ingest(world.house, world.source, **options)


def accounted(world: World) -> None:
    """Lines = accepted + rejected + duplicates, segments without a gap or an overlap, as the tables have it."""
    found = world.rows(INGESTED)
    for segment in {row["segment"] for row in found}:
        own = sorted((row["from_byte"], row["to_byte"]) for row in found if row["segment"] == segment)
        assert [begin for begin, _ in own] == [0, *(end for _, end in own)][: len(own)]
    for row in found:
        assert row["lines"] == sum(row[table] for table in (*TABLES.values(), REJECTED)) + row["duplicates"]
    for table in (*TABLES.values(), REJECTED):
        assert sum(row[table] for row in found) == len(world.rows(table)), table
        places = [(row["segment"], row["start_byte"]) for row in world.rows(table)]
        assert len(places) == len(set(places)), table


def test_each_kind_has_its_table_with_what_was_logged(world: World) -> None:
    world.log(score(1), error(2), shadow(1), feedback(1))
    done = ingest_now(world)
    assert done.lines == 4
    assert done.rows == Counter({PREDICTIONS: 1, ERRORS: 1, SHADOWS: 1, FEEDBACK: 1})
    [row] = world.rows(PREDICTIONS)
    expected = score(1) | {"features": '{"age":41,"job":"admin."}', "at": NOW, "period": "2009-03"}
    del expected["kind"]
    assert {name: row[name] for name in expected} == expected
    assert json.loads(row["features"]) == score(1)["features"]
    assert row["features_sha256"] == hashlib.sha256(row["features"].encode()).hexdigest()
    assert world.rows(ERRORS)[0]["error"] == "validation"
    assert world.rows(SHADOWS)[0]["shadow_score"] == 0.3
    accounted(world)


def test_nothing_new_is_no_commit(world: World) -> None:
    assert ingest_now(world).commits == {}
    world.log(score(1))
    first = ingest_now(world)
    assert set(first.commits) == {PREDICTIONS, INGESTED}
    assert ingest_now(world).commits == {}
    assert not world.house.lakehouse.exists(SHADOWS)
    assert pending_bytes(world.house, world.source) == {}


@pytest.mark.parametrize("part_bytes", [1, 1 << 20])
def test_an_api_that_logs_without_a_pause_is_taken_in_up_to_where_it_was(world: World, part_bytes: int) -> None:
    """There is always more: a run that went on for as long as there is would never end, and write crumbs."""

    class NeverPauses(LogFolder):
        more = 10

        def lines(self, segment: str, since: int, until: int) -> Iterator[Line]:
            assert self.more < 100, "it goes on and on"
            world.log(score(self.more))
            self.more += 1
            return super().lines(segment, since, until)

    world.log(score(1), feedback(1), score(2))
    done = ingest(world.house, NeverPauses(world.source.folder), part_bytes)
    assert done.lines == 3
    assert len(done.landed) == 1
    assert ingest_now(world).lines > 0
    accounted(world)


@pytest.mark.parametrize("part_bytes", [1, 700, 1 << 20])
def test_parts_of_any_size_give_the_same_rows(tmp_path: Path, part_bytes: int) -> None:
    world = World.make(tmp_path / "a home")
    world.log(*(score(n) for n in range(6)), shadow(1), worker="w0")
    world.log(*(error(n) for n in range(3)), score(9), worker="w1")
    assert ingest_now(world, part_bytes=part_bytes).lines == 11
    assert sorted(world.column(PREDICTIONS, "request_id")) == [*(f"r{n}" for n in range(6)), "r9"]
    accounted(world)


def test_a_growing_segment_is_taken_in_as_it_grows_and_a_torn_line_waits(world: World) -> None:
    log = LogWriter(world.folder, "w0")
    [text] = [lines([score(2)])]
    log.write(lines([score(1)]) + text[:50])
    ingest_now(world)
    assert world.column(PREDICTIONS, "request_id") == ["r1"]
    log.write(text[50:])
    ingest_now(world)
    assert sorted(world.column(PREDICTIONS, "request_id")) == ["r1", "r2"]
    log.close()
    accounted(world)


@pytest.mark.parametrize(
    "damaged",
    [
        b"\x00\xff\n",
        b"{}\n",
        lines([score(1, source="oracle")]),
        lines([score(1, latency_us=2**70)]),
        lines([score(1) | {"at": "yesterday"}]),
        lines([score(1) | {"at": "2009-03-10T12:00:00"}]),
        lines([feedback(1, outcome_at="soon")]),
        b"\n",
    ],
)
def test_a_damaged_line_is_kept_aside_with_its_place_and_the_others_go_on(world: World, damaged: bytes) -> None:
    before = lines([score(1)])
    world.log(before, damaged, score(2))
    done = ingest_now(world)
    [row] = world.rows(REJECTED)
    assert row["start_byte"] == len(before)
    assert row["segment"] in world.source.ends()
    assert row["reason"]
    assert row["raw_text"] == damaged[:-1].decode("utf-8", "replace")[:2_000]
    assert sorted(world.column(PREDICTIONS, "request_id")) == ["r1", "r2"]
    assert done.lines == 3
    accounted(world)


@settings(max_examples=20)
@given(
    st.lists(
        st.sampled_from(["score", "error", "shadow", "feedback", "same key", "other word", "damaged"]), max_size=25
    ),
    st.sampled_from([300, 2_000, 1 << 20]),
    st.integers(1, 3),
)
def test_lines_add_up(
    tmp_path_factory: pytest.TempPathFactory, kinds: list[str], part_bytes: int, workers: int
) -> None:
    world = World.make(tmp_path_factory.mktemp("home") / "a home")
    made = {
        "score": score,
        "error": error,
        "shadow": shadow,
        "feedback": feedback,
        "same key": lambda n: feedback(n, lead_id="a lead", idempotency_key="one key"),
        "other word": lambda n: feedback(n, lead_id="a lead", idempotency_key="one key", outcome="lost"),
        "damaged": lambda n: b"half a line\n",
    }
    records = [made[kind](number) for number, kind in enumerate(kinds)]
    for worker in range(workers):
        world.log(*records[worker::workers], worker=f"w{worker}")
    assert ingest_now(world, part_bytes=part_bytes).lines == len(kinds)
    accounted(world)
    keyed = Counter(kinds)["same key"] + Counter(kinds)["other word"]
    assert len(world.rows(FEEDBACK)) == Counter(kinds)["feedback"] + (1 if keyed else 0)


def test_somebody_else_s_part_is_not_written_again(world: World) -> None:
    world.log(score(1))
    rows = pa.table({"period": ["2009-03"], "segment": ["s"]})
    lakehouse = world.house.lakehouse
    lakehouse.append_once("t", rows, {"s": (0, 10)}, by_period=True)
    with pytest.raises(OvertakenError, match="t: s was taken in by somebody else"):
        lakehouse.append_once("t", rows, {"s": (0, 10)}, by_period=True)
    with pytest.raises(OvertakenError):
        lakehouse.append_once("t", rows, {"s": (0, 20), "other": (0, 5)}, by_period=True)
    assert lakehouse.taken_in("t", ["s", "other"]) == {"s": 10, "other": 0}
    lakehouse.append_once("t", rows.slice(0, 0), {"s": (10, 20)}, by_period=True)
    assert lakehouse.taken_in("t", ["s"]) == {"s": 20}
    assert lakehouse.read("t").num_rows == 1


def start(world: World, how: str, part_bytes: int) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-c", INGESTS, str(world.home.root), how, str(part_bytes)], stdout=subprocess.PIPE
    )


def whole(world: World, expected: int) -> None:
    """All of the log, each line once, and every landing file."""
    ingest_now(world)
    requests = world.column(PREDICTIONS, "request_id")
    assert sorted(requests) == sorted(f"r{n}" for n in range(expected))
    accounted(world)
    landed = [
        json.loads(line)["lead_id"]
        for file in sorted(world.home.landing.glob("outcomes/*/feedback-*.jsonl"))
        for line in file.read_text().splitlines()
    ]
    assert sorted(landed) == sorted(row["lead_id"] for row in world.rows(FEEDBACK))


def fill(world: World, count: int) -> None:
    for worker in range(3):
        own = range(worker, count, 3)
        mixed = [record for n in own for record in (score(n), shadow(n), *([feedback(n)] if n % 5 == 0 else []))]
        world.log(*mixed, worker=f"w{worker}")


def commits(world: World) -> int:
    return len(list(world.home.lakehouse.glob("*/_delta_log/*.json")))


def test_kill_9_at_any_moment_neither_loses_nor_doubles_a_line(world: World) -> None:
    fill(world, 120)
    moments = random.Random(3)
    for _ in range(6):
        enough = commits(world) + moments.randint(1, 6)
        with start(world, "alone", 4_000) as victim:
            while commits(world) < enough and victim.poll() is None:
                time.sleep(0.002)
            time.sleep(moments.uniform(0.0, 0.02))
            victim.send_signal(signal.SIGKILL)
        assert victim.returncode == -signal.SIGKILL  # in the midst of it
    whole(world, 120)
    assert len(world.rows(SHADOWS)) == 120
    assert len(world.rows(FEEDBACK)) == 24


@pytest.mark.parametrize("how", ["alone", "together"])
def test_two_at_once_write_every_line_once(world: World, how: str) -> None:
    fill(world, 90)
    with start(world, how, 6_000) as one, start(world, how, 9_000) as other:
        assert [one.wait(), other.wait()] == [0, 0]
    whole(world, 90)


def test_a_segment_is_let_go_of_after_its_time_and_not_before(world: World) -> None:
    world.log(score(1))
    log = LogWriter(world.folder, "w1")
    log.write(lines([score(2)]))
    assert ingest_now(world).removed == []
    world.later(hours=23)
    assert ingest_now(world).removed == []
    world.later(hours=1)
    [removed] = ingest_now(world).removed
    assert removed.startswith("w0-")
    log.write(lines([score(3)]))
    log.close()
    assert ingest_now(world).removed == []  # what was written last is young again
    world.later(hours=24)
    assert len(ingest_now(world).removed) == 1
    assert world.source.ends() == {}
    assert sorted(world.column(PREDICTIONS, "request_id")) == ["r1", "r2", "r3"]
    accounted(world)


# Feedback


def landed(world: World) -> dict[str, list[dict[str, object]]]:
    files = sorted(world.home.landing.glob("outcomes/*/*.jsonl"))
    return {f"{f.parent.name}": [json.loads(line) for line in f.read_text().splitlines()] for f in files}


def test_feedback_lands_as_outcomes_of_its_period(world: World) -> None:
    world.log(feedback(1), feedback(2, outcome="lost", deal_value=None, reason="too dear'; DROP TABLE"))
    done = ingest_now(world)
    assert len(done.landed) == 1
    one, two = landed(world)["2009-03"]
    assert one == {
        "lead_id": "lead 1",
        "outcome": "converted",
        "outcome_at": "2009-03-10T11:00:00+00:00",
        "known_at": "2009-03-10T12:00:00+00:00",
        "reason": None,
        "rep": "mona",
        "deal_value": 100.0,
        "currency": "EUR",
    }
    assert (two["outcome"], two["reason"], two["currency"]) == ("lost", "too dear'; DROP TABLE", None)
    assert ingest_now(world).landed == []


def test_one_key_is_one_statement(world: World) -> None:
    world.log(feedback(1), worker="w0")
    world.log(feedback(1), worker="w1")
    assert ingest_now(world).duplicates == 1
    world.log(feedback(1, actor="another"), feedback(1, outcome="lost"), worker="w2")
    ingest_now(world)
    assert sorted(world.column(FEEDBACK, "actor")) == ["another", "crm"]
    assert "was used before for another statement" in world.column(REJECTED, "reason")[0]
    accounted(world)


@pytest.mark.parametrize("other", ["converted", "lost"])
def test_two_machines_that_are_told_one_key_at_the_same_moment_store_it_once(
    world: World, monkeypatch: pytest.MonkeyPatch, other: str
) -> None:
    """The second takes in its own segment between the first one's look at what is known and its commit."""
    world.log(feedback(1), worker="w0")
    world.log(feedback(1, outcome=other), worker="w1")
    first, second = ({name: end} for name, end in world.source.ends().items())
    look = feedback_module.tell_apart

    def interrupted(house: Installation, rows: Sequence[Row], its_lines: Sequence[Line]) -> ToldApart:
        told = look(house, rows, its_lines)
        monkeypatch.setattr(feedback_module, "tell_apart", look)
        with monkeypatch.context() as during:
            during.setattr(ingestion, "pending_bytes", lambda *_: {name: (0, end) for name, end in second.items()})
            assert take_in_part(world.house, world.source, Ingested(), 1 << 20)
        return told

    monkeypatch.setattr(feedback_module, "tell_apart", interrupted)
    with monkeypatch.context() as during:
        during.setattr(ingestion, "pending_bytes", lambda *_: {name: (0, end) for name, end in first.items()})
        assert take_in_part(world.house, world.source, Ingested(), 1 << 20)
    assert world.column(FEEDBACK, "segment") == [*second]
    ingest_now(world)
    assert world.column(FEEDBACK, "segment") == [*second]
    assert sum(world.column(INGESTED, "duplicates")) == (other == "converted")
    assert len(world.rows(REJECTED) if world.house.lakehouse.exists(REJECTED) else []) == (other == "lost")


def test_a_landing_file_that_a_killed_run_owes_is_written_by_the_next(world: World) -> None:
    world.log(feedback(1))
    [name] = ingest_now(world).landed
    (world.home.landing / name).unlink()
    assert ingest_now(world).landed == [name]
    # Once it was ingested, whoever takes it away meant it.
    (world.home.landing / name).unlink()
    files = pa.table({"period": ["2009-03"], "source_file": [name]})
    world.house.lakehouse.replace_periods("arrived_files", ["2009-03"], files)
    assert ingest_now(world).landed == []


def test_feedback_of_a_period_that_was_ingested_lands_in_the_present_one(world: World) -> None:
    files = pa.table({"period": ["2009-03"], "source_file": ["outcomes/2009-03/crm.csv"]})
    world.house.lakehouse.replace_periods("arrived_files", ["2009-03"], files)
    world.later(days=30)
    world.log(feedback(1))
    assert ingest_now(world).landed[0].startswith("outcomes/2009-04/feedback-")


def test_two_commits_never_share_a_landing_file(world: World) -> None:
    log = LogWriter(world.folder, "w0")
    for number in range(3):
        log.write(lines([feedback(number)]))
        ingest_now(world)
    log.close()
    assert len(set(world.column(FEEDBACK, "landing_file"))) == 3
    assert with_landing_files(world.house, []) == []


def test_a_part_holds_at_least_one_line(tmp_path: Path) -> None:
    (tmp_path / "w0-1-000001.jsonl").write_bytes(b"a" * 100 + b"\nb\n")
    part = read_part(LogFolder(tmp_path), {"w0-1-000001": (0, 103)}, 1)
    assert part.reach == {"w0-1-000001": (0, 101)}


def test_merging_small_files_forgets_neither_rows_nor_how_far_it_was_read(world: World) -> None:
    lakehouse, rows = world.house.lakehouse, pa.table({"period": ["2009-03"], "n": [1]})
    for number in range(66):
        lakehouse.append_once("t", rows, {"s": (number, number + 1)}, by_period=True)
    assert lakehouse.taken_in("t", ["s"]) == {"s": 66}
    assert lakehouse.read("t").num_rows == 66
    assert len(lakehouse.scan("t").files) < 10
