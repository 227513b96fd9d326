"""Counts in memory that all workers' files add up to."""

import random
from collections import Counter
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from lead_scoring_assets.serving.counts import ENDPOINTS, SECONDS, SHADOWS, SOURCES, Counts, Totals

REQUESTS = st.lists(
    st.tuples(
        st.sampled_from([*ENDPOINTS, "/unknown"]), st.sampled_from([200, 204, 307, 422, 429, 503]), st.integers(0, 3 * 10**9)
    ),
    max_size=60,
)  # fmt: skip


@given(REQUESTS, st.lists(st.sampled_from(SHADOWS)), st.lists(st.sampled_from(SOURCES)))
def test_all_workers_add_up_to_what_happened(
    tmp_path_factory: object, requests: list[tuple[str, int, int]], shadows: list[str], sources: list[str]
) -> None:
    folder: Path = tmp_path_factory.mktemp("counts")  # type: ignore[attr-defined]
    workers = [Counts(folder, f"w{n}") for n in range(3)]
    for endpoint, status, took in requests:
        random.choice(workers).request(endpoint, status, took)
    for outcome in shadows:
        random.choice(workers).shadow(outcome)
    for source in sources:
        random.choice(workers).scored(source)
    workers.pop().close()
    again = Counts(folder, "w2")  # started again: goes on with its file
    totals = Totals(folder)
    for worker in (*workers, again):
        worker.close()
    known = [(endpoint if endpoint in ENDPOINTS else "other", status, took) for endpoint, status, took in requests]
    by_class = Counter((endpoint, f"{status // 100}xx") for endpoint, status, _ in known)
    assert {(e, s): n for e, s, n in totals.requests() if n} == by_class
    for endpoint, bins, seconds in totals.latencies():
        took = [ns for name, _, ns in known if name == endpoint]
        assert [n for _, n in bins] == [
            *(sum(ns <= round(end * 1e9) for ns in took) for end in SECONDS), len(took)
        ]  # fmt: skip
        assert round(seconds * 1e9) - sum(took) in range(-1_000, 1_000)
    assert dict(totals.shadows()) == {name: shadows.count(name) for name in SHADOWS}
    assert dict(totals.sources()) == {name: sources.count(name) for name in SOURCES}


def test_a_file_of_another_version_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "old.counts").write_bytes(b"\x01" * 24)
    assert sum(count for _, _, count in Totals(tmp_path).requests()) == 0
