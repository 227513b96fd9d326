"""What the shadow owes and what it has recorded, by the log; and the shadow in this process, step by step."""

import contextlib
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

from lead_scoring_assets.prediction_log.records import record_of
from lead_scoring_assets.prediction_log.segments import LogFolder
from lead_scoring_assets.serving.shadow_process import Shadowing
from lead_scoring_assets.settings import Home

Place = tuple[str, int]


def owed(home: Home) -> dict[Place, Any]:
    """By their places in the log, the answered leads that the shadow is to score."""
    return {
        place: record
        for place, record in _logged(home)
        if record["kind"] == "score" and record["shadow_version"] is not None
    }


def recorded(home: Home) -> list[Any]:
    """The shadow's records."""
    return [record for _, record in _logged(home) if record["kind"] == "shadow"]


def each_has_its_record(home: Home) -> dict[Place, Any]:
    """By the lead's place its record: every lead that is owed one has exactly one, of that very lead."""
    leads, records = owed(home), recorded(home)
    counted = Counter((record["of_segment"], record["of_byte"]) for record in records)
    lost, doubled = leads.keys() - counted.keys(), [place for place, n in counted.items() if n > 1]
    assert (len(lost), len(doubled), len(counted.keys() - leads.keys())) == (0, 0, 0)
    found = {(record["of_segment"], record["of_byte"]): record for record in records}
    for place, lead in leads.items():
        record = found[place]
        for name in ("request_id", "lead_id", "at", "shadow_version"):
            assert record[name] == lead[name]
        its = (record["champion_version"], record["champion_score"], record["champion_latency_us"])
        assert its == (lead["model_version"], lead["score"], lead["latency_us"])
        assert (record["shadow_score"] is None) == (record["outcome"] != "scored")
        assert (record["reason"] is None) == (record["outcome"] == "scored")
    return found


@contextlib.contextmanager
def shadowing(home: Home, after: int | None = None) -> Iterator[Shadowing]:
    with contextlib.closing(Shadowing(home, after)) as shadow:
        yield shadow


def drain(shadow: Shadowing) -> None:
    """Let it settle all that is logged."""
    while shadow.step(time.monotonic()):
        pass


def shadow_all(home: Home, after: int | None = None) -> None:
    with shadowing(home, after) as shadow:
        drain(shadow)


def _logged(home: Home) -> Iterator[tuple[Place, Any]]:
    source = LogFolder(home.serving / "log")
    for segment, end in source.ends().items():
        for line in source.lines(segment, 0, end):
            yield (segment, line.start), record_of(line.content)
