"""JSON lines as rows of text with their line: whatever is in the file, each line is a row or named as none."""

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lead_scoring_assets.settings import Source
from lead_scoring_tests.leads.conftest import OPTIONAL, REQUIRED, Read

ROW = '{"id": "1", "age": 42, "note": "x"}\n'


def test_values_are_texts_as_they_are_written(read: Read) -> None:
    file = read(
        '{"id": 1, "age": 1.10, "note": true}\r\n\n'
        '{"note": false, "id": 12345678901234567890123, "age": -1E+400}\n'
        '{"age": null, "id": "ü\\u00fc\\ud83d\\ude00", "known_at": ""}\n',
        "a.jsonl",
    )
    assert file.columns == [*REQUIRED, *OPTIONAL]
    assert file.cells == {
        1: ["1", "1.10", "true", None],
        3: ["12345678901234567890123", "-1E+400", "false", None],
        4: ["üü😀", None, None, ""],
    }
    assert file.raw[3] == '{"note": false, "id": 12345678901234567890123, "age": -1E+400}'
    assert (file.unreadable, file.file.problem, file.file.note) == ([], None, None)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (b'{"id": "2", "age": 1', "not readable as JSON"),
        (b'{"id": "2"} {"id": "3"}', "not readable as JSON (more text behind its value"),
        (b"nothing", "not readable as JSON (no value)"),
        (b'["2"]', "expected an object { … } on the line, found another value"),
        (b"17", "expected an object"),
        (b'{"id": "2", "age": 1, "id": "3"}', "keys ['id'] occur more than once"),
        (b'{"id": {"is": "2"}}', "id: expected a single value, found a nested one"),
        (b'{"id": [], "note": {}}', "id: expected a single value, found a nested one; note: expected a single value"),
        (b'{"id": NaN}', "expected a number, found NaN, which JSON does not know"),
        (b'{"other": -Infinity}', "expected a number, found -Infinity"),
        (b'{"id": "M\xfcller"}', "not UTF-8 text; export the file as UTF-8"),
        (b'{"id": "\\ud800"}', "holds half a character"),
        (b'{"other": ["\\udfff"]}', "holds half a character"),
        (b'{"id": "\\u0000"}', "holds a NUL character"),
        (b'{"id": "\0"}', "not readable as JSON (Invalid control character"),
        (b'{"id": "' + b"y" * 200_000 + b'"}', "id: has more than 131,072 characters"),
        (b'{"id": ' + b"[" * 100_000, "not readable as JSON (maximum recursion depth exceeded"),
    ],
)
def test_a_line_that_is_no_row_costs_itself_only(line: bytes, told: str, read: Read) -> None:
    file = read(ROW.encode() + line + b"\n" + ROW.encode(), "a.ndjson")
    assert list(file.cells) == [1, 3]
    (fault,) = file.unreadable
    assert fault.line == 2
    assert told in fault.reason
    assert fault.text == line.decode("utf-8", errors="replace").replace("\ufffd", "?")[:2000]


def test_an_escaped_backslash_is_no_escape(read: Read) -> None:
    file = read(r'{"id": "\\ud800 \\u0000"}' + "\n", "a.jsonl")
    assert file.rows == [[r"\ud800 \u0000", None, None, None]]


def test_unknown_keys_are_noted_once_and_keys_that_never_come(read: Read) -> None:
    file = read('{"id": "1", "b": 1}\n{"id": "2", "a": {}, "b": 2}\n' * 3, "a.jsonl")
    assert len(file.cells) == 6
    assert file.file.note == (
        "leads/2008-05/a.jsonl: columns ['a', 'b'] are not in the contract and were not read; "
        "no line has the columns ['age', 'note']"
    )


def test_a_key_for_every_line_does_not_fill_the_note(read: Read) -> None:
    file = read("".join(f'{{"id": "1", "key {number}": 1}}\n' for number in range(3000)), "a.jsonl")
    assert len(file.cells) == 3000
    assert file.file.note == (
        "leads/2008-05/a.jsonl: more than 1,000 different keys were found; those not in the contract were not read"
    )


def test_keys_are_renamed(read: Read) -> None:
    source = Source(rename={"Lead": "id", "note": "age"}, values={"id": {"one": "1"}})
    file = read('{"Lead": "one", "note": 2}\n{"id": "one"}\n{"Lead": 1, "id": 1}\n', "a.jsonl", source=source)
    assert file.cells == {1: ["1", "2", None, None], 2: ["1", None, None, None]}
    assert file.faults == {3: "keys ['Lead', 'id'] are both id, because `rename` says so"}


def test_the_last_line_may_be_cut_off_and_an_empty_file_is_one_without_rows(read: Read) -> None:
    file = read(ROW + '{"id": "2"', "a.jsonl")
    assert (list(file.cells), list(file.faults)) == ([1], [2])
    assert "ends without a line break; the last row may be cut off" in str(file.file.note)
    empty = read("\n", "a.jsonl")
    assert (empty.rows_in, empty.file.problem, empty.file.note) == (0, None, "leads/2008-05/a.jsonl: is empty")


def test_utf16_is_named_and_a_byte_order_mark_is_not_text(read: Read) -> None:
    assert "expected UTF-8 text, found UTF-16" in str(read(ROW.encode("utf-16"), "a.jsonl").file.problem)
    assert read("\ufeff" + ROW, "a.jsonl").cells == read(ROW, "a.jsonl").cells


values = (
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6)
    | st.integers()
    | st.booleans()
    | st.none()
)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.dictionaries(st.sampled_from([*REQUIRED, "other"]), values), max_size=8),
    st.booleans(),
    st.integers(1, 300),
)
@example([{"id": "\u2028\x85"}], False, 1)
def test_what_is_written_as_json_is_read_back(
    read: Read, objects: list[dict[str, object]], is_ascii: bool, block_bytes: int
) -> None:
    file = read(
        "".join(json.dumps(row, ensure_ascii=is_ascii) + "\n" for row in objects), "a.jsonl", block_bytes=block_bytes
    )

    def text(value: object) -> str | None:
        return None if value is None else str(value).lower() if isinstance(value, bool) else str(value)

    assert file.rows == [[text(row.get(name)) for name in [*REQUIRED, *OPTIONAL]] for row in objects]
    assert file.unreadable == []


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200), st.integers(1, 100))
def test_every_line_is_a_row_or_named(read: Read, content: bytes, block_bytes: int) -> None:
    file = read(content, "a.jsonl", block_bytes=block_bytes)
    again = read(content, "a.jsonl")
    assert (file.cells, file.unreadable, file.file.problem) == (again.cells, again.unreadable, again.file.problem)
    text = content.decode("utf-8-sig", errors="surrogateescape").replace("\r\n", "\n").replace("\r", "\n")
    filled = [number for number, line in enumerate(text.split("\n"), start=1) if line.strip()]
    assert file.file.problem or sorted([*file.cells, *file.faults]) == filled
