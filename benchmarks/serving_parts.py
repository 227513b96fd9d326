"""What the parts of an answer cost, and what callers notice when another model becomes the champion.

    .venv/bin/python benchmarks/serving_parts.py

The same model and lead as in serving.py. Parts: leads are answered in this process, without HTTP, alone and sixteen together,
with all parts, without the log, without counting, and for a shadow, in turns; told are CPU µs of the whole process for an answer,
the median of the rounds, and the median of what a turn differs from the one with all parts before it; and what the shadow's
process spends on a lead, from the log to its record. Swaps: two models take turns as champion every second
while callers ask without a pause, as versions that nobody announced, that waited in staging, or that were live before; told
are the answers, those that failed, those whose score is not that of the version they name, and how long a worker took to
follow.
"""

import argparse
import contextlib
import http.client
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import serving

from lead_scoring_assets.serving.counts import Counts, Totals
from lead_scoring_assets.serving.deployment_file import FILE, DeploymentFile, ServedModel
from lead_scoring_assets.serving.endpoints import Parts
from lead_scoring_assets.serving.requests import Whole
from lead_scoring_assets.serving.shadow_process import Shadowing
from lead_scoring_assets.serving.worker import Worker, open_worker
from lead_scoring_assets.settings import Home

_ROUNDS = 15
_TOGETHER = (1, 16)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=5_000, help="in each turn")
    parser.add_argument("--swaps", type=int, default=20)
    parser.add_argument("--callers", type=int, default=4)
    told = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        lead, _ = serving.make(Path(folder))
        parts(Path(folder), json.dumps(lead).encode(), told.requests)
        swaps(Path(folder), json.dumps(lead).encode(), told.swaps, told.callers)


def parts(folder: Path, body: bytes, requests: int) -> None:
    with (
        open_worker(Home(folder / "ours"), "w0", may_be_open=True) as worker,
        open_worker(Home(folder / "shadow"), "w0", may_be_open=True) as for_shadow,
    ):
        turns: dict[str, tuple[Worker, Callable[[Worker], contextlib.AbstractContextManager[None]]]] = {
            "all": (worker, unchanged),
            "without the log": (worker, without_log),
            "without counting": (worker, without_counts),
            "all, for a shadow": (for_shadow, unchanged),
        }
        found: dict[tuple[str, int], list[float]] = {}
        for _ in range(_ROUNDS):
            for name, (asked, change) in turns.items():
                while asked.follower.live is None:
                    time.sleep(0.05)
                with change(asked):
                    for together in _TOGETHER:
                        found.setdefault((name, together), []).append(cost(asked, body, requests, together))
    print(f"{'part':24}" + "".join(f"{f'µs, {together} together':>18}{'difference':>12}" for together in _TOGETHER))
    for name in turns:
        told = f"{name:24}"
        for together in _TOGETHER:
            own, every = found[name, together], found["all", together]
            differs = statistics.median(one - other for one, other in zip(own, every, strict=True))
            told += f"{statistics.median(own):>18.1f}{differs:>+12.1f}"
        print(told)
    print(f"{'the shadow':24}{cost_of_shadow(folder / 'shadow'):>18.1f}")


def cost(worker: Worker, body: bytes, requests: int, together: int) -> float:
    """CPU µs of an answer, threads included, where so many are asked for in one turn of the loop."""
    headers = [(b"host", b"127.0.0.1"), (b"content-type", b"application/json")]

    def ask(n: int) -> None:
        for _ in range(n // together):
            started = time.perf_counter_ns()
            worker.app.at_once([Whole(b"/predict", headers, body, started) for _ in range(together)])

    ask(500)  # the interpreter gets used to what has changed
    started = time.process_time()
    ask(requests)
    return (time.process_time() - started) / (requests // together * together) * 1e6


def cost_of_shadow(home: Path) -> float:
    """CPU µs of a lead that was logged, threads included."""
    with contextlib.closing(Shadowing(Home(home))) as shadow:
        started = time.process_time()
        while shadow.step(time.monotonic()):
            pass
        took = time.process_time() - started
    return took / sum(count for _, count in Totals(home / "data" / "serving" / "counts").shadows()) * 1e6


@contextlib.contextmanager
def unchanged(_worker: Worker) -> Iterator[None]:
    """Everything as it is."""
    yield


@contextlib.contextmanager
def without_log(worker: Worker) -> Iterator[None]:
    found = parts_of(worker)
    kept = found.write
    object.__setattr__(found, "write", nothing)
    yield
    object.__setattr__(found, "write", kept)


@contextlib.contextmanager
def without_counts(worker: Worker) -> Iterator[None]:
    found, kept = parts_of(worker), worker.app._counts
    object.__setattr__(found, "counts", NoCounts())
    worker.app._counts = found.counts
    yield
    object.__setattr__(found, "counts", kept)
    worker.app._counts = kept


class NoCounts(Counts):
    """Counts nothing."""

    def __init__(self) -> None:
        """And has no file."""

    def request(self, endpoint: str, status: int, nanoseconds: int) -> None:
        """In place of a part."""

    def scored(self, source: str, leads: int = 1) -> None:
        """In place of a part."""


def parts_of(worker: Worker) -> Parts:
    found: Parts = worker.app._posts["/predict"].answer.__self__._parts  # type: ignore[attr-defined]
    return found


def nothing(*_told: object) -> None:
    """In place of a part."""


@dataclass
class Seen:
    """What a caller was told. `versions`: when (seconds) each of its answers came, and by which version."""

    failed: int = 0
    versions: list[tuple[float, str]] = field(default_factory=list)
    scores: set[tuple[str, float]] = field(default_factory=set)


def swaps(folder: Path, body: bytes, times: int, callers: int) -> None:
    home, port = folder / "ours", serving.free_port()
    path = home / "data" / "serving" / FILE
    first = DeploymentFile.read(path)
    # Two models under version numbers that rise: forward to one that was never seen, then back, and forward again.
    models = [replace(model_of(folder, 2 - number % 2), version=number) for number in range(times + 2)]
    scores = [score_of(home / "data" / f"v{version}", body) for version in (2, 1)]
    expected = {f"v{number}": scores[number % 2] for number in range(times + 2)}
    turns = [model for new in models[2:] for model in (new, models[new.version - 1], new)][:times]
    # Every other new version waits in staging before it goes live.
    announced = [turns[turn + 1 : turn + 2] if turn % 6 == 2 else [] for turn in range(len(turns))]
    process = subprocess.Popen([sys.executable, serving.__file__, "--serve", str(home), str(port)])
    try:
        serving.wait("ours", process, f"http://127.0.0.1:{port}/predict", body, folder)
        seen, is_over = [Seen() for _ in range(callers)], threading.Event()
        threads = [threading.Thread(target=ask_on, args=(port, body, one, is_over)) for one in seen]
        for thread in threads:
            thread.start()
        changed: list[tuple[float, str]] = []
        for turn, champion in enumerate(turns):
            time.sleep(1.0)
            changed.append((time.perf_counter(), f"v{champion.version}"))
            replace(first, sequence=turn + 1, champion=champion, next_up=tuple(announced[turn])).write(path)
        time.sleep(3)
        is_over.set()
        for thread in threads:
            thread.join()
    finally:
        process.terminate()
        process.wait(30)
    answers = sorted(answer for one in seen for answer in one.versions)
    wrong = sum(score != expected[version] for one in seen for version, score in one.scores)
    follow = [next(at for at, told in answers if at > since and told == version) - since for since, version in changed]
    print(
        f"\n{times} swaps, {callers} callers: {len(answers):,} answers, {sum(one.failed for one in seen)} failed, {wrong} wrong"
    )
    kinds = {
        "a version never seen": follow[0::6],
        "a version from staging": follow[3::6],
        "back to the one before": follow[1::3],
        "forward again": follow[2::3],
    }
    for told, took in kinds.items():
        print(f"{told}: followed within p50 {statistics.median(took) * 1e3:.0f} ms, at most {max(took) * 1e3:.0f} ms")


def ask_on(port: int, body: bytes, seen: Seen, is_over: threading.Event) -> None:
    held = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    while not is_over.is_set():
        try:
            held.request("POST", "/predict?exact=true", body, {"content-type": "application/json"})
            answer = held.getresponse()
            told = json.loads(answer.read())
        except (OSError, http.client.HTTPException, ValueError):
            seen.failed += 1
            held.close()
            continue
        if answer.status != 200 or told["source"] != "model":
            seen.failed += 1
            continue
        seen.versions.append((time.perf_counter(), told["model_version"]))
        seen.scores.add((told["model_version"], told["score_exact"]))


def model_of(folder: Path, version: int) -> ServedModel:
    told = DeploymentFile.read(folder / "shadow" / "data" / "serving" / FILE)
    found = told.champion if version == 1 else told.challenger
    assert found is not None
    return found


def score_of(model: Path, body: bytes) -> float:
    from lead_scoring_assets.models.bundle import load_scorer

    lead = json.loads(body)
    return float(load_scorer(model).row_probabilities([lead])[0])


if __name__ == "__main__":
    main()
