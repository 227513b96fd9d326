"""A scan has the files and rows of a version, and refuses a table whose files do not tell everything."""

import json
from pathlib import Path

import deltalake
import pyarrow as pa
import pyarrow.dataset as pads
import pytest
from deltalake.exceptions import DeltaProtocolError

from lead_scoring_assets.lakehouse.content_hash import content_hash
from lead_scoring_assets.lakehouse.tables import Lakehouse

MAY, JUNE, JULY = "2008-05", "2008-06", "2008-07"


@pytest.fixture
def lakehouse(tmp_path: Path) -> Lakehouse:
    return Lakehouse(tmp_path / "lake house")


def rows(period: str, *values: int) -> pa.Table:
    return pa.table({"period": pa.array([period] * len(values), pa.string()), "v": pa.array(values, pa.int64())})


def test_files_that_are_not_the_whole_content_are_refused(lakehouse: Lakehouse) -> None:
    """Another writer may say in the log that rows of a file do not count any more: files alone would show them."""
    lakehouse.replace_periods("t", [MAY], rows(MAY, 1, 2))
    needs = {"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": ["deletionVectors"]}
    told = {"protocol": {**needs, "writerFeatures": ["deletionVectors"]}}
    version = lakehouse.version("t") + 1
    (lakehouse.path("t") / "_delta_log" / f"{version:020}.json").write_text(json.dumps(told))
    with pytest.raises(DeltaProtocolError, match="deletionVectors"):
        lakehouse.scan("t")


def test_a_scan_has_the_files_and_rows_that_delta_rs_gives(lakehouse: Lakehouse) -> None:
    for period in (JUNE, MAY, JULY):
        lakehouse.replace_periods("t", [period], rows(period, 1, 2))
    lakehouse.replace_periods("t", [MAY], rows(MAY, 3).append_column("new", [["x"]]))
    for number in range(3):
        lakehouse.append("log", pa.table({"n": [number]}))
    for table in ("t", "log"):
        found, theirs = lakehouse.scan(table), deltalake.DeltaTable(lakehouse.path(table)).to_pyarrow_dataset()
        assert found.files == sorted(theirs.files)
        assert content_hash(found.to_table()) == content_hash(theirs.to_table())
        assert [pads.get_partition_keys(file.partition_expression).keys() for file in found.get_fragments()] == [
            ({"period"} if table == "t" else set()) for _ in found.files
        ]
