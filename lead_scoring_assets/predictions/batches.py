"""Scoring rows as they are read: memory holds a batch of features and every lead's probability, never all features."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from lead_scoring_assets.errors import ScoringError
from lead_scoring_assets.models.scorer import Scorer

if TYPE_CHECKING:
    import pyarrow.dataset as pads

BATCH_ROWS = 16_384
PROBABILITY = "probability"


def score_batches(
    rows: "pads.FileSystemDataset", scorer: Scorer, keys: Sequence[str], batch_rows: int = BATCH_ROWS
) -> Iterator[pa.RecordBatch]:
    """`keys` of every row of `rows` and its `probability` (float64), in batches, in the order of the rows.

    Raises:
        ScoringError: `rows` lack a column that the model reads.
    """
    if missing := [name for name in scorer.columns if name not in rows.schema.names]:
        raise ScoringError(
            f"the model reads {', '.join(missing)}, expected in lead_features, found {rows.schema.names}. Materialise "
            "lead_features again, or choose a model that was trained on these columns."
        )
    for batch in _read(rows, list(dict.fromkeys([*keys, *scorer.columns])), keys, batch_rows):
        found = [batch[key] for key in keys]
        scores = pa.array(scorer.batch_probabilities(batch), pa.float64())
        yield pa.RecordBatch.from_arrays([*found, scores], names=[*keys, PROBABILITY])


def _read(
    rows: "pads.FileSystemDataset", columns: Sequence[str], keys: Sequence[str], batch_rows: int
) -> Iterator[pa.RecordBatch]:
    """`columns` of one Parquet file after the other; texts that are no keys stay coded as the file has them.

    Without Arrow's scanner, which reads ahead and takes 60 to 100 MB for it: the model is slower than the disk.
    """
    import pyarrow.dataset as pads
    import pyarrow.parquet as pq

    schema = pa.schema([rows.schema.field(name) for name in columns])
    coded = [field.name for field in schema if field.name not in keys and pa.types.is_string(field.type)]
    for file in rows.get_fragments():
        told = pads.get_partition_keys(file.partition_expression)
        there = [name for name in columns if name in file.physical_schema.names]
        in_file = [name for name in coded if name in there]
        with pq.ParquetFile(file.open(), read_dictionary=in_file, pre_buffer=False) as parquet:
            for batch in parquet.iter_batches(batch_rows, columns=there, use_threads=False):
                if batch.num_rows:
                    yield _conforming(batch, schema, told)


def _conforming(batch: pa.RecordBatch, schema: pa.Schema, told: dict[str, object]) -> pa.RecordBatch:
    """`batch` with all columns of `schema`: what the file lacks its folder tells, or nobody."""
    columns = []
    for field in schema:
        if field.name not in batch.schema.names:
            columns.append(pa.repeat(pa.scalar(told.get(field.name), field.type), batch.num_rows))
        elif pa.types.is_dictionary(batch.schema.field(field.name).type):
            columns.append(batch[field.name])
        else:
            columns.append(batch[field.name].cast(field.type))
    return pa.RecordBatch.from_arrays(columns, names=schema.names)


def features_frame(rows: pa.RecordBatch | pa.Table, scorer: Scorer) -> pd.DataFrame:
    """The model's columns as pandas holds them; texts stay coded, because a Python object for each costs most of the time."""
    columns = {}
    for name in scorer.columns:
        column = rows[name]
        columns[name] = pc.dictionary_encode(column) if pa.types.is_string(column.type) else column
    frame: pd.DataFrame = pa.table(columns).to_pandas()
    return frame
