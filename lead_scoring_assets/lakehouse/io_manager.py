"""The one IO manager: asset → Delta table, partition → overwrite of a period. Metadata tells rows, version and hash."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import dagster as dg
import pyarrow as pa

from lead_scoring_assets.installation import Installation
from lead_scoring_assets.lakehouse.content_hash import content_hashes
from lead_scoring_assets.lakehouse.tables import PERIOD, Commit, Lakehouse


class LakehouseIOManager(dg.ConfigurableIOManager):
    """Writes and reads Arrow tables that have a `period` column. An input's `columns` metadata limits what is read."""

    installation: dg.ResourceDependency[Installation]

    def handle_output(self, context: dg.OutputContext, obj: pa.Table) -> None:
        table = context.asset_key.path[-1]
        keys = sorted(context.asset_partition_keys)
        lakehouse = self.installation.lakehouse
        commit = lakehouse.replace_periods(table, keys, obj)
        for key, metadata in written_metadata(lakehouse, table, keys, commit):
            # Through the step, because metadata on the output context cannot tell one partition from another.
            context.step_context.add_asset_metadata(metadata=metadata, asset_key=context.asset_key, partition_key=key)

    def load_input(self, context: dg.InputContext) -> pa.Table:
        return self.installation.lakehouse.read(
            context.asset_key.path[-1],
            columns=(context.definition_metadata or {}).get("columns"),
            periods=context.asset_partition_keys,
        )


def written_metadata(
    lakehouse: Lakehouse, table: str, keys: Sequence[str], commit: Commit
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """For each period, what every materialisation tells of it: read back from the table as `commit` left it."""
    rows = lakehouse.scan(table, periods=keys, version=commit.version)
    for key, (count, name) in content_hashes(rows, PERIOD, keys).items():
        yield (
            key,
            {
                "dagster/row_count": count,
                "delta_version": commit.version,
                "content_hash": name,
                "dagster/uri": str(lakehouse.path(table)),
                "dagster/column_schema": dg.TableSchema([dg.TableColumn(f.name, str(f.type)) for f in rows.schema]),
            },
        )
