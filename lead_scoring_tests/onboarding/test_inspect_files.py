"""What init sees in files: encoding, delimiter, kinds and formats."""

import gzip
import json
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lead_scoring_assets.errors import SourceError
from lead_scoring_assets.onboarding.inspect_files import ColumnLook, Export, looking_at
from lead_scoring_assets.onboarding.times import FORMATS


def look(path: Path) -> Export:
    with looking_at([path]) as (_, exports):
        (export,) = exports
    return export


def look_at_column(folder: Path, values: list[str], name: str = "thing") -> ColumnLook:
    path = folder / "one.csv"
    path.write_text(f'"{name}","other"\n' + "".join(f'"{value}","x"\n' for value in values), encoding="utf-8")
    return look(path).columns[name]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found_even_where_cells_hold_others(tmp_path: Path, delimiter: str) -> None:
    path = tmp_path / "x.csv"
    path.write_text(f'id{delimiter}note\n1{delimiter}"a, b; c | d"\n2{delimiter}"e, f"\n')
    assert list(look(path).columns) == ["id", "note"]


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("name", ["Deal\nvalue", "Deal\r\nvalue", "\nDeal"])
def test_a_line_break_in_a_column_name_is_no_line_end(tmp_path: Path, name: str, ending: str) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(f'id,"{name}"{ending}1,a{ending}2,"b\nc"{ending}'.encode())
    export = look(path)
    assert (list(export.columns), export.rows) == (["id", name], 2)
    assert export.columns[name].distinct == 2


def test_a_column_may_have_any_name_that_is_one_of_ours(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("id,V,n,x\n1,a,5,2024-01-02\n2,b,6,2024-01-03\n3,a,N/A,2024-01-04\n")
    columns = look(path).columns
    assert columns["V"].values == {"a": 2, "b": 1}
    assert (columns["n"].kind, columns["n"].missing_words, columns["x"].kind) == ("integer", ["N/A"], "time")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252", "cp1256"])
def test_texts_are_read_in_the_encoding_in_which_they_were_written(tmp_path: Path, encoding: str) -> None:
    word = "عميل جديد من دبي" if encoding == "cp1256" else "Café “Zoë” 5 €" if encoding == "cp1252" else "دبي Café"
    path = tmp_path / "x.csv"
    path.write_bytes(f"id,name\n1,{word}\n2,{word}\n3,{word}\n".encode(encoding))
    export = look(path)
    assert list(export.columns["name"].values) == [word]
    # What DuckDB cannot read by itself is read from a copy, and that is said.
    needs_copy = encoding in ("utf-16", "cp1252", "cp1256")
    assert bool(export.copies) == needs_copy
    assert any("not UTF-8" in remark for remark in export.remarks) == needs_copy


def test_accents_alone_need_no_copy(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes("id,name\n1,Müller\n2,Café\n".encode("cp1252"))
    export = look(path)
    assert set(export.columns["name"].values) == {"Müller", "Café"}
    assert not export.copies
    assert "cp1252" in export.remarks[0]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["1", "-2", "+3"], "integer"),
        (["1.5", "2", ".5", "1e3"], "number"),
        (["1,200", "12", "1,200,000"], "integer"),
        (["AED 1,200.50", "AED 7"], "number"),
        (["1,5", "2,25"], "number"),
        (["0501234567", "0507654321"], "text"),
        (["+971501234567", "+971507654321"], "text"),
        (["yes", "no", "yes"], "category"),
        (["2024-01-05", "2024-02-05"], "time"),
        (["20240105", "20240206"], "time"),
        (["", ""], "empty"),
        ([f"free text number {n}" for n in range(60)], "text"),
    ],
)
def test_the_kind_of_a_column_is_told_by_all_its_values(tmp_path: Path, values: list[str], kind: str) -> None:
    found = look_at_column(tmp_path, values).kind
    assert found == kind or (values[0].startswith("1,2") and found == "number")


def test_words_for_missing_do_not_make_a_column_of_numbers_a_text(tmp_path: Path) -> None:
    column = look_at_column(tmp_path, ["1", "N/A", "3", "-", ""])
    assert (column.kind, set(column.missing_words), column.filled) == ("integer", {"N/A", "-"}, 4)
    assert (column.low, column.high) == (1, 3)


@pytest.mark.parametrize("form", [None, *FORMATS[::7]])
def test_times_are_recognised_in_every_format(tmp_path: Path, form: str | None) -> None:
    chance = random.Random(5)
    moments = [datetime(2001, 1, 1, tzinfo=UTC) + timedelta(minutes=chance.randrange(14_000_000)) for _ in range(200)]
    texts = [moment.strftime(form) if form else moment.strftime("%Y-%m-%d %H:%M:%S") for moment in moments]
    found = look_at_column(tmp_path, texts)
    assert found.time is not None
    assert found.time.form == form


def test_days_that_could_be_months_are_said_to_be_doubtful(tmp_path: Path) -> None:
    doubtful = look_at_column(tmp_path, ["01/02/2024", "03/04/2024"]).time
    assert doubtful is not None
    assert (doubtful.form, doubtful.other) == ("%d/%m/%Y", "%m/%d/%Y")
    plain = look_at_column(tmp_path, ["01/02/2024", "03/24/2024"]).time
    assert plain is not None
    assert (plain.form, plain.other) == ("%m/%d/%Y", None)


def test_the_same_table_is_seen_in_every_format(tmp_path: Path) -> None:
    rows = [{"id": str(n), "city": "Dubai" if n % 2 else "Abu Dhabi", "n": str(n * 3)} for n in range(40)]
    text = "id,city,n\n" + "".join(f"{r['id']},{r['city']},{r['n']}\n" for r in rows)
    (tmp_path / "a.csv").write_text(text)
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(text.encode()))
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    pq.write_table(
        pa.table({"id": range(40), "city": [r["city"] for r in rows], "n": [r["n"] for r in rows]}),
        tmp_path / "a.parquet",
    )
    seen = [look(tmp_path / name).columns for name in ("a.csv", "a.csv.gz", "a.jsonl", "a.parquet")]
    assert all(columns == seen[0] for columns in seen[1:])
    assert seen[0]["id"].is_unique


def test_files_with_the_same_columns_are_parts_of_one_export(tmp_path: Path) -> None:
    for name, row in (("one [1].csv", "1,a"), ("two.csv", "2,b")):
        (tmp_path / name).write_text(f"id,x\n{row}\n")
    with looking_at([tmp_path / "one [1].csv", tmp_path / "two.csv"]) as (_, exports):
        assert [export.rows for export in exports] == [2]


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("x.xlsx", b"PK", "Save the sheet as CSV UTF-8"),
        ("x.csv", b"", "is empty"),
        ("x.csv", b"id,name\n", "holds no rows"),
        ("x.csv", b"1,2024-01-05\n2,2024-01-06\n", "expected column names in the first line"),
        ("x.csv", b"id,name\n1,a\n2,b,c\n3,d\n", "line 3 has 3 cells, and the header has 2"),
        ("x.jsonl", b'{"a": 1}\n[2]\n', "line 2 is no JSON object"),
        ("x.parquet", b"no parquet", "cannot be read to its end"),
        ("x.csv.gz", b"no gzip", "cannot be read"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_by_name_with_the_remedy(
    tmp_path: Path, name: str, content: bytes, told: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SourceError, match=told) as problem:
        look(tmp_path / name)
    assert name in str(problem.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"nowhere\.csv does not exist"):
        look(tmp_path / "nowhere.csv")
