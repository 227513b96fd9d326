"""Rows on their way into a table: made to fit it batch by batch, strangers refused, counted. Holds one batch at a time."""

from collections.abc import Iterator, Sequence

import pyarrow as pa

from lead_scoring_assets.errors import LakehouseError
from lead_scoring_assets.lakehouse.columns_that_fit import conformed

PERIOD = "period"


class Passage:
    """What passed in the newest attempt of one write: how many `rows`, and the `problem` that stopped it, if one did."""

    def __init__(self, table: str, periods: Sequence[str] | None) -> None:
        self.rows = 0
        self.problem: Exception | None = None
        self._table = table
        self._periods = periods

    def let_through(self, source: pa.RecordBatchReader, schema: pa.Schema) -> pa.RecordBatchReader:
        """The rows of `source` in `schema`."""
        self.rows, self.problem = 0, None
        return pa.RecordBatchReader.from_batches(schema, self._batches(source, schema))

    def refuse_strangers(self, rows: pa.Table | pa.RecordBatch) -> None:
        """Rows of a period that is not being written.

        Raises:
            LakehouseError: there are some.
        """
        if self._periods is None:
            return
        if strangers := set(rows[PERIOD].unique().to_pylist()) - set(self._periods):
            raise LakehouseError(
                f"{self._table}: rows of {sorted(map(str, strangers))} may not be written as {sorted(self._periods)}"
            )

    def _batches(self, source: pa.RecordBatchReader, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        try:
            for batch in source:
                fits = conformed(batch, schema)
                self.refuse_strangers(fits)
                self.rows += fits.num_rows
                yield fits
        except Exception as problem:
            # Kept, because delta-rs tells it as a text of its own.
            self.problem = problem
            raise
