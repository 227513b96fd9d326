"""What ingestion and point-in-time features cost: ours, pandas, and Feast's offline store, on the same SIMULATED rows.

    .venv/bin/python benchmarks/data_plane.py                   1 million leads, 10 million activities
    .venv/bin/python benchmarks/data_plane.py --leads 10000000  ten times that (about 20 GB of disk)

Twelve months of leads, ten activities each; the same Parquet files for everybody. Every step is a process of its own, below
a small parent: wall and CPU seconds, and its largest resident memory. A step that is killed for memory says so. Every pair
of steps is checked to give the same rows. Nothing is asserted about time: machines differ.

- ingest: read what landed, hold it to its contract, tell duplicates, write the tables. pandas does the same checks on
  frames, month by month, and writes plain Parquet.
- features: ten aggregates over 7, 30 and 90 days as of each lead's scoring time.
- as-of: the last activity before the scoring time alone, which is what Feast's `get_historical_features` answers.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
MONTHS = [f"2024-{month:02}" for month in range(1, 13)]
TYPES = ["web_visit", "email_open", "email_click", "call", "meeting", "form_submit"]
FEAST = "feast==0.67.0"
_MEMORY_LIMIT_GB = 20
_SETTINGS = """
name: benchmark
clock: replay
crm: own
periods: {cadence: month, start: 2024-01-01, end: 2025-01-01}
columns:
  lead_source: {kind: category, role: feature, categories: [web_form, google_ads, referral, partner, event], why: w}
  industry: {kind: category, role: feature, categories: [trade, media, tech, services, food, health], why: w}
  company_size: {kind: integer, role: feature, minimum: 1, maximum: 100000, required: false, why: w}
  budget: {kind: number, role: feature, minimum: 0, maximum: 10000000, why: w}
activities: {types: [TYPES]}
features:
  website_visits_7d: {measure: count, of: [web_visit], days: 7, why: w}
  website_visits_30d: {measure: count, of: [web_visit], days: 30, why: w}
  website_visits_90d: {measure: count, of: [web_visit], days: 90, why: w}
  email_opens_30d: {measure: count, of: [email_open], days: 30, why: w}
  call_minutes_30d: {measure: sum, of: [call], days: 30, why: w}
  call_minutes_90d: {measure: sum, of: [call], days: 90, why: w}
  pages_90d: {measure: distinct, column: detail, of: [web_visit], days: 90, why: w}
  engagement_score: {measure: points, points: {web_visit: 1, email_open: 2, meeting: 20}, days: 30, maximum: 100, why: w}
  days_since_first_contact: {measure: days_since_first, days: 90, why: w}
  days_since_last_touch: {measure: days_since_last, days: 90, why: w}
""".replace("TYPES", ", ".join(TYPES))


# The world


def generate(folder: Path, leads: int) -> None:
    """Land twelve months of leads and ten activities a lead, deterministic, a few of them delivered twice."""
    import duckdb

    (folder / "lead_scoring.yaml").write_text(_SETTINGS, encoding="utf-8")
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'; SET memory_limit = '4GB'; SET preserve_insertion_order = false")
    for number, month in enumerate(MONTHS):
        start = f"TIMESTAMPTZ '{month}-01 00:00:00+00'"
        span = f"(epoch_us({start} + INTERVAL 1 MONTH) - epoch_us({start}))"
        first, last = number * leads // 12, (number + 1) * leads // 12
        lead = f"""
            SELECT 'L' || lpad(i::VARCHAR, 9, '0') AS lead_id, i,
                   make_timestamptz(epoch_us({start}) + (hash(i, 1) % ({span} - 90000000000)::UBIGINT)::BIGINT) AS created_at,
                   ['web_form','google_ads','referral','partner','event'][1 + (hash(i, 2) % 5)::BIGINT] AS lead_source,
                   ['trade','media','tech','services','food','health'][1 + (hash(i, 3) % 6)::BIGINT] AS industry,
                   CASE WHEN hash(i, 4) % 10 > 0 THEN (1 + hash(i, 5) % 5000)::BIGINT END AS company_size,
                   (hash(i, 6) % 10000000)::DOUBLE / 100 AS budget
            FROM range({first}, {last}) AS r(i)"""
        known = "created_at + INTERVAL 1 DAY AS known_at"
        target = folder / "data" / "landing" / "leads" / month
        target.mkdir(parents=True)
        connection.execute(
            f"COPY (SELECT lead_id, created_at, {known}, lead_source, industry, company_size, budget FROM ({lead}) "
            f"UNION ALL SELECT lead_id, created_at, {known}, lead_source, industry, company_size, budget FROM ({lead}) "
            f"WHERE hash(i, 7) % 100 = 0) TO '{target / 'leads.parquet'}'"
        )
        target = folder / "data" / "landing" / "activities" / month
        target.mkdir(parents=True)
        connection.execute(
            f"""COPY (
                SELECT 'A' || lpad((i * 10 + k)::VARCHAR, 10, '0') AS activity_id, lead_id,
                       created_at - to_microseconds((hash(i, k, 8) % 5000000000000)::BIGINT) + INTERVAL 1 DAY AS occurred_at,
                       created_at + INTERVAL 1 DAY AS known_at,
                       {TYPES}[1 + (hash(i, k, 9) % 6)::BIGINT] AS activity_type,
                       'page ' || (hash(i, k, 10) % 200)::VARCHAR AS detail, (hash(i, k, 11) % 600)::DOUBLE / 10 AS value
                FROM ({lead}), range(10) AS t(k)
            ) TO '{target / "activities.parquet"}'"""
        )


# Ours


def ours_ingest(folder: Path) -> dict[str, Any]:
    from lead_scoring_assets.installation import Installation
    from lead_scoring_assets.leads.ingestion import bring_in
    from lead_scoring_assets.settings import Home

    house = Installation(Home(folder))
    for month in MONTHS:
        bring_in(house, house.settings.calendar.period(month))
    return {name: house.lakehouse.scan(f"raw_{name}").count_rows() for name in ("leads", "activities")}


def ours_features(folder: Path) -> dict[str, Any]:
    return _ours(folder, None)


def ours_as_of(folder: Path) -> dict[str, Any]:
    return _ours(folder, "days_since_last_touch")


def _ours(folder: Path, only: str | None) -> dict[str, Any]:
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    from lead_scoring_assets.contracts.columns import Registry
    from lead_scoring_assets.features.inputs import periods_read
    from lead_scoring_assets.features.passes import build_periods
    from lead_scoring_assets.installation import Installation
    from lead_scoring_assets.settings import Home

    house = Installation(Home(folder))
    registry = house.settings.registry
    if only:
        registry = Registry({}, TYPES, {only: registry.aggregates[only]})
    target = folder / "ours"
    target.mkdir(exist_ok=True)
    calendar, lakehouse = house.settings.calendar, house.lakehouse
    reads = {month: periods_read(registry, calendar, calendar.period(month)) for month in MONTHS}
    versions = {table: lakehouse.version(table) for table in ("raw_leads", "raw_activities")}
    rows, total = 0, 0.0
    for number, built in enumerate(build_periods(lakehouse, registry, reads, versions)):
        pq.write_table(built, target / f"{number}.parquet")
        rows += built.num_rows
        total += sum(pc.sum(built[name]).as_py() or 0 for name in registry.aggregates)
    return {"rows": rows, "sum": round(total)}


# pandas


def pandas_ingest(folder: Path) -> dict[str, Any]:
    import pandas as pd

    target = folder / "pandas"
    counts = {}
    for entity, key, moment, category, kinds in (
        ("leads", "lead_id", "created_at", "lead_source", ["web_form", "google_ads", "referral", "partner", "event"]),
        ("activities", "activity_id", "occurred_at", "activity_type", TYPES),
    ):
        seen: set[str] = set()
        counts[entity] = 0
        for month in MONTHS:
            [file] = (folder / "data" / "landing" / entity / month).glob("*.parquet")
            frame = pd.read_parquet(file)
            end = pd.Timestamp(f"{month}-01", tz="UTC") + pd.DateOffset(months=1)
            good = frame[key].notna() & frame[moment].notna() & frame[category].isin(kinds)
            good &= (frame["known_at"] <= end) & (frame["known_at"] >= frame[moment])
            if entity == "leads":
                size = frame["company_size"]
                good &= frame["industry"].isin(["trade", "media", "tech", "services", "food", "health"])
                good &= size.isna() | size.between(1, 100_000) & (size % 1 == 0)
                good &= frame["budget"].between(0, 10_000_000)
            else:
                good &= frame["lead_id"].notna() & frame["value"].notna()
            frame = frame[good].drop_duplicates(key)
            frame = frame[~frame[key].isin(seen)]
            seen.update(frame[key])
            path = target / entity / f"period={month}"
            path.mkdir(parents=True, exist_ok=True)
            frame.to_parquet(path / "rows.parquet")
            counts[entity] += len(frame)
    return counts


def pandas_features(folder: Path) -> dict[str, Any]:
    import pandas as pd

    rows, total = 0, 0.0
    target = folder / "pandas" / "features"
    target.mkdir(parents=True, exist_ok=True)
    for number, month in enumerate(MONTHS):
        leads = pd.read_parquet(folder / "pandas" / "leads" / f"period={month}" / "rows.parquet")
        near = MONTHS[max(0, number - 4) : number + 1]
        acts = pd.concat(
            [pd.read_parquet(folder / "pandas" / "activities" / f"period={key}" / "rows.parquet") for key in near],
            ignore_index=True,
        )
        joined = acts.merge(leads[["lead_id", "known_at"]].rename(columns={"known_at": "moment"}), on="lead_id")
        joined = joined[(joined["occurred_at"] <= joined["moment"]) & (joined["known_at"] <= joined["moment"])]
        ago = joined["moment"] - joined["occurred_at"]
        joined = joined.assign(ago=ago)[ago < pd.Timedelta(days=90)]
        kind, age = joined["activity_type"], joined["ago"]
        points = kind.map({"web_visit": 1.0, "email_open": 2.0, "meeting": 20.0})

        built = leads.set_index("lead_id")
        by_lead = joined.groupby("lead_id")["ago"]
        columns = {
            "website_visits_7d": _within(joined, 7, "web_visit").size(),
            "website_visits_30d": _within(joined, 30, "web_visit").size(),
            "website_visits_90d": _within(joined, 90, "web_visit").size(),
            "email_opens_30d": _within(joined, 30, "email_open").size(),
            "call_minutes_30d": _within(joined, 30, "call")["value"].sum(),
            "call_minutes_90d": _within(joined, 90, "call")["value"].sum(),
            "pages_90d": _within(joined, 90, "web_visit")["detail"].nunique(),
            "engagement_score": points[age < pd.Timedelta(days=30)].groupby(joined["lead_id"]).sum().clip(upper=100),
            "days_since_first_contact": by_lead.max().dt.days,
            "days_since_last_touch": by_lead.min().dt.days,
        }
        for name, values in columns.items():
            found = values.reindex(built.index)
            built[name] = found if name.startswith("days_since") else found.fillna(0.0)
        built.to_parquet(target / f"{month}.parquet")
        rows += len(built)
        total += float(built[list(columns)].sum().sum())
    return {"rows": rows, "sum": round(total)}


def _within(joined: Any, days: int, kind: str) -> Any:
    import pandas as pd

    return joined[(joined["ago"] < pd.Timedelta(days=days)) & (joined["activity_type"] == kind)].groupby("lead_id")


def pandas_as_of(folder: Path) -> dict[str, Any]:
    import pandas as pd

    leads, acts = _lead_times(folder), _activity_times(folder)
    found = pd.merge_asof(
        leads.sort_values("event_timestamp"),
        acts.assign(last=acts["occurred_at"]).sort_values("occurred_at"),
        left_on="event_timestamp",
        right_on="occurred_at",
        by="lead_id",
        tolerance=pd.Timedelta(days=90) - pd.Timedelta(microseconds=1),
    )
    return {"rows": len(found), "sum": round(float((found["event_timestamp"] - found["last"]).dt.days.sum()))}


def _lead_times(folder: Path) -> Any:
    import pandas as pd

    files = sorted((folder / "pandas" / "leads").rglob("*.parquet"))
    frames = [pd.read_parquet(file, columns=["lead_id", "known_at"]) for file in files]
    return pd.concat(frames, ignore_index=True).rename(columns={"known_at": "event_timestamp"})


def _activity_times(folder: Path) -> Any:
    import pandas as pd

    files = sorted((folder / "pandas" / "activities").rglob("*.parquet"))
    return pd.concat([pd.read_parquet(file, columns=["lead_id", "occurred_at"]) for file in files], ignore_index=True)


# Feast, in an environment of its own


def feast_as_of(folder: Path) -> dict[str, Any]:
    """Runs under Feast's own interpreter; the offline store is its default, files read by Dask."""
    from datetime import timedelta

    from feast import Entity, FeatureStore, FeatureView, Field, FileSource
    from feast.types import UnixTimestamp
    from feast.value_type import ValueType

    repository = folder / "feast"
    repository.mkdir(exist_ok=True)
    acts = _activity_times(folder)
    acts.assign(last=acts["occurred_at"]).to_parquet(repository / "activities.parquet")
    (repository / "feature_store.yaml").write_text(
        "project: benchmark\nregistry: registry.db\nprovider: local\noffline_store: {type: dask}\n"
        "online_store: {type: sqlite, path: online.db}\nentity_key_serialization_version: 3\n"
    )
    os.chdir(repository)
    store = FeatureStore(repo_path=".")
    lead = Entity(name="lead", join_keys=["lead_id"], value_type=ValueType.STRING)
    view = FeatureView(
        name="touches",
        entities=[lead],
        ttl=timedelta(days=90),
        schema=[Field(name="last", dtype=UnixTimestamp)],
        source=FileSource(path="activities.parquet", timestamp_field="occurred_at"),
    )
    store.apply([lead, view])
    found = store.get_historical_features(entity_df=_lead_times(folder), features=["touches:last"]).to_df()
    days = (found["event_timestamp"] - found["last"]).dt.days
    return {"rows": len(found), "sum": round(float(days.sum()))}


STEPS = {
    step.__name__: step
    for step in (ours_ingest, pandas_ingest, ours_features, pandas_features, ours_as_of, pandas_as_of, feast_as_of)
}
_TOLD = {
    "ours_ingest": "ingest: ours (Delta, versions, quarantine, counts)",
    "pandas_ingest": "ingest: pandas (plain Parquet)",
    "ours_features": "features: ours",
    "pandas_features": "features: pandas",
    "ours_as_of": "as-of: ours",
    "pandas_as_of": "as-of: pandas merge_asof",
    "feast_as_of": "as-of: Feast get_historical_features",
}

# Measuring


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--leads", type=int, default=1_000_000)
    parser.add_argument("--below", type=Path, help="folder for the working files (default: the system's temporary one)")
    parser.add_argument("--only", nargs="*", choices=list(STEPS), default=list(STEPS))
    asked = parser.parse_args()
    from rich.console import Console
    from rich.table import Table

    console = Console(stderr=True)
    table = Table(title=f"{asked.leads:,} leads, {asked.leads * 10:,} activities, 12 months (SIMULATED)")
    for name in ("step", "wall s", "CPU s", "peak MB", "gave"):
        table.add_column(name, justify="left" if name in ("step", "gave") else "right")
    with tempfile.TemporaryDirectory(dir=asked.below) as name:
        folder = Path(name)
        console.print("generating")
        generate(folder, asked.leads)
        for step in asked.only:
            console.print(_TOLD[step])
            table.add_row(_TOLD[step], *measure(step, folder))
    Console().print(table)


def measure(step: str, folder: Path) -> tuple[str, str, str, str]:
    """One step as a process of its own, below a small parent, so that its peak is not an earlier step's."""
    python = feasts_python(folder) if step == "feast_as_of" else sys.executable
    if python is None:
        return "-", "-", "-", f"{FEAST} could not be installed"
    program = (
        "import json, resource, subprocess, sys, time\n"
        "begin = time.perf_counter()\n"
        "done = subprocess.run(sys.argv[1:], capture_output=True, text=True)\n"
        "used = resource.getrusage(resource.RUSAGE_CHILDREN)\n"
        "print(json.dumps({'wall': time.perf_counter() - begin, 'cpu': used.ru_utime + used.ru_stime,\n"
        "                  'peak': used.ru_maxrss / 1024, 'code': done.returncode, 'told': done.stdout[-2000:],\n"
        "                  'failed': done.stderr[-2000:]}))\n"
    )
    work = f"import runpy; m = runpy.run_path({__file__!r}, run_name='step'); m['run_step']({step!r}, {str(folder)!r})"
    done = subprocess.run(
        [sys.executable, "-c", program, python, "-c", work], capture_output=True, text=True, check=True
    )
    found = json.loads(done.stdout)
    figures = f"{found['wall']:.1f}", f"{found['cpu']:.1f}", f"{found['peak']:,.0f}"
    if found["code"]:
        out_of_memory = "MemoryError" in found["failed"] or "malloc" in found["failed"] or found["code"] < 0
        reason = (
            f"ended for memory (limit {_MEMORY_LIMIT_GB} GB)" if out_of_memory else found["failed"].splitlines()[-1]
        )
        return *figures, reason
    return *figures, found["told"].strip().splitlines()[-1]


def run_step(step: str, folder: str) -> None:
    import resource

    limit = _MEMORY_LIMIT_GB * 2**30
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    print(json.dumps(STEPS[step](Path(folder))))


def feasts_python(folder: Path) -> str | None:
    """An interpreter with Feast, installed for this run alone; None where that is not possible."""
    home = folder / "feast-environment"
    if not home.exists():
        uv = [sys.executable, "-m", "uv"]
        made = subprocess.run([*uv, "venv", "-q", "--python", sys.executable, str(home)], check=False)
        python = str(home / "bin" / "python")
        installed = subprocess.run([*uv, "pip", "install", "-q", "--python", python, FEAST], check=False)
        if made.returncode or installed.returncode:
            shutil.rmtree(home, ignore_errors=True)
            return None
    return str(home / "bin" / "python")


if __name__ == "__main__":
    main()
