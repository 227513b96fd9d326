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

BATCH_ROWS = 65_536
PROBABILITY = "probability"


def score_batches(
    rows: "pads.Dataset", scorer: Scorer, keys: Sequence[str], batch_rows: int = BATCH_ROWS
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
    wanted = list(dict.fromkeys([*keys, *scorer.columns]))
    # Little is read ahead: the model is slower than the disk, and each batch that waits is held in memory.
    for batch in rows.to_batches(columns=wanted, batch_size=batch_rows, batch_readahead=1, fragment_readahead=1):
        if batch.num_rows:
            scores = scorer.probabilities(features_frame(batch, scorer))
            found = [batch[key] for key in keys]
            yield pa.RecordBatch.from_arrays([*found, pa.array(scores, pa.float64())], names=[*keys, PROBABILITY])


def features_frame(rows: pa.RecordBatch | pa.Table, scorer: Scorer) -> pd.DataFrame:
    """The model's columns as pandas holds them; texts stay coded, because a Python object for each costs most of the time."""
    columns = {}
    for name in scorer.columns:
        column = rows[name]
        columns[name] = pc.dictionary_encode(column) if pa.types.is_string(column.type) else column
    frame: pd.DataFrame = pa.table(columns).to_pandas()
    return frame
