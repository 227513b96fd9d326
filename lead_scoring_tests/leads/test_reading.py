"""Landed files of every format: endings, packing, limits and checksums."""

import gzip
import hashlib
import io
import json
import tracemalloc
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lead_scoring_assets.leads import reading
from lead_scoring_assets.leads.blocks import LandedFile
from lead_scoring_assets.leads.landing import Landing
from lead_scoring_assets.settings import Source
from lead_scoring_tests.leads.conftest import Read

GOOD = b"id,age,note\n1,42,x\n2,43,y\n"
LINES = b'{"id": 1, "age": 42, "note": "x"}\n{"id": 2, "age": 43, "note": "y"}\n'
MANY = b"id,age,note\n" + b"".join(b"%d,42,some words\n" % row for row in range(20_000))
PACKED = gzip.compress(MANY)


@pytest.mark.parametrize(
    ("name", "found"), [("a.xlsx", ".xlsx"), ("a.parquet.gz", ".gz"), ("leads", "no ending"), ("a.csv~", ".csv~")]
)
def test_a_wrong_ending_is_named(name: str, found: str, read: Read) -> None:
    file = read(GOOD, name).file
    assert file.problem == (
        f"leads/2008-05/{name}: expected a file that ends with .csv, .csv.gz, .jsonl, .jsonl.gz, .ndjson, .ndjson.gz, "
        f".parquet, found {found}; export as one of these, or remove the file"
    )
    assert (file.sha256, file.size_bytes) == (hashlib.sha256(GOOD).hexdigest(), len(GOOD))
    assert read(GOOD, "A.CSV").file.problem is None


def test_a_file_that_is_too_large_is_named_with_its_checksum(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MAXIMUM_FILE_BYTES", 10)
    file = read(GOOD).file
    assert file.problem == f"leads/2008-05/a.csv: has {len(GOOD)} bytes, more than the limit of 10; split it"
    assert file.sha256 == hashlib.sha256(GOOD).hexdigest()


@pytest.mark.parametrize(("name", "content"), [("a.csv.gz", GOOD), ("a.jsonl.gz", LINES), ("a.NDJSON.GZ", LINES)])
def test_a_packed_file_is_read_like_the_one_in_it(name: str, content: bytes, read: Read) -> None:
    packed = gzip.compress(content[:30]) + gzip.compress(content[30:])
    file, plain = read(packed, name), read(content, name[: -len(".gz")])
    assert [row[:3] for row in file.rows] == [["1", "42", "x"], ["2", "43", "y"]]
    assert (file.cells, file.raw, file.file.problem, file.file.note) == (plain.cells, plain.raw, None, None)
    assert (file.file.sha256, file.file.size_bytes) == (hashlib.sha256(packed).hexdigest(), len(packed))


@settings(max_examples=15, deadline=None)
@given(st.floats(0.2, 0.999), st.integers(5_000, 100_000))
def test_rows_before_the_end_of_a_cut_off_stream_are_read(read: Read, share: float, block_bytes: int) -> None:
    packed = PACKED[: int(len(PACKED) * share)]
    file, plain = read(packed, "a.csv.gz", block_bytes=block_bytes), read(MANY)
    assert "is cut off inside its gzip stream: only the rows before that were read" in str(file.file.problem)
    assert file.cells == dict(list(plain.cells.items())[: len(file.cells)])
    assert len(file.cells) > 0.1 * len(plain.cells)
    assert len(file.unreadable) <= 1
    assert all(fault.line == len(file.cells) + 2 and "cut off" in fault.reason for fault in file.unreadable)
    assert file.file.sha256 == hashlib.sha256(packed).hexdigest()


def test_half_a_line_before_damage_is_no_row(read: Read) -> None:
    """`1,2,30` cut after the 3 would be a row of its own, and a wrong one."""
    content = b"id,age,note\n1,42,30"
    for body, name in ((content, "a.csv.gz"), (b'{"id": 1}\n{"id": 2}', "a.jsonl.gz")):
        whole_stream = gzip.compress(body)
        file = read(whole_stream[:-8], name)
        assert list(file.faults.values()) == ["cut off, because the file is damaged here"]
        assert len(file.cells) == name.count("jsonl")
        assert len(read(whole_stream, name).cells) == 1 + name.count("jsonl")


def test_damage_inside_a_stream_is_named(read: Read) -> None:
    packed = bytearray(PACKED)
    packed[len(packed) // 2 :] = b"\x55" * (len(packed) - len(packed) // 2)
    file = read(bytes(packed), "a.csv.gz")
    assert "is damaged (" in str(file.file.problem) or "cut off" in str(file.file.problem)
    assert len(file.cells) > 5_000
    wrong_sum = bytearray(gzip.compress(GOOD))
    wrong_sum[-8] ^= 1
    assert "is damaged (CRC check failed" in str(read(bytes(wrong_sum), "a.csv.gz").file.problem)
    assert "is not packed with gzip, as its name says" in str(read(GOOD, "a.csv.gz").file.problem)


def peak_of(root: Path, name: str, content: bytes, block_bytes: int) -> tuple[LandedFile, int, int]:
    """A file that has been read block by block, how many rows it gave, and how much memory that took."""
    path = root / "leads" / "2008-05" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    landing = Landing.open(None, root, root)
    (file,) = (file for file in landing.files("leads", "2008-05") if file.name.endswith(f"/{name}"))
    tracemalloc.start()
    landed = reading.read_landed(landing, file, ["id"], [], Source(), block_bytes=block_bytes)
    rows = sum(block.rows.num_rows for block in landed.blocks())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return landed, rows, peak


@pytest.mark.parametrize(
    "content",
    [b"y" * 30_000_000, b"\n" * 30_000_000, GOOD + b"\n" * 30_000_000, GOOD + b"1,42,x\n" * 4_000_000],
    ids=["one line", "blank lines", "blank lines after rows", "rows"],
)
def test_a_bomb_is_bounded(content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MAXIMUM_FILE_BYTES", 3_000_000)
    file, _, peak = peak_of(tmp_path, "a.csv.gz", gzip.compress(content), 200_000)
    assert "unpacks to more than the limit of 3,000,000 bytes; split it" in str(file.problem)
    assert peak < 30_000_000


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    """Only one block of a file is held at a time."""
    body = MANY[len("id,age,note\n") :]
    _, few, small = peak_of(tmp_path, "a.csv", MANY + body, 100_000)
    _, many, large = peak_of(tmp_path, "b.csv", MANY + body * 19, 100_000)
    assert (few, many) == (40_000, 400_000)
    assert large < small + 1_000_000


cells = st.text(st.characters(codec="utf-8", exclude_characters='\0,"\r\n'), min_size=1, max_size=6).filter(str.strip)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(cells, cells, cells), max_size=10), st.integers(1, 300))
def test_every_format_gives_the_same_rows(read: Read, rows: list[tuple[str, str, str]], block_bytes: int) -> None:
    names = ["id", "age", "note"]
    text = "".join(",".join(row) + "\n" for row in [tuple(names), *rows]).encode()
    lines = "".join(json.dumps(dict(zip(names, row, strict=True))) + "\n" for row in rows).encode()
    columns = {name: pa.array([row[place] for row in rows], pa.string()) for place, name in enumerate(names)}
    content = io.BytesIO()
    pq.write_table(pa.table(columns), content)
    source = Source(values={"note": {row[2]: "ours" for row in rows[:2]}})
    landed = {
        "a.csv": text,
        "a.csv.gz": gzip.compress(text),
        "a.jsonl": lines,
        "a.ndjson.gz": gzip.compress(lines),
        "a.parquet": content.getvalue(),
    }
    ours = {row[2].strip() for row in rows[:2]}
    expected = [[*row[:2], "ours" if row[2].strip() in ours else row[2]] for row in rows]
    for name, packed in landed.items():
        file = read(packed, name, source=source, block_bytes=block_bytes, optional=[])
        assert file.rows == expected
        assert file.unreadable == []
