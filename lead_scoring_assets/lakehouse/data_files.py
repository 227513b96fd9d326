"""The files of one version of a Delta table as an Arrow dataset, without what delta-rs would tell Arrow of each of them."""

import functools
import operator
from collections.abc import Collection
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.fs as pafs

from lead_scoring_assets.lakehouse.opened import OpenedTable
from lead_scoring_assets.lakehouse.passage import PERIOD

if TYPE_CHECKING:
    import pyarrow.dataset as pads


def dataset_of(
    opened: OpenedTable, folder: pafs.FileSystem, periods: Collection[str] | None
) -> "pads.FileSystemDataset":
    """The files that hold `periods` (None: all), in order of their paths below `folder`, each with what its folder tells.

    Only that, because delta-rs adds the least and greatest value of each column: to build that costs a millisecond a file,
    more than a small question does, and for a column that is younger than the file it is so wrong that Arrow leaves its
    rows out of `… IS NULL`.

    Raises:
        DeltaProtocolError: the table needs more of its readers than deltalake offers.
    """
    import pyarrow.dataset as pads  # brings pandas with it; who only opens the house does not pay for that

    form = pads.ParquetFileFormat(default_fragment_scan_options=pads.ParquetFragmentScanOptions(pre_buffer=True))
    files = []
    for path, of in opened.files:
        if periods is None or of[PERIOD] in periods:
            known = [pc.field(key) == pa.scalar(value, opened.schema.field(key).type) for key, value in of.items()]
            expression = functools.reduce(operator.and_, known) if known else None
            files.append(form.make_fragment(path, folder, expression))
    return pads.FileSystemDataset(files, opened.schema, form, folder)
