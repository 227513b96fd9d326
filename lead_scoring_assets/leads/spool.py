"""Rows that wait on disk: appended batch by batch, read back as one Arrow table that memory holds only where it is used."""

from pathlib import Path

import pyarrow as pa


class Spool:
    """One Arrow file that grows, and that nobody can find any more once it is finished."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.schema = schema
        self.rows = 0
        self._path = path
        self._writer = pa.ipc.new_file(str(path), schema)

    def add(self, rows: pa.Table) -> None:
        """Append `rows`, which must have the spool's columns, as one batch."""
        for batch in rows.select(self.schema.names).cast(self.schema).combine_chunks().to_batches():
            self._writer.write_batch(batch)
        self.rows += rows.num_rows

    def finish(self) -> pa.Table:
        """Every row in the order in which it was added. The table keeps its file, which goes when the table goes."""
        self._writer.close()
        rows = pa.ipc.open_file(pa.memory_map(str(self._path))).read_all()
        self._path.unlink()
        return rows
