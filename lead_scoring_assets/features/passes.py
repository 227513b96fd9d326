"""Several periods in one pass: what their look-backs share is read once, not once for each period."""

from collections.abc import Iterator, Mapping

import pyarrow as pa

from lead_scoring_assets.contracts.columns import Registry
from lead_scoring_assets.features.inputs import PeriodsRead
from lead_scoring_assets.features.plan import build_features
from lead_scoring_assets.lakehouse.tables import Lakehouse

LEADS_A_PASS = 250_000
"""Memory grows with the leads of a pass and with their activities, not with the history; a period is never divided."""


def build_periods(
    lakehouse: Lakehouse,
    registry: Registry,
    reads: Mapping[str, PeriodsRead],
    versions: Mapping[str, int],
    leads_a_pass: int = LEADS_A_PASS,
) -> Iterator[pa.Table]:
    """The features of each period of `reads` (key → what it reads, in order of time), some periods to a table.

    A row does not depend on which periods are built with it: an activity that another period's look-back brings along
    has not happened yet for this row, or too long ago.
    """
    together: list[PeriodsRead] = []
    leads = 0
    for found in reads.values():
        rows = lakehouse.scan("raw_leads", periods=found["raw_leads"], version=versions["raw_leads"]).count_rows()
        if together and leads + rows > leads_a_pass:
            yield _one_pass(lakehouse, registry, together, versions)
            together, leads = [], 0
        together.append(found)
        leads += rows
    if together:
        yield _one_pass(lakehouse, registry, together, versions)


def _one_pass(
    lakehouse: Lakehouse, registry: Registry, together: list[PeriodsRead], versions: Mapping[str, int]
) -> pa.Table:
    tables = {}
    for name in together[0]:
        keys = sorted({key for found in together for key in found[name]})
        tables[name] = lakehouse.scan(name, periods=keys, version=versions[name])
    return build_features(tables["raw_leads"], registry, tables.get("raw_activities"))
