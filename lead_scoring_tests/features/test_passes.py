"""Several periods in one pass give the rows that each period gives alone, and nothing is read twice or left out."""

import tempfile
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from lead_scoring_assets.features.inputs import periods_read
from lead_scoring_assets.features.passes import build_periods
from lead_scoring_assets.features.plan import feature_schema
from lead_scoring_assets.lakehouse.tables import Lakehouse
from lead_scoring_assets.periods import PeriodCalendar
from lead_scoring_tests.features.worlds import (
    EVERY_MEASURE,
    REGISTRY,
    Row,
    activities_of,
    activities_table,
    leads_of,
    leads_table,
    reference,
)

CALENDAR = PeriodCalendar("month", datetime(2024, 3, 1, tzinfo=UTC))
PERIODS = ["2024-04", "2024-05", "2024-06", "2024-07"]


@settings(max_examples=25, deadline=None)
@given(leads=leads_of(), activities=activities_of(), leads_a_pass=st.sampled_from([1, 2, 3, 1_000]))
def test_a_row_does_not_depend_on_what_is_built_with_it(
    leads: list[Row], activities: list[Row], leads_a_pass: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        lakehouse = Lakehouse(Path(folder))
        for name, rows in (("raw_leads", leads_table(leads)), ("raw_activities", activities_table(activities))):
            lakehouse.replace_periods(name, sorted({*PERIODS, *rows["period"].to_pylist()}), rows)
        reads = {key: periods_read(REGISTRY, CALENDAR, CALENDAR.period(key)) for key in PERIODS}
        versions = {name: lakehouse.version(name) for name in ("raw_leads", "raw_activities")}
        passes = list(build_periods(lakehouse, REGISTRY, reads, versions, leads_a_pass))
    built = pa.concat_tables(passes)
    assert built.schema.equals(feature_schema(REGISTRY))
    expected = [row for row in reference(leads, activities, EVERY_MEASURE) if row["period"] in PERIODS]
    assert built.to_pylist() == expected
    versions_in = [sum(row["period"] in set(table["period"].to_pylist()) for row in leads) for table in passes]
    # As few passes as the limit allows: two neighbours together would exceed it, unless one is empty of leads.
    assert all(one + other > leads_a_pass for one, other in pairwise(versions_in) if one and other)
