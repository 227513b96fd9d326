"""Dagster shell of ingestion: landed files become raw tables. Reading and judging rows is done in `ingestion.py`."""

from collections.abc import Iterator
from typing import Any

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc

from lead_scoring_assets.contracts.columns import EVENT_TIMES, RAW_TABLES
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.lakehouse.io_manager import written_metadata
from lead_scoring_assets.leads.ingestion import COUNTS, FILES, REJECTED, Arrivals, bring_in
from lead_scoring_assets.leads.pulling import pull
from lead_scoring_assets.partitions import ONE_RUN, PERIODS, periods_of
from lead_scoring_assets.settings import find_home

_DESCRIPTIONS = {
    "raw_leads": "Leads as the CRM exported them, typed and within their contract, by the period of their arrival. A "
    "correction is a row more, with the next version.",
    "raw_activities": "What leads did and what was done to them (visits, mails, calls), by the period of their arrival.",
    "raw_outcomes": "What became of leads, by the period in which it became known; a correction is a row more. "
    "For the bank data the day on which it became known is simulated, and marked so in `provenance`.",
    REJECTED: "Rows that broke their contract, with the reason, the file and the line. Nothing is dropped silently.",
    FILES: "Every landed file with its checksum and count: rows in = accepted + rejected + duplicates.",
}
_SHOWN_REASONS = 10
_SIMULATED = find_home().settings.simulated_part


@dg.multi_asset(
    name="arrivals",
    partitions_def=PERIODS,
    backfill_policy=ONE_RUN,
    specs=[
        dg.AssetSpec(
            table,
            description=description,
            group_name="leads",
            owners=["team:data-engineering"],
            kinds={"deltalake", "csv"},
            metadata={"simulated": _SIMULATED} if _SIMULATED else None,
        )
        for table, description in _DESCRIPTIONS.items()
    ],
)
def arrivals(
    context: dg.AssetExecutionContext, installation: dg.ResourceParam[Installation]
) -> Iterator[dg.MaterializeResult[None]]:
    """Read what landed in each period and tell accepted rows from rejected ones, period by period in order of time."""
    periods = periods_of(context)
    if pulled := pull(installation, periods):
        context.log.info("pulled %s", ", ".join(pulled))
    for period in periods:
        brought = bring_in(installation, period)
        told = _told(brought.arrivals)
        if brought.later:
            context.log.warning("ingested before %s was: %s", period.key, ", ".join(brought.later))
            told[FILES]["ingested_before_this"] = brought.later
        for table, commit in brought.commits.items():
            for key, metadata in written_metadata(installation.lakehouse, table, [period.key], commit):
                context.add_asset_metadata({**metadata, **told[table]}, asset_key=table, partition_key=key)
    for table in _DESCRIPTIONS:
        yield dg.MaterializeResult(asset_key=table)


def _told(arrived: Arrivals) -> dict[str, dict[str, Any]]:
    """What people want to know of a period beside its tables, by table."""
    files = arrived.files.to_pylist()
    reasons = arrived.rejected.group_by("reason").aggregate([("reason", "count")])
    top = reasons.sort_by([("reason_count", "descending")]).slice(0, _SHOWN_REASONS).to_pylist()
    return {
        **{table: _span(arrived.raw[entity], EVENT_TIMES[entity]) for entity, table in RAW_TABLES.items()},
        REJECTED: {
            "top_reasons": dg.MetadataValue.md(
                "\n".join(f"- {r['reason_count']} × {r['reason']}" for r in top) or "none"
            )
        },
        FILES: {
            **{count: sum(file[count] for file in files) for count in COUNTS},
            "problems": [file[kind] for file in files for kind in ("problem", "note") if file[kind]],
        },
    }


def _span(rows: pa.Table, event: str) -> dict[str, Any]:
    known = pc.min_max(rows[event]).as_py()
    corrections = pc.sum(pc.greater(rows["version"], 1)).as_py() or 0
    return {f"first_{event}": str(known["min"]), f"last_{event}": str(known["max"]), "corrections": corrections}
