"""CSV as rows of text with their line: whatever is in the file, each line is in a row or named as none."""

import csv
import hashlib
import io

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lead_scoring_assets.leads import byte_streams, lines
from lead_scoring_assets.leads.blocks import LINE, Told
from lead_scoring_assets.leads.csv_rows import csv_blocks
from lead_scoring_assets.leads.headers import Wanted
from lead_scoring_assets.settings import Source
from lead_scoring_tests.leads.conftest import REQUIRED, Read

GOOD = "id,age,note\n1,42,x\n2,43,y\n"


def test_rows_are_texts_by_the_line_on_which_they_stand(read: Read) -> None:
    file = read(GOOD)
    assert file.cells == {2: ["1", "42", "x"], 3: ["2", "43", "y"]}
    assert file.raw == {2: "1,42,x", 3: "2,43,y"}
    assert (file.file.name, file.rows_in, file.unreadable) == ("leads/2008-05/a.csv", 2, [])
    assert (file.file.problem, file.file.note) == (None, None)
    assert (file.file.size_bytes, file.file.sha256) == (len(GOOD), hashlib.sha256(GOOD.encode()).hexdigest())


@pytest.mark.parametrize(
    "content",
    [
        "\ufeff" + GOOD,
        GOOD.replace("\n", "\r\n"),
        GOOD.replace("\n", "\r"),
        '"id","age","note"\n"1","42","x"\n"2","43","y"\n',
        " id , age , note \n1,42,x\n2,43,y\n",
    ],
    ids=["BOM", "CRLF", "CR", "all quoted", "blanks around names"],
)
def test_spellings_of_csv_make_no_difference(content: str, read: Read) -> None:
    file = read(content)
    assert file.cells == {2: ["1", "42", "x"], 3: ["2", "43", "y"]}
    assert (file.file.problem, file.file.note) == (None, None)


def test_columns_are_found_by_name_in_any_order(read: Read) -> None:
    file = read("known_at,note,id,age\n2008-05-02,x,1,42\n")
    assert file.columns == ["id", "age", "note", "known_at"]
    assert file.cells == {2: ["1", "42", "x", "2008-05-02"]}


def test_extra_columns_are_named_and_not_read(read: Read) -> None:
    file = read("id,age,note,knwon_at,é\n1,42,x,?,?\n")
    assert file.cells == {2: ["1", "42", "x"]}
    assert file.file.note == "leads/2008-05/a.csv: columns ['knwon_at', 'é'] are not in the contract and were not read"
    assert file.raw == {2: "1,42,x,?,?"}


def test_blank_lines_are_no_rows_but_count_as_lines(read: Read) -> None:
    file = read("\n\nid,age,note\n\n1,42,x\n  \n\n2,43\n")
    assert file.cells == {5: ["1", "42", "x"]}
    assert list(file.faults) == [8]


def test_a_header_alone_is_a_file_without_rows(read: Read) -> None:
    file = read("id,age,note\n")
    assert (file.rows_in, file.file.problem, file.file.note) == (0, None, None)
    assert (file.blocks, file.cells) == (0, {})


# --- Files that cannot be read as rows


@pytest.mark.parametrize(
    ("content", "told", "rows_in"),
    [
        ("", "is empty: expected a header line with the columns id, age, note", 0),
        ("\ufeff\n \n", "is empty: expected a header line", 0),
        ("id;age;note\n1;42;x\n", "expected commas between the columns, found a semicolon; export with commas", 1),
        ('"id"\t"age"\t"note"\n1\t42\tx\n', "expected commas between the columns, found a tab", 1),
        ("id|age|note\n1|42|x\n2|43|y\n", "expected commas between the columns, found a bar", 2),
        ("id,note\n1,x\n", "columns ['age'] are missing: expected ['id', 'age', 'note'], found ['id', 'note']", 1),
        ("1,42,x\n2,43,y\n", "columns ['id', 'age', 'note'] are missing", 1),
        ("ID,Age,note\n1,42,x\n", "columns ['id', 'age'] are missing", 1),
        ("id,age,note,age\n1,42,x,9\n", "columns ['age'] occur more than once; rename or remove them", 1),
        ("id,age,note, age\n1,42,x,9\n\n2,42,x,9\n", "columns ['age'] occur more than once", 2),
        ('id,age,"note\n1,42,x\n2,43,y\n', "not readable as CSV", 2),
        ("id,age,note\0\n1,42,x\n", "holds a NUL byte; the file is damaged, or not UTF-8 text", 1),
        ("id,age,größe\n1,42,x\n".encode("latin-1"), "not UTF-8 text; export the file as UTF-8", 1),
        ("PK\x03\x04 not a table\n", "columns ['id', 'age', 'note'] are missing", 0),
    ],
)
def test_a_file_that_is_no_table_of_ours_is_named(content: str | bytes, told: str, rows_in: int, read: Read) -> None:
    file = read(content)
    assert file.file.problem is not None
    assert file.file.problem.startswith("leads/2008-05/a.csv: ")
    assert told in file.file.problem
    assert len(file.cells) == 0
    assert file.rows_in == rows_in == len(file.unreadable)
    assert all(told in reason for reason in file.faults.values())


def test_utf16_is_named(read: Read) -> None:
    file = read(GOOD.encode("utf-16"))
    assert file.file.problem is not None
    assert file.file.problem == (
        "leads/2008-05/a.csv: expected UTF-8 text, found UTF-16; export as UTF-8, or set sources.leads.encoding to utf-16 "
        "in lead_scoring.yaml"
    )
    assert read(GOOD.encode("utf-16"), source=Source(encoding="utf-16")).cells == read(GOOD).cells


# --- Rows that cannot be read


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (b"2,43", "expected 3 fields, found 2; is the row cut off, or a quote missing?"),
        (b"2,43,y,z", "expected 3 fields, found 4; is the row cut off, or a quote missing?"),
        (b"2", "expected 3 fields, found 1"),
        (b"2;43;y", "expected 3 fields, found 1"),
        (b'2,43,"y', "not readable as CSV (',' expected after '\"'); is a quote missing, or the file cut off?"),
        (b'2,"43,y', "not readable as CSV (',' expected after '\"')"),
        (b'"2"x,43,y', "not readable as CSV (',' expected after '\"')"),
        (b'2,43,"' + b"y" * 200_000 + b'"', "not readable as CSV (field larger than field limit (131072))"),
        (b"2,43," + b"y" * 200_000, "not readable as CSV (field larger than field limit (131072))"),
        (b"2,43,M\xfcller", "not UTF-8 text; export the file as UTF-8"),
        (b"2,43,\xed\xa0\x80", "not UTF-8 text; export the file as UTF-8"),
        (b"2,43,y\0", "holds a NUL byte; the file is damaged, or not UTF-8 text"),
    ],
)
def test_a_line_that_is_no_row_costs_itself_only(line: bytes, told: str, read: Read) -> None:
    """The faulty line is named with its number and text; the row before and all rows after it are read."""
    file = read(b"id,age,note\n1,42,x\n" + line + b'\n3,44,"a, b"\n4,45,w\n')
    assert file.cells == {2: ["1", "42", "x"], 4: ["3", "44", "a, b"], 5: ["4", "45", "w"]}
    (fault,) = file.unreadable
    assert fault.line == 3
    assert told in fault.reason
    assert (
        fault.text == line.decode("utf-8", errors="surrogateescape").encode("utf-8", errors="replace").decode()[:2000]
    )


def test_a_quote_that_is_open_at_the_end_costs_its_line_only(read: Read) -> None:
    file = read('id,age,note\n1,42,x\n2,43,"y\n3,44,z\n4,45,w\n')
    assert list(file.cells) == [2, 4, 5]
    assert file.faults == {3: "not readable as CSV (unexpected end of data); is a quote missing, or the file cut off?"}


def test_cells_may_hold_commas_quotes_and_line_breaks(read: Read) -> None:
    file = read('id,age,note\n1,42,"says ""no"", then\nyes,\n\n maybe"\n2,43,"\n"\n3,44,z\n')
    assert file.cells == {2: ["1", "42", 'says "no", then\nyes,\n\n maybe'], 6: ["2", "43", "\n"], 8: ["3", "44", "z"]}
    assert file.raw[2] == '1,42,"says ""no"", then\nyes,\n\n maybe"'
    assert file.unreadable == []


@pytest.mark.parametrize("mark", ["\u2028", "\x0b", "\x0c", "\x1c", "\x85", "\u2029"])
def test_only_line_breaks_break_lines(mark: str, read: Read) -> None:
    file = read(f"id,age,note\n1,42,a{mark}b\n2,43,y\n")
    assert file.cells == {2: ["1", "42", f"a{mark}b"], 3: ["2", "43", "y"]}


def test_a_row_that_swallowed_others_gives_them_back(read: Read) -> None:
    """Stray quotes in lines 3 and 6 frame the rows between them as one cell: the row would even have three cells."""
    file = read('id,age,note\n1,42,a\n2,"43,b\n3,44,c\n4,45,d\n5,46",e\n6,47,f\n')
    assert sorted(file.cells) == [2, 4, 5, 6, 7]
    assert file.faults == {3: "holds further rows inside quotes; is a quote missing?"}


def test_a_forgotten_quote_costs_time_only_in_proportion(read: Read) -> None:
    """Every line opens a quote that none closes: looking for its end must not read the file once a line."""
    file = read("id,age,note\n" + 'a","b,c\n' * 20_000)
    assert len(file.unreadable) + len(file.cells) == 20_000


@pytest.mark.parametrize("cut", range(1, len(GOOD)))
def test_a_file_cut_off_anywhere_says_so(cut: int, read: Read) -> None:
    whole = read(GOOD)
    file = read(GOOD[:cut])
    assert file.file.problem is not None or file.unreadable or file.file.note or GOOD[:cut].endswith("\n")
    untouched = GOOD[:cut].count("\n")
    assert all(file.cells[line] == row for line, row in whole.cells.items() if line <= untouched)


def test_the_last_row_may_lack_its_line_break_but_that_is_noted(read: Read) -> None:
    file = read(GOOD.removesuffix("\n"))
    assert file.cells == read(GOOD).cells
    assert file.file.note == "leads/2008-05/a.csv: ends without a line break; the last row may be cut off"


# --- Anything at all

pieces = st.sampled_from(
    [
        '"',
        '""',
        ",",
        "\n",
        "\r\n",
        "\r",
        "1,42,x\n",
        '2,43,"a, b"\n',
        '3,44,"a\nb"\n',
        "é",
        "\0",
        " ",
        ";",
        "\u2028",
        "\ufeff",
    ]
)


@settings(max_examples=200, deadline=None)
@given(st.lists(pieces | st.text(max_size=4), max_size=25).map("".join), st.booleans(), st.integers(1, 300))
@example('2,"43,b\n3,44,c\n4,45",d\n', True, 1000)
@example('2,43,"b\n3,44,c\n', True, 7)
def test_every_line_is_in_one_row_or_named(read: Read, body: str, has_header: bool, block_bytes: int) -> None:
    content = ("id,age,note\n" if has_header else "") + body
    raw = content.encode("utf-8", errors="surrogatepass")
    file = read(raw, block_bytes=block_bytes)
    lines = raw.decode("utf-8-sig", errors="surrogateescape").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    spans = {line: file.raw[line].replace("\r\n", "\n").replace("\r", "\n").count("\n") + 1 for line in file.raw}
    taken = [number for line, span in spans.items() for number in range(line, line + span)]
    named = [fault.line for fault in file.unreadable]
    assert len({*taken, *named}) == len(taken) + len(named), "a line counts twice"
    if has_header:
        filled = {number for number, line in enumerate(lines, start=1) if line.strip() and number > 1}
        blank = {number for number in taken if number not in filled}
        assert {*taken, *named} - blank == filled, "a line is lost"
    for fault in file.unreadable:
        assert fault.text.encode() == lines[fault.line - 1].encode("utf-8", errors="replace")
    again = read(raw)
    assert (file.cells, file.raw, file.unreadable) == (again.cells, again.raw, again.unreadable)
    assert (file.file.problem, file.file.note) == (again.file.problem, again.file.note)


def read_bytes(content: bytes, *, is_quick: bool, block_bytes: int, delimiter: str = ",") -> tuple[object, ...]:
    """All that the reader says of UTF-8 text, with the quick way or without it."""
    told, wanted = Told(), Wanted("leads", ("id", "note"), ("age",), {})
    chunks = (content[at : at + block_bytes] for at in range(0, len(content), block_bytes))
    source = Source(delimiter=delimiter)
    blocks = list(csv_blocks(chunks, wanted, source, told, block_bytes, is_quick=is_quick))
    rows = [row for block in blocks for row in block.rows.to_pylist()]
    raw = [block.raw(line) for block in blocks for line in block.rows[LINE].to_pylist()]
    return rows, raw, [fault for block in blocks for fault in block.unreadable], told


plain_pieces = st.sampled_from(
    ["a", "é", ",", ",", ";", '"', '""', '","', ' "', "\n", "\n", "\r\n", "\r", "1,2,3\n", '"1","2","3"\n', '"",,""\n', " ",
     "\t", "\ufeff", "\u2028", "\0", '1,"a, ""b""",3\r\n', '1,"two\nlines",3\n', "\udcff"]
)  # fmt: skip


@settings(max_examples=500, deadline=None)
@given(st.lists(plain_pieces, max_size=30).map("".join), st.integers(1, 200), st.sampled_from(",;\t"))
@example("1,2,3\r\r\n\n4,5,6\r", 1000, ",")
@example("1,2,3\n\n \n4,5,6\n", 1000, ",")
@example("\ufeff1,2,3\n", 1000, ",")
@example('""""\n"a""",b,"c"\n', 1000, ",")
@example("\t\t\n1\t2\t3\n", 1000, "\t")
def test_the_quick_way_reads_what_the_careful_one_reads(body: str, block_bytes: int, delimiter: str) -> None:
    header = delimiter.join(["id", "age", "note"]) + "\n"
    content = (header + body).encode("utf-8", errors="surrogateescape")
    quick = read_bytes(content, is_quick=True, block_bytes=block_bytes, delimiter=delimiter)
    assert quick == read_bytes(content, is_quick=False, block_bytes=10_000, delimiter=delimiter)


def test_the_quick_way_is_taken_where_it_can_be(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the comparison above would compare the careful way with itself."""
    monkeypatch.setattr("lead_scoring_assets.leads.csv_rows._Reader._careful", None)
    for body in ("1,2,3\n" * 50, '"1","a, b","say ""no"""\r\n' * 50, "é,,\n\n1,2,3\n"):
        rows, *_ = read_bytes(("id,age,note\n" + body).encode(), is_quick=True, block_bytes=100)
        assert len(rows) == body.count("\n") - body.count("\n\n")


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8), min_size=3, max_size=3)
    ),
    st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.integers(1, 400),
)
def test_what_is_written_as_csv_is_read_back(
    read: Read, table: list[list[str]], quoting: int, ends: str, block_bytes: int
) -> None:
    rows = [row for row in table if any(cell.strip() for cell in row)]
    # Three cells with commas in the lines of one cell look like a row inside a row; that is refused on purpose.
    rows = [[cell.replace(",", ".") for cell in row] for row in rows]
    if quoting == csv.QUOTE_MINIMAL:  # Python's writer puts quotes around its own line end only
        rows = [[cell.replace("\r", " ").replace("\n", " ") for cell in row] for row in rows]
        rows = [row for row in rows if any(cell.strip() for cell in row)]
    text = io.StringIO(newline="")
    writer = csv.writer(text, quoting=quoting, lineterminator=ends)
    writer.writerows([REQUIRED, *rows])
    file = read(text.getvalue(), block_bytes=block_bytes)
    assert (file.rows, file.unreadable, file.file.problem) == (rows, [], None)


# --- Sources that write otherwise


def test_columns_are_renamed_before_anything_else(read: Read) -> None:
    source = Source(rename={"Lead ID": "id", "Age": "age"})
    file = read('"Lead ID", Age ,note,Extra\n1,42,x,?\n', source=source)
    assert file.cells == {2: ["1", "42", "x"]}
    assert file.file.note == "leads/2008-05/a.csv: columns ['Extra'] are not in the contract and were not read"
    assert read("id,Age,note\n1,42,x\n", source=source).cells == {2: ["1", "42", "x"]}, "our own names do as well"
    assert read("note,age,id\n1,42,x\n", source=Source(rename={"note": "id", "id": "note"})).cells[2] == [
        "1",
        "42",
        "x",
    ]


def test_both_names_of_a_column_are_a_problem(read: Read) -> None:
    file = read("Lead ID,id,age,note\n1,2,42,x\n", source=Source(rename={"Lead ID": "id"}))
    assert "columns ['Lead ID', 'id'] are both id, because `rename` of leads says so" in str(file.file.problem)
    assert file.rows_in == 1


def test_a_missing_column_is_told_with_the_name_that_was_expected(read: Read) -> None:
    file = read("age,note\n1,2\n", source=Source(rename={"Lead ID": "id"}))
    assert "columns ['id'] are missing" in str(file.file.problem)
    assert "by `rename` id is expected as 'Lead ID'" in str(file.file.problem)


def test_values_are_translated_whatever_blanks_surround_them(read: Read) -> None:
    source = Source(values={"note": {"Won ": "converted", "": "open"}, "known_at": {"x": "y"}})
    file = read("id,age,note\n1,Won, Won\n2,1,\n3,1,won\n", source=source)
    assert file.rows == [["1", "Won", "converted"], ["2", "1", "open"], ["3", "1", "won"]]


@pytest.mark.parametrize(("delimiter", "name"), [(";", "semicolon"), ("\t", "tab"), ("|", "bar"), ("¦", "'¦'")])
def test_the_delimiter_is_what_the_source_says(read: Read, delimiter: str, name: str) -> None:
    text = 'id,age,note\n1,42,"a#b"\n2,"4""3",y\n'.replace(",", delimiter).replace("#", delimiter)
    file = read(text, source=Source(delimiter=delimiter))
    assert file.rows == [["1", "42", f"a{delimiter}b"], ["2", '4"3', "y"]]
    wrong = read(GOOD, source=Source(delimiter=delimiter))
    assert f"expected {name}s between the columns, found a comma; export with {name}s" in str(wrong.file.problem)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "cp1252", "cp1256"])
def test_text_is_read_in_the_encoding_of_the_source(read: Read, encoding: str) -> None:
    word = {"cp1252": "Müller–€", "cp1256": "دبي"}.get(encoding, "Müller دبي 😀")
    content = f'id,age,note\r\n1,42,{word}\r\n2,43,"{word}\n{word}"\r\n'.encode(encoding)
    for block_bytes in (1, 3, 50, 1000):
        file = read(content, source=Source(encoding=encoding), block_bytes=block_bytes)  # type: ignore[arg-type]
        assert file.cells == {2: ["1", "42", word], 3: ["2", "43", f"{word}\n{word}"]}


def test_bytes_that_the_encoding_does_not_know_cost_their_row_only(read: Read) -> None:
    file = read(b"id,age,note\n1,42,M\xfcller\n2,43,\x81\n3,44,z\n", source=Source(encoding="cp1252"))
    assert file.cells == {2: ["1", "42", "Müller"], 4: ["3", "44", "z"]}
    assert file.faults == {3: "not CP1252 text; export the file as CP1252"}
    half = "id,age,note\n1,42,x\n".encode("utf-16") + b"2\0,\0,\0\x00\xd8\n\0" + "3,44,z\n".encode("utf-16-le")
    file = read(half, source=Source(encoding="utf-16"))
    assert (list(file.cells), file.faults) == ([2, 4], {3: "not UTF-16 text; export the file as UTF-16"})
    file = read(GOOD.encode("utf-16")[:-1], source=Source(encoding="utf-16"))
    assert (list(file.cells), file.faults) == ([2], {3: "not UTF-16 text; export the file as UTF-16"})


def test_utf8_where_something_else_is_expected_is_named(read: Read) -> None:
    file = read("\ufeff" + GOOD, source=Source(encoding="cp1252"))
    assert "expected CP1252 text, found UTF-8" in str(file.file.problem)


# --- Large things


def test_a_huge_cell_is_named_and_its_neighbours_stay(read: Read) -> None:
    content = "id,age,note\n1,42,x\n2,43," + "y" * 5_000_000 + "\n3,44,z\n"
    for block_bytes in (10_000, 16_000_000):
        file = read(content, block_bytes=block_bytes)
        assert list(file.cells) == [2, 4]
        assert file.faults == {
            3: "not readable as CSV (field larger than field limit (131072)); is a quote missing, or the file cut off?"
        }
        assert len(file.unreadable[0].text) == 2_000


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_a_line_above_the_limit_is_not_kept_whole(read: Read, monkeypatch: pytest.MonkeyPatch, line_end: str) -> None:
    for module in (byte_streams, lines):
        monkeypatch.setattr(module, "MAXIMUM_LINE_BYTES", 30)
    monkeypatch.setattr("lead_scoring_assets.leads.csv_rows.MAXIMUM_LINE_BYTES", 30)
    monkeypatch.setattr("lead_scoring_assets.leads.csv_plain.MAXIMUM_CELL_CHARACTERS", 30)  # it is below, in truth
    within, above = "2,43," + "y" * 25, "3,44," + "y" * 1000
    content = line_end.join(["id,age,note", "1,42,x", within, above, "4,45,w", ""])
    for block_bytes in (1, 10, 1000):
        file = read(content, block_bytes=block_bytes)
        assert list(file.cells) == [2, 3, 5]
        assert file.faults == {4: "has more than 30 bytes in one line"}
    kept = b"".join(byte_streams.bounded_lines(bytes([byte]) for byte in content.encode()))
    assert len(kept) == len(content) - len(above) + 33


def test_a_header_of_very_many_columns_costs_time_only_in_proportion(read: Read) -> None:
    """A damaged file may begin with a line of nothing but commas."""
    assert "columns [''] occur more than once" in str(read("," * 300_000 + "\n1,2\n").file.problem)


def test_a_row_may_span_a_thousand_lines_whatever_the_blocks(read: Read) -> None:
    for count, is_read in ((999, True), (1000, False)):
        content = "id,age,note\n" + '1,42,"' + "a\n" * count + '"\n2,43,y\n'
        for block_bytes in (50, 1500, 100_000):
            file = read(content, block_bytes=block_bytes)
            assert (2 in file.cells) is is_read
            assert file.cells[count + 3] == ["2", "43", "y"]


def test_blocks_are_of_the_size_that_is_asked_for(read: Read) -> None:
    file = read("id,age,note\n" + "1,42,x\n" * 1000, block_bytes=700)
    assert file.blocks > 8
    assert len(file.cells) == 1000


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_named(read: Read, content: bytes) -> None:
    for head in (b"", b"id,age,note\n"):
        file = read(head + content)
        assert file.file.problem or not file.cells or file.columns[: len(REQUIRED)] == REQUIRED
        for text in [
            *file.raw.values(),
            *(fault.text for fault in file.unreadable),
            file.file.problem or "",
            file.file.note or "",
        ]:
            text.encode("utf-8")
