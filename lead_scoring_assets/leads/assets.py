"""Dagster shell of ingestion: landed files become raw tables. Reading and judging rows is done in `ingestion.py`."""

from collections.abc import Iterator
from typing import Any

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc

from lead_scoring_assets.contracts.columns import Registry
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.leads.ingestion import Arrivals, Arrived, ingest, raw_schema
from lead_scoring_assets.partitions import ONE_RUN, PERIODS, periods_of
from lead_scoring_assets.periods import Period

_SHARED: dict[str, Any] = {"group_name": "leads", "owners": ["team:data-engineering"], "kinds": {"deltalake", "csv"}}


@dg.multi_asset(
    name="arrivals",
    partitions_def=PERIODS,
    backfill_policy=ONE_RUN,
    outs={
        "raw_leads": dg.AssetOut(
            description="Leads as the CRM exported them, typed and within their contract, by the period of their arrival.",
            **_SHARED,
        ),
        "raw_outcomes": dg.AssetOut(
            description="What became of leads (converted, lost, disqualified), by the period in which it became known. "
            "For the bank data the day on which it became known is simulated, and marked so in `provenance`.",
            **_SHARED,
        ),
        "rejected_rows": dg.AssetOut(
            description="Rows that broke their contract, with the reason, the file and the line. Nothing is dropped silently.",
            **_SHARED,
        ),
        "arrived_files": dg.AssetOut(
            description="Every landed file with its checksum and count: rows in = accepted + rejected + duplicates.",
            **_SHARED,
        ),
    },
)
def arrivals(
    context: dg.AssetExecutionContext, installation: dg.ResourceParam[Installation]
) -> Iterator[dg.MaterializeResult[pa.Table]]:
    """Read what landed in each period and tell accepted rows from rejected ones."""
    registry = installation.settings.registry
    periods = periods_of(context)
    earlier = _arrived_before(installation, periods[0], registry)
    found: list[Arrivals] = []
    for period in periods:
        arrived = ingest(installation.home.landing, period, registry, earlier)
        earlier = earlier.add(arrived)
        found.append(arrived)
        _tell(context, period, arrived)
    tables = {
        "raw_leads": [a.leads for a in found],
        "raw_outcomes": [a.outcomes for a in found],
        "rejected_rows": [a.rejected for a in found],
        "arrived_files": [a.files for a in found],
    }
    for name, parts in tables.items():
        yield dg.MaterializeResult(asset_key=name, value=pa.concat_tables(parts))


def _arrived_before(installation: Installation, first: Period, registry: Registry) -> Arrived:
    """Rows accepted in periods before `first`; they are compared, never changed."""
    earlier = installation.settings.calendar.through(installation.settings.calendar.previous(first))
    keys = [period.key for period in earlier]
    frames = []
    for table, columns in (("raw_leads", registry.lead_columns), ("raw_outcomes", registry.outcome_columns)):
        if installation.lakehouse.exists(table):
            frames.append(installation.lakehouse.read(table, periods=keys, columns=list(columns)).to_pandas())
        else:
            frames.append(raw_schema(columns).empty_table().to_pandas())
    return Arrived(*frames)


def _tell(context: dg.AssetExecutionContext, period: Period, arrived: Arrivals) -> None:
    files = arrived.files.to_pylist()
    context.add_asset_metadata(
        {
            **{count: sum(f[count] for f in files) for count in ("rows_in", "accepted", "rejected", "duplicates")},
            "problems": [f[kind] for f in files for kind in ("problem", "note") if f[kind]],
        },
        asset_key="arrived_files",
        partition_key=period.key,
    )
    reasons = arrived.rejected.group_by("reason").aggregate([("reason", "count")])
    top = reasons.sort_by([("reason_count", "descending")]).slice(0, 10).to_pylist()
    context.add_asset_metadata(
        {
            "top_reasons": dg.MetadataValue.md(
                "\n".join(f"- {r['reason_count']} × {r['reason']}" for r in top) or "none"
            )
        },
        asset_key="rejected_rows",
        partition_key=period.key,
    )
    known = pc.min_max(arrived.leads["created_at"]).as_py()
    context.add_asset_metadata(
        {"first_created_at": str(known["min"]), "last_created_at": str(known["max"])},
        asset_key="raw_leads",
        partition_key=period.key,
    )
