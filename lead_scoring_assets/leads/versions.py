"""Reading raw tables as they were known at a moment: of each lead, activity or outcome the newest version by then.

Raw tables hold statements: a correction is a row more, with the next `version` and the time at which it was known.
"""

from datetime import datetime

import pyarrow as pa

from lead_scoring_assets.contracts.columns import IDENTIFIERS, RAW_TABLES, Entity
from lead_scoring_assets.lakehouse.query import query
from lead_scoring_assets.lakehouse.tables import Lakehouse


def latest_known(entity: Entity, rows: str, moment: str) -> str:
    """SQL: of each id in the table `rows`, the newest version that was known at `moment` (an expression such as $1)."""
    return (
        f"(SELECT * FROM {rows} WHERE known_at <= {moment} "  # noqa: S608  # our own names
        f"QUALIFY row_number() OVER (PARTITION BY {IDENTIFIERS[entity]} ORDER BY version DESC) = 1)"
    )


def read_as_known(lakehouse: Lakehouse, entity: Entity, moment: datetime) -> pa.Table:
    """Every lead, activity or outcome as it was known at `moment`, one row each, in order of id.

    Raises:
        LakehouseError: the table does not exist.
    """
    sql = f"SELECT * FROM {latest_known(entity, 'found', '$1')} ORDER BY {IDENTIFIERS[entity]}"  # noqa: S608
    return query(sql, {"found": lakehouse.scan(RAW_TABLES[entity])}, [moment])
