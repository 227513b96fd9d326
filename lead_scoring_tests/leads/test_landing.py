"""Landed files as rows of text with their position: whatever is in the file, each line is a row or named as none."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lead_scoring_assets.leads import landing
from lead_scoring_assets.leads.landing import (
    LandedFile,
    landed_files,
    landed_periods,
    read_landed_file,
    stray_files,
)

REQUIRED = ["id", "age", "note"]
OPTIONAL = ["known_at"]

Read = Callable[..., LandedFile]


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> Read:
    folder = tmp_path_factory.mktemp("landing") / "leads" / "2008-05"
    folder.mkdir(parents=True)

    def read_content(content: str | bytes, name: str = "a.csv") -> LandedFile:
        path = folder / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return read_landed_file(path, REQUIRED, OPTIONAL)

    return read_content


def cells(file: LandedFile) -> dict[int, list[str]]:
    return {int(line): list(row) for line, row in zip(file.rows.index, file.rows.to_numpy(), strict=True)}


def faults(file: LandedFile) -> dict[int, str]:
    return {fault.line: fault.reason for fault in file.unreadable}


GOOD = "id,age,note\n1,42,x\n2,43,y\n"


def test_rows_are_texts_by_the_line_on_which_they_stand(read: Read) -> None:
    file = read(GOOD)
    assert cells(file) == {2: ["1", "42", "x"], 3: ["2", "43", "y"]}
    assert file.raw == {2: "1,42,x", 3: "2,43,y"}
    assert (file.name, file.rows_in, file.unreadable) == ("leads/2008-05/a.csv", 2, [])
    assert (file.problem, file.note) == (None, None)
    assert (file.size_bytes, file.sha256) == (len(GOOD), hashlib.sha256(GOOD.encode()).hexdigest())


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
    assert cells(file) == {2: ["1", "42", "x"], 3: ["2", "43", "y"]}
    assert (file.problem, file.note) == (None, None)


def test_columns_are_found_by_name_in_any_order(read: Read) -> None:
    file = read("known_at,note,id,age\n2008-05-02,x,1,42\n")
    assert list(file.rows.columns) == ["id", "age", "note", "known_at"]
    assert cells(file) == {2: ["1", "42", "x", "2008-05-02"]}


def test_extra_columns_are_named_and_not_read(read: Read) -> None:
    file = read("id,age,note,knwon_at,é\n1,42,x,?,?\n")
    assert cells(file) == {2: ["1", "42", "x"]}
    assert file.note == "leads/2008-05/a.csv: columns ['knwon_at', 'é'] are not in the contract and were not read"
    assert file.raw == {2: "1,42,x,?,?"}


def test_blank_lines_are_no_rows_but_count_as_lines(read: Read) -> None:
    file = read("\n\nid,age,note\n\n1,42,x\n  \n\n2,43\n")
    assert cells(file) == {5: ["1", "42", "x"]}
    assert list(faults(file)) == [8]


def test_a_header_alone_is_a_file_without_rows(read: Read) -> None:
    file = read("id,age,note\n")
    assert (file.rows_in, file.problem, file.note) == (0, None, None)
    assert list(file.rows.columns) == [*REQUIRED, *OPTIONAL]


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
    assert file.problem is not None
    assert file.problem.startswith("leads/2008-05/a.csv: ")
    assert told in file.problem
    assert len(file.rows) == 0
    assert file.rows_in == rows_in == len(file.unreadable)
    assert all(told in reason for reason in faults(file).values())


def test_utf16_is_named(read: Read) -> None:
    file = read(GOOD.encode("utf-16"))
    assert file.problem is not None
    assert "holds a NUL byte; the file is damaged, or not UTF-8 text" in file.problem


@pytest.mark.parametrize(
    ("name", "found"), [("a.xlsx", ".xlsx"), ("a.csv.gz", ".gz"), ("leads", "no ending"), ("a.csv~", ".csv~")]
)
def test_a_wrong_ending_is_named(name: str, found: str, read: Read) -> None:
    file = read(GOOD, name)
    assert (
        file.problem == f"leads/2008-05/{name}: expected a .csv file, found {found}; export as CSV, or remove the file"
    )
    assert file.sha256 == hashlib.sha256(GOOD.encode()).hexdigest()
    assert read(GOOD, "A.CSV").problem is None


def test_a_file_that_is_too_large_is_named_with_its_checksum(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landing, "MAXIMUM_FILE_BYTES", 10)
    file = read(GOOD)
    assert file.problem == f"leads/2008-05/a.csv: has {len(GOOD)} bytes, more than the limit of 10; split it"
    assert file.sha256 == hashlib.sha256(GOOD.encode()).hexdigest()


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
    assert cells(file) == {2: ["1", "42", "x"], 4: ["3", "44", "a, b"], 5: ["4", "45", "w"]}
    (fault,) = file.unreadable
    assert fault.line == 3
    assert told in fault.reason
    assert (
        fault.text == line.decode("utf-8", errors="surrogateescape").encode("utf-8", errors="replace").decode()[:2000]
    )


def test_a_quote_that_is_open_at_the_end_costs_its_line_only(read: Read) -> None:
    file = read('id,age,note\n1,42,x\n2,43,"y\n3,44,z\n4,45,w\n')
    assert list(cells(file)) == [2, 4, 5]
    assert faults(file) == {3: "not readable as CSV (unexpected end of data); is a quote missing, or the file cut off?"}


def test_cells_may_hold_commas_quotes_and_line_breaks(read: Read) -> None:
    file = read('id,age,note\n1,42,"says ""no"", then\nyes,\n\n maybe"\n2,43,"\n"\n3,44,z\n')
    assert cells(file) == {2: ["1", "42", 'says "no", then\nyes,\n\n maybe'], 6: ["2", "43", "\n"], 8: ["3", "44", "z"]}
    assert file.raw[2] == '1,42,"says ""no"", then\nyes,\n\n maybe"'
    assert file.unreadable == []


@pytest.mark.parametrize("mark", ["\u2028", "\x0b", "\x0c", "\x1c", "\x85", "\u2029"])
def test_only_line_breaks_break_lines(mark: str, read: Read) -> None:
    file = read(f"id,age,note\n1,42,a{mark}b\n2,43,y\n")
    assert cells(file) == {2: ["1", "42", f"a{mark}b"], 3: ["2", "43", "y"]}


def test_a_row_that_swallowed_others_gives_them_back(read: Read) -> None:
    """Stray quotes in lines 3 and 6 frame the rows between them as one cell: the row would even have three cells."""
    file = read('id,age,note\n1,42,a\n2,"43,b\n3,44,c\n4,45,d\n5,46",e\n6,47,f\n')
    assert sorted(cells(file)) == [2, 4, 5, 6, 7]
    assert faults(file) == {3: "holds further rows inside quotes; is a quote missing?"}


def test_a_forgotten_quote_costs_time_only_in_proportion(read: Read) -> None:
    """Every line opens a quote that none closes: looking for its end must not read the file once a line."""
    file = read("id,age,note\n" + 'a","b,c\n' * 20_000)
    assert len(file.unreadable) + len(file.rows) == 20_000


@pytest.mark.parametrize("cut", range(1, len(GOOD)))
def test_a_file_cut_off_anywhere_says_so(cut: int, read: Read) -> None:
    whole = read(GOOD)
    file = read(GOOD[:cut])
    assert file.problem is not None or file.unreadable or file.note or GOOD[:cut].endswith("\n")
    untouched = GOOD[:cut].count("\n")
    assert all(cells(file)[line] == row for line, row in cells(whole).items() if line <= untouched)


def test_the_last_row_may_lack_its_line_break_but_that_is_noted(read: Read) -> None:
    file = read(GOOD.removesuffix("\n"))
    assert cells(file) == cells(read(GOOD))
    assert file.note == "leads/2008-05/a.csv: ends without a line break; the last row may be cut off"


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
@given(st.lists(pieces | st.text(max_size=4), max_size=25).map("".join), st.booleans())
@example('2,"43,b\n3,44,c\n4,45",d\n', True)
def test_every_line_is_in_one_row_or_named(read: Read, body: str, has_header: bool) -> None:
    content = ("id,age,note\n" if has_header else "") + body
    raw = content.encode("utf-8", errors="surrogatepass")
    file = read(raw)
    lines = raw.decode("utf-8-sig", errors="surrogateescape").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    spans = {line: file.raw[line].replace("\r\n", "\n").replace("\r", "\n").count("\n") + 1 for line in file.raw}
    taken = [number for line, span in spans.items() for number in range(line, line + span)]
    named = [fault.line for fault in file.unreadable]
    assert list(file.rows.index) == list(file.raw)
    assert len({*taken, *named}) == len(taken) + len(named), "a line counts twice"
    assert file.rows_in == len(file.rows) + len(file.unreadable)
    if has_header:
        filled = {number for number, line in enumerate(lines, start=1) if line.strip() and number > 1}
        blank = {number for number in taken if number not in filled}
        assert {*taken, *named} - blank == filled, "a line is lost"
    for fault in file.unreadable:
        assert fault.text.encode() == lines[fault.line - 1].encode("utf-8", errors="replace")


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_named(read: Read, content: bytes) -> None:
    for head in (b"", b"id,age,note\n"):
        file = read(head + content)
        assert file.problem or list(file.rows.columns)[: len(REQUIRED)] == REQUIRED
        for text in [
            *file.raw.values(),
            *(fault.text for fault in file.unreadable),
            file.problem or "",
            file.note or "",
        ]:
            text.encode("utf-8")


# --- The folder


def test_files_of_a_period_come_in_order_without_those_being_written(tmp_path: Path) -> None:
    folder = tmp_path / "leads" / "2008-05"
    (folder / "sub").mkdir(parents=True)
    for name in ("b.csv", "a.csv", ".c.csv", "z.txt"):
        (folder / name).touch()
    assert [path.name for path in landed_files(tmp_path, "leads", "2008-05")] == ["a.csv", "b.csv", "z.txt"]
    assert landed_files(tmp_path, "outcomes", "2008-05") == []


def test_periods_are_those_of_any_entity(tmp_path: Path) -> None:
    assert landed_periods(tmp_path) == []
    for folder in ("outcomes/2008-06", "leads/2008-05", "leads/2008-06", "leads/.draft", "other/2009-01"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "leads" / "file.csv").touch()
    assert landed_periods(tmp_path) == ["2008-05", "2008-06"]


def test_stray_files_are_all_that_nothing_reads(tmp_path: Path) -> None:
    assert stray_files(tmp_path / "nowhere") == []
    strays = ["leads/late.csv", "leads/2008-05/sub/deep.csv", "lead/2008-05/a.csv", "top.csv"]
    for name in [*strays, "leads/2008-05/a.csv", "outcomes/2008-05/a.csv", "leads/.hidden.csv", "leads/.draft/a.csv"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert stray_files(tmp_path) == sorted(strays)
