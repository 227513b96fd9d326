import json
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from lead_scoring_assets.errors import PredictionLogError
from lead_scoring_assets.prediction_log.writer import LogWriter

WRITES_UNTIL_KILLED = """
import sys
from pathlib import Path
from lead_scoring_assets.prediction_log.writer import LogWriter
log = LogWriter(Path(sys.argv[1]), "w0", sys.argv[2])
for number in range(10**9):
    log.write(b'{"n": %d}\\n' % number)
    print(number, flush=True)
"""
FILLS_A_SMALL_DISK = """
import resource, sys
from pathlib import Path
from lead_scoring_assets.errors import PredictionLogError
from lead_scoring_assets.prediction_log.writer import LogWriter
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, resource.RLIM_INFINITY))
log = LogWriter(Path(sys.argv[1]), "w0")
kept = 0
try:
    while True:
        log.write(b'{"n": %d}\\n' % kept)
        kept += 1
except PredictionLogError as problem:
    print(problem)
resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, resource.RLIM_INFINITY))
log.write(b'{"n": %d}\\n' % kept)
log.close()
print(kept)
"""


def lines(folder: Path) -> list[str]:
    return [line for path in sorted(folder.glob("*.jsonl")) for line in path.read_text().splitlines(keepends=True)]


@pytest.mark.parametrize("mode", ["write", "strict"])
def test_kill_9_loses_no_acknowledged_record(tmp_path: Path, mode: str) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", WRITES_UNTIL_KILLED, str(tmp_path), mode], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    acknowledged = -1
    for _ in range(300):
        acknowledged = int(process.stdout.readline())
    process.send_signal(signal.SIGKILL)
    acknowledged = max([acknowledged, *map(int, process.stdout.read().split())])
    process.wait()
    process.stdout.close()
    kept = [json.loads(line)["n"] for line in lines(tmp_path) if line.endswith("\n")]
    assert kept == list(range(len(kept)))
    assert kept[-1] >= acknowledged >= 299


def test_a_full_disk_is_told_and_leaves_no_half_line(tmp_path: Path) -> None:
    told = subprocess.run(
        [sys.executable, "-c", FILLS_A_SMALL_DISK, str(tmp_path)], check=True, capture_output=True, text=True
    ).stdout.splitlines()
    assert "cannot be written" in told[0]
    assert [json.loads(line)["n"] for line in lines(tmp_path)] == list(range(int(told[-1]) + 1))


def test_many_threads_write_whole_lines_into_segments_of_bounded_size(tmp_path: Path) -> None:
    log = LogWriter(tmp_path, "w0", segment_bytes=1_000)

    def write(who: int) -> None:
        for number in range(200):
            log.write(json.dumps({"who": who, "n": number}).encode() + b"\n")

    threads = [threading.Thread(target=write, args=(who,)) for who in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.close()
    found = [json.loads(line) for line in lines(tmp_path)]
    for who in range(4):
        assert [row["n"] for row in found if row["who"] == who] == list(range(200))
    sizes = [path.stat().st_size for path in sorted(tmp_path.glob("*.jsonl"))]
    assert len(sizes) > 1
    assert max(sizes) <= 1_000


def test_a_record_larger_than_a_segment_has_one_of_its_own(tmp_path: Path) -> None:
    log = LogWriter(tmp_path, "w0", segment_bytes=10)
    for record in (b"a\n", b"b" * 50 + b"\n", b"c\n"):
        log.write(record)
    log.close()
    assert lines(tmp_path) == ["a\n", "b" * 50 + "\n", "c\n"]


def test_nothing_is_written_before_the_first_record_nor_after_the_end(tmp_path: Path) -> None:
    log = LogWriter(tmp_path / "log", "w0")
    assert not (tmp_path / "log").exists()
    log.close()
    with pytest.raises(PredictionLogError, match="closed"):
        log.write(b"late\n")


def test_two_writers_of_one_name_do_not_meet(tmp_path: Path) -> None:
    first, second = LogWriter(tmp_path, "w0"), LogWriter(tmp_path, "w0")
    first.write(b"1\n")
    second.write(b"2\n")
    first.close()
    second.close()
    assert sorted(lines(tmp_path)) == ["1\n", "2\n"]


def test_a_folder_that_is_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("")
    with pytest.raises(PredictionLogError, match="cannot be written"):
        LogWriter(tmp_path / "log", "w0").write(b"1\n")
