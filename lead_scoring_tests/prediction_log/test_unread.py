"""One more reader of the log: it gets every line once, in its own time, whoever lets go of the segments meanwhile."""

import contextlib
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lead_scoring_assets.errors import PredictionLogError
from lead_scoring_assets.prediction_log.records import SHADOWED, line_of
from lead_scoring_assets.prediction_log.segments import LogFolder
from lead_scoring_assets.prediction_log.unread import Unread
from lead_scoring_assets.prediction_log.writer import LogWriter
from lead_scoring_tests.prediction_log.worlds import error, feedback, score, shadow

SEGMENT = "w0-1-000001"
PIECES = st.lists(st.binary(max_size=30), max_size=12)


def new(reader: Unread, beginnings: tuple[bytes, ...] = (b"",)) -> list[bytes]:
    reader.look()
    return [line.content for line in reader.read(beginnings)]


@given(PIECES, st.data())
def test_lines_come_once_and_whole_however_they_are_written(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[bytes], data: st.DataObject
) -> None:
    folder: Path = tmp_path_factory.mktemp("unread")
    path, found, whole = folder / f"{SEGMENT}.jsonl", [], b"".join(pieces)
    with path.open("wb", buffering=0) as stream, contextlib.closing(Unread(folder, "shadow", {})) as reader:
        for piece in [*pieces, b""]:
            stream.write(piece)
            if not piece or data.draw(st.booleans()):
                reader.look()
                found += list(reader.read((b"",)))
    assert [line.content for line in found] == whole.split(b"\n")[:-1]
    assert [whole[line.start : line.end] for line in found] == [line.content + b"\n" for line in found]
    # Another one goes on where this one was.
    border = data.draw(st.sampled_from([0, *(line.end for line in found)]))
    with contextlib.closing(Unread(folder, "shadow", {SEGMENT: border})) as later:
        later.look()
        assert list(later.read((b"",))) == [line for line in found if line.start >= border]
        assert later.positions == {SEGMENT: found[-1].end if found else 0}


def test_a_name_is_taken_away_when_all_is_read_and_nobody_writes_or_needs_it(tmp_path: Path) -> None:
    log, unread = tmp_path / "log", tmp_path / "unread"
    writer = LogWriter(log, "w0", unread=unread)
    writer.write(b"1\n")
    reader = Unread(unread, "shadow", {})
    assert new(reader) == [b"1"]
    reader.let_go(())
    assert len(list(unread.iterdir())) == 1  # somebody writes
    writer.write(b"2\n")
    writer.close()
    reader.let_go(())
    assert new(reader) == [b"2"]  # it was not read
    reader.let_go(set(reader.positions))
    assert len(list(unread.iterdir())) == 1  # it is needed
    reader.let_go(())
    assert (list(unread.iterdir()), reader.positions) == ([], {})
    assert len(LogFolder(log).ends()) == 1
    reader.close()


def test_what_is_let_go_of_in_the_log_is_read_all_the_same(tmp_path: Path) -> None:
    log, unread = tmp_path / "log", tmp_path / "unread"
    for number in range(3):
        writer = LogWriter(log, f"w{number}", unread=unread)
        writer.write(b"%d\n" % number)
        writer.close()
    for segment, end in LogFolder(log).ends().items():
        assert LogFolder(log).remove(segment, end)
    reader = Unread(unread, "w1", {})
    assert sorted(new(reader)) == [b"0", b"2"]  # not its own
    reader.let_go(())
    assert [path.name[:2] for path in unread.iterdir()] == ["w1"]


def test_lines_for_the_shadow_are_known_by_how_they_begin() -> None:
    for version in (1, 9, 10, 1_234):
        assert line_of(score(shadow_version=version)).startswith(SHADOWED)  # type: ignore[arg-type]
    for other in (score(), error(), shadow(), feedback()):
        assert not line_of(other).startswith(SHADOWED)  # type: ignore[arg-type]


def test_a_segment_that_gets_no_second_name_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its leads would miss the reader, and nobody would know."""
    writer, link = LogWriter(tmp_path / "log", "w0", unread=tmp_path / "unread"), os.link

    def refuses(*_told: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "link", refuses)
    for _ in range(2):
        with pytest.raises(PredictionLogError, match="No space left"):
            writer.write(b"1\n")
    assert list((tmp_path / "log").iterdir()) == []
    monkeypatch.setattr(os, "link", link)
    writer.write(b"2\n")
    writer.close()
    reader = Unread(tmp_path / "unread", "shadow", {})
    assert new(reader) == [b"2"]
    reader.close()
