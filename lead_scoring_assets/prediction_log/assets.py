"""Dagster shell of the prediction log's ingestion; what is done stands in `ingestion.py` and `fallback_leads.py`.

Without partitions: the log grows by itself, and each run takes in what is new, once, whichever period it falls into. The
tables are partitioned by the period of `at`. Nobody materialises them again: they are evidence.
"""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from lead_scoring_assets.installation import Installation
from lead_scoring_assets.lakehouse.tables import Commit
from lead_scoring_assets.prediction_log import fallback_leads as waiting
from lead_scoring_assets.prediction_log.ingestion import ingest
from lead_scoring_assets.prediction_log.sources import open_source
from lead_scoring_assets.prediction_log.tables import ERRORS, FEEDBACK, INGESTED, PREDICTIONS, REJECTED, SHADOWS

GROUP = "serving"
_OWNERS = ["team:machine-learning"]
_KINDS = {"deltalake", "json"}
_DESCRIPTIONS = {
    PREDICTIONS: "Every lead that the API scored: what it was told, who answered, with what score and how fast.",
    ERRORS: "Every request to the API that was refused or failed, with its status and why.",
    SHADOWS: "What the shadow said of leads that the champion answered: both scores and both latencies in one row.",
    FEEDBACK: "What became of leads, as told to the API; it lands as outcomes beside those of the CRM.",
    REJECTED: "Lines of the prediction log that could not be read, with their place and the reason.",
    INGESTED: "Which bytes of which segment were taken in, and what became of their lines: rows, rejected, duplicates.",
}


@dg.multi_asset(
    name="served",
    specs=[
        dg.AssetSpec(table, description=description, group_name=GROUP, owners=_OWNERS, kinds=_KINDS)
        for table, description in _DESCRIPTIONS.items()
    ],
)
def served(
    context: dg.AssetExecutionContext, installation: dg.ResourceParam[Installation]
) -> Iterator[dg.MaterializeResult[None]]:
    """Take in what the API has logged since the last time, each line exactly once."""
    done = ingest(installation, open_source(installation))
    for name in done.landed:
        context.log.info("feedback lands as %s", name)
    counts = {
        "lines": done.lines,
        "duplicates": done.duplicates,
        "landed": done.landed,
        "segments_removed": done.removed,
    }
    for table in _DESCRIPTIONS:
        more = counts if table == INGESTED else {"new_rows": done.rows[table]}
        yield _result(table, done.commits.get(table), more)


@dg.asset(
    deps=[PREDICTIONS, "lead_scores"],
    group_name=GROUP,
    owners=_OWNERS,
    kinds=_KINDS,
)
def fallback_leads(installation: dg.ResourceParam[Installation]) -> dg.MaterializeResult[None]:
    """Leads that the API answered without a model, and whether one has scored them since: who still waits."""
    commit = waiting.write(installation)
    return _result(waiting.TABLE, commit, {"new_rows": commit.rows if commit else 0})


def _result(table: str, commit: Commit | None, told: dict[str, Any]) -> dg.MaterializeResult[None]:
    version = {"delta_version": commit.version} if commit else {}
    return dg.MaterializeResult(asset_key=table, metadata={**told, **version})
