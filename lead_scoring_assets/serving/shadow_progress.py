"""How far the shadow is: found again after any end of its process, to the byte, from what it wrote itself.

A record names the lead that it is of, so a lead is settled exactly when its record is complete. A small file says from where
on records have to be looked at.
"""

import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic_core import from_json

from lead_scoring_assets.files import write_atomically
from lead_scoring_assets.prediction_log.segments import has_a_writer
from lead_scoring_assets.prediction_log.writer import SUFFIX
from lead_scoring_assets.serving.shadow import WORKER

_FILE = "progress.json"


def recovered(folder: Path) -> dict[str, int]:
    """By segment, up to which byte every lead has its record."""
    kept = _kept(folder)
    reach, begun = dict(kept), dict[str, int]()
    for path in _own(folder):
        for segment, start in _records(path, kept.get(_segment(path), 0)):
            begun[segment] = max(begun.get(segment, 0), start)
    for segment, start in begun.items():
        reach[segment] = max(reach.get(segment, 0), _end_of_line(folder / f"{segment}{SUFFIX}", start))
    return reach


def keep(folder: Path, reach: Mapping[str, int]) -> None:
    """Keep `reach`, which holds for all that the shadow has written; its segments that have ended are needed no more."""
    write_atomically(
        folder / _FILE, json.dumps({**reach, **{_segment(path): path.stat().st_size for path in _own(folder)}}).encode()
    )
    for path in _own(folder):
        with path.open("rb") as stream:
            if not has_a_writer(stream.fileno()):
                path.unlink()


def _kept(folder: Path) -> dict[str, int]:
    try:
        found: dict[str, int] = json.loads((folder / _FILE).read_bytes())
    except FileNotFoundError:
        return {}
    return found


def _own(folder: Path) -> list[Path]:
    return list(folder.glob(f"{WORKER}-*{SUFFIX}"))


def _segment(path: Path) -> str:
    return path.name.removesuffix(SUFFIX)


def _records(path: Path, since: int) -> Iterator[tuple[str, int]]:
    with path.open("rb") as stream:
        stream.seek(since)
        for line in stream:
            with contextlib.suppress(ValueError, KeyError):  # cut off, where its writer was killed
                record = from_json(line)
                yield record["of_segment"], record["of_byte"]


def _end_of_line(path: Path, start: int) -> int:
    try:
        with path.open("rb") as stream:
            stream.seek(start)
            return start + len(stream.readline())
    except FileNotFoundError:  # read to its end, and let go of
        return start
