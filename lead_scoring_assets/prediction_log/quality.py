"""Judgements on what the API logged: every line once, nothing damaged, everyone answered without a model scored since."""

from datetime import timedelta

from lead_scoring_assets.contracts.findings import Finding
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.lakehouse.query import query
from lead_scoring_assets.prediction_log import fallback_leads
from lead_scoring_assets.prediction_log.tables import INGESTED, PREDICTIONS, REJECTED, SHADOWS, TABLES

_EXAMPLES = 5
_RECENT = timedelta(days=1)


def every_line_once(installation: Installation) -> Finding:
    """Of every segment each byte was taken in once, and lines = rows + rejected + duplicates, counted in the tables."""
    lakehouse = installation.lakehouse
    if not lakehouse.exists(INGESTED):
        return Finding(True, "nothing was logged")
    found = {INGESTED: lakehouse.scan(INGESTED)}
    [reach] = query(
        f"""
        WITH parts AS (
            SELECT *, lag(to_byte, 1, 0) OVER (PARTITION BY segment ORDER BY from_byte) AS before FROM {INGESTED}
        )
        SELECT count(*) FILTER (before <> from_byte) AS broken, sum(lines)::BIGINT AS lines FROM parts
        """,  # noqa: S608  # our own name
        found,
    ).to_pylist()
    told = [f"{reach['broken']:,} parts do not begin where the one before ended"] if reach["broken"] else []
    counts = ", ".join(
        f"coalesce(sum({name}), 0)::BIGINT AS {name}" for name in (*TABLES.values(), REJECTED, "duplicates")
    )
    [counted] = query(f"SELECT {counts} FROM {INGESTED}", found).to_pylist()  # noqa: S608  # our own names
    if sum(counted.values()) != reach["lines"]:
        told.append(f"{reach['lines']:,} lines, {sum(counted.values()):,} accounted for")
    for table in (*TABLES.values(), REJECTED):
        there = lakehouse.scan(table).count_rows() if lakehouse.exists(table) else 0
        if there != counted[table]:
            told.append(f"{table} has {there:,} rows, {counted[table]:,} were written")
    if told:
        return Finding(False, f"{'; '.join(told)}. The segments are kept for a while: compare with them.")
    return Finding(True, f"all {reach['lines']:,} lines are rows, rejected or duplicates", {"lines": reach["lines"]})


def every_shadowed_lead_once(installation: Installation) -> Finding:
    """Of the last day each lead that the shadow was to score has one record of it, as far as the shadow has come."""
    lakehouse, calendar, now = installation.lakehouse, installation.settings.calendar, installation.clock.now()
    if not (lakehouse.exists(PREDICTIONS) and lakehouse.exists(SHADOWS)):
        return Finding(True, "nothing was scored in the shadow")
    periods = [period.key for period in calendar.through(calendar.containing(now), calendar.containing(now - _RECENT))]
    [found] = query(
        """
        WITH recorded AS (
            SELECT of_segment AS segment, of_byte AS start_byte, count(*) AS n FROM shadows
            WHERE shadows.at > $1 GROUP BY of_segment, of_byte
        ), reached AS (SELECT segment, max(start_byte) AS byte FROM recorded GROUP BY segment)
        SELECT count(*) AS leads, count(*) FILTER (n IS NULL AND start_byte < byte) AS lost,
               count(*) FILTER (n > 1) AS doubled, count(*) FILTER (n IS NULL AND (start_byte < byte) IS NOT TRUE) AS waiting
        FROM served LEFT JOIN recorded USING (segment, start_byte) LEFT JOIN reached USING (segment)
        WHERE served.at > $1 AND shadow_version IS NOT NULL
        """,
        {"served": lakehouse.scan(PREDICTIONS, periods=periods), "shadows": lakehouse.scan(SHADOWS, periods=periods)},
        [now - _RECENT],
    ).to_pylist()
    told = ", ".join(f"{found[name]:,} {name}" for name in ("lost", "doubled", "waiting"))
    return Finding(not (found["lost"] or found["doubled"]), f"{found['leads']:,} leads for the shadow: {told}", found)


def no_line_damaged(installation: Installation) -> Finding:
    """Every line could be read."""
    lakehouse = installation.lakehouse
    if not lakehouse.exists(REJECTED):
        return Finding(True, "no line was ever rejected")
    rows = lakehouse.read(REJECTED, columns=["segment", "start_byte", "reason"])
    first = rows.slice(0, 1).to_pylist()
    told = "".join(f"; the first: {row['segment']}, byte {row['start_byte']:,}: {row['reason']}" for row in first)
    return Finding(not rows.num_rows, f"{rows.num_rows:,} lines were rejected{told}", {"rejected": rows.num_rows})


def fallback_leads_are_scored(installation: Installation) -> Finding:
    """Whoever was answered without a model is scored with the period, once that is over and was scored."""
    lakehouse = installation.lakehouse
    if not lakehouse.exists(fallback_leads.TABLE):
        return Finding(True, "a model answered everyone")
    scored = (
        lakehouse.read(fallback_leads.SCORES, columns=["period"])["period"].unique()
        if lakehouse.exists(fallback_leads.SCORES)
        else []
    )
    rows = lakehouse.read(fallback_leads.TABLE).to_pylist()
    waiting = [row for row in rows if row["status"] == "waiting"]
    newest = max(map(str, scored), default="")
    overdue = [row["lead_id"] for row in waiting if row["period"] <= newest]
    told = f"{len(rows):,} leads were answered without a model, {len(waiting):,} wait for their score"
    numbers = {"fallback": len(rows), "waiting": len(waiting), "overdue": len(overdue)}
    if overdue:
        told += (
            f", {len(overdue):,} of them although their period was scored, such as {', '.join(overdue[:_EXAMPLES])}: they have "
            "not come from the CRM"
        )
    return Finding(not overdue, told, numbers)
