"""When a landed row was known, and whether it fits into the period it landed in. Pure."""

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from lead_scoring_assets.contracts.validation import LINE
from lead_scoring_assets.periods import Period


@dataclass(frozen=True)
class Placed:
    """`rows`: those that fit, with a `known_at`; `is_stated`: for each, whether the file stated it. `reasons`: by line, why
    the others do not fit."""

    rows: pa.Table
    is_stated: pa.ChunkedArray
    reasons: dict[int, str]


def place_in_time(rows: pa.Table, event: str, period: Period) -> Placed:
    """Give every row its `known_at`, in (period.start, period.end].

    A row without one was known, at the latest, when its period's export was complete. So was a row that claims to have
    been known before this period began: it did not reach us then. What the row says of later times cannot be true.
    `event`: the column of the event time.
    """
    start, end = pa.scalar(period.start, rows["known_at"].type), pa.scalar(period.end, rows["known_at"].type)
    stated, happened = rows["known_at"], rows[event]
    is_stated = pc.fill_null(pc.greater(stated, start), False)
    known = pc.if_else(is_stated, stated, end)
    is_future = pc.or_(pc.greater(known, end), pc.greater(happened, end))
    # As it was stated, so that a row that is refused in its own period is not taken when it lands again in a later one.
    is_too_early = pc.fill_null(pc.less(stated, happened), False)
    placed = rows.set_column(rows.column_names.index("known_at"), "known_at", known)
    is_bad = pc.or_(is_future, is_too_early)
    if not pc.any(is_bad).as_py():
        return Placed(placed, is_stated, {})
    reasons = {}
    bad = pa.table(
        [rows[LINE], stated, happened, is_future, is_too_early], ["line", "stated", "happened", "future", "early"]
    ).filter(is_bad)
    for row in bad.to_pylist():
        told = []
        if row["future"]:
            told.append(
                f"lies in the future of period {period.key}: {event} {row['happened']}, known_at {row['stated']}; is a "
                "clock fast, or the file in the wrong folder?"
            )
        if row["early"]:
            told.append(f"known_at {row['stated']} is before {event} {row['happened']}")
        reasons[row["line"]] = "; ".join(told)
    is_good = pc.invert(is_bad)
    return Placed(placed.filter(is_good), is_stated.filter(is_good), reasons)
