"""Reading segments: whole lines only, from any border on; a segment is let go of only when nobody can write to it."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lead_scoring_assets.prediction_log.segments import LogFolder
from lead_scoring_assets.prediction_log.writer import LogWriter

MEETS_A_FULL_DISK = """
import resource, sys
from pathlib import Path
from lead_scoring_assets.errors import PredictionLogError
from lead_scoring_assets.prediction_log.writer import LogWriter
log = LogWriter(Path(sys.argv[1]), "w0")
log.write(b"one\\n")
resource.setrlimit(resource.RLIMIT_FSIZE, (10, resource.RLIM_INFINITY))
try:
    log.write(b"two\\n" * 10)
except PredictionLogError:
    log.write(b"three\\n")
log.close()
"""
CONTENT = st.binary(max_size=40).map(lambda text: text.replace(b"\n", b" "))
HOLDS = """
import sys, time
from pathlib import Path
from lead_scoring_assets.prediction_log.writer import LogWriter
log = LogWriter(Path(sys.argv[1]), "w0")
log.write(b"one\\n")
print("ready", flush=True)
time.sleep(600)
"""


@given(st.lists(CONTENT, max_size=12), CONTENT, st.data())
def test_lines_are_whole_and_add_up_from_every_border(
    tmp_path_factory: pytest.TempPathFactory, whole: list[bytes], torn: bytes, data: st.DataObject
) -> None:
    folder: Path = tmp_path_factory.mktemp("log")
    (folder / "w0-1-000001.jsonl").write_bytes(b"".join(line + b"\n" for line in whole) + torn)
    source = LogFolder(folder)
    end = sum(len(line) + 1 for line in whole)
    assert source.ends() == {"w0-1-000001": end}
    found = list(source.lines("w0-1-000001", 0, end))
    assert [line.content for line in found] == whole
    assert [line.start for line in found] == [0, *(line.end for line in found)][: len(found)]
    border = data.draw(st.sampled_from([0, *(line.end for line in found)]))
    rest = [line for line in found if line.start >= border]
    assert list(source.lines("w0-1-000001", border, end)) == rest


def test_a_torn_line_longer_than_what_is_read_at_once_waits(tmp_path: Path) -> None:
    (tmp_path / "w0-1-000001.jsonl").write_bytes(b"a\n" + b"b" * 200_000)
    assert LogFolder(tmp_path).ends() == {"w0-1-000001": 2}
    (tmp_path / "w0-1-000002.jsonl").write_bytes(b"c" * 200_000)
    assert LogFolder(tmp_path).ends()["w0-1-000002"] == 0


def test_no_folder_is_an_empty_log(tmp_path: Path) -> None:
    assert LogFolder(tmp_path / "none").ends() == {}


def test_a_living_writer_s_segment_stays_and_a_dead_one_s_goes(tmp_path: Path) -> None:
    source = LogFolder(tmp_path)
    with subprocess.Popen([sys.executable, "-c", HOLDS, str(tmp_path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        [(segment, end)] = source.ends().items()
        assert not source.remove(segment, end)
        process.send_signal(signal.SIGKILL)
    assert not source.remove(segment, end - 1)  # something follows
    assert source.remove(segment, end)
    assert source.ends() == {}
    assert source.remove(segment, end)  # by somebody else, before


def test_a_closed_segment_goes_though_its_writer_lives_on(tmp_path: Path) -> None:
    log = LogWriter(tmp_path, "w0", segment_bytes=4)
    log.write(b"one\n")
    log.write(b"two\n")
    first, second = LogFolder(tmp_path).ends()
    assert LogFolder(tmp_path).remove(first, 4)
    assert not LogFolder(tmp_path).remove(second, 4)
    log.close()


def test_a_failed_write_ends_its_segment(tmp_path: Path) -> None:
    """A reader may have taken the first of several lines: what comes later must not stand in their place."""
    subprocess.run([sys.executable, "-c", MEETS_A_FULL_DISK, str(tmp_path)], check=True)
    source = LogFolder(tmp_path)
    assert [[line.content for line in source.lines(name, 0, end)] for name, end in source.ends().items()] == [
        [b"one"],
        [b"three"],
    ]
