"""The files of one version of a Delta table as an Arrow dataset, without what delta-rs would tell Arrow of each of them."""

import functools
import operator
from collections.abc import Collection
from typing import TYPE_CHECKING

import deltalake
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.fs as pafs

from lead_scoring_assets.lakehouse.passage import PERIOD

if TYPE_CHECKING:
    import pyarrow.dataset as pads

# Up to here the files are the whole content; later versions may take rows out of them, or name columns otherwise.
_PLAIN_READER_VERSION = 1


def dataset_of(
    opened: deltalake.DeltaTable, folder: pafs.FileSystem, schema: pa.Schema, periods: Collection[str] | None
) -> "pads.FileSystemDataset":
    """The files that hold `periods` (None: all), in order of their paths below `folder`, each with what its folder tells.

    In that order because Delta lists the newest file first: the history of writes is not content. And only what the folder
    tells, because delta-rs adds the least and greatest value of each column: to build that costs a millisecond a file,
    more than a small question does, and for a column that is younger than the file it is so wrong that Arrow leaves its
    rows out of `… IS NULL`.

    Raises:
        DeltaProtocolError: the table needs more of its readers than deltalake offers.
    """
    import pyarrow.dataset as pads  # brings pandas with it; who only opens the house does not pay for that

    if opened.protocol().min_reader_version > _PLAIN_READER_VERSION:
        opened.to_pyarrow_dataset(filesystem=folder)  # refuses what it cannot read
    form = pads.ParquetFileFormat(default_fragment_scan_options=pads.ParquetFragmentScanOptions(pre_buffer=True))
    keys = opened.metadata().partition_columns
    actions = pa.table(opened.get_add_actions(flatten=True)).select(["path", *(f"partition.{key}" for key in keys)])
    files = []
    for path, *told in sorted(zip(*(column.to_pylist() for column in actions.columns), strict=True)):
        of = dict(zip(keys, told, strict=True))
        if periods is None or of[PERIOD] in periods:
            known = [pc.field(key) == pa.scalar(value, schema.field(key).type) for key, value in of.items()]
            expression = functools.reduce(operator.and_, known) if known else None
            files.append(form.make_fragment(path, folder, expression))
    return pads.FileSystemDataset(files, schema, form, folder)
