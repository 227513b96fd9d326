"""Judgements on the ground truth: one chain of revisions a lead, none before its time, and nobody forgotten."""

from lead_scoring_assets.contracts.findings import Finding
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.labels.maturity import NO_OUTCOME, NO_RESPONSE, SAID
from lead_scoring_assets.lakehouse.query import query
from lead_scoring_assets.periods import Period

_SHOWN = 5


def one_label_per_lead(installation: Installation, period: Period) -> Finding:
    """At any moment a lead has one label at most: its revisions are 1, 2, 3 … without gaps, each known after the last."""
    keys = [p.key for p in installation.settings.calendar.through(period)]
    found = query(
        """
        WITH chains AS (
            SELECT lead_id, count(*) AS n, max(revision) AS last, min(revision) AS first,
                   count(DISTINCT revision) AS numbers, count(DISTINCT label_known_at) AS moments
            FROM labels GROUP BY lead_id HAVING count(*) > 1 OR min(revision) <> 1
        ), disorder AS (
            SELECT lead_id FROM (
                SELECT lead_id, label_known_at <= lag(label_known_at) OVER (PARTITION BY lead_id ORDER BY revision) AS is_early
                FROM labels WHERE lead_id IN (SELECT lead_id FROM chains)
            ) WHERE is_early
        ), broken AS (
            SELECT lead_id FROM chains WHERE first <> 1 OR last <> n OR numbers <> n OR moments <> n
            UNION SELECT lead_id FROM disorder
        )
        SELECT (SELECT count(*) FROM labels) AS labels, (SELECT count(*) FROM broken) AS broken
        """,
        {"labels": installation.lakehouse.scan("ground_truth_labels", periods=keys)},
    ).to_pylist()[0]
    return Finding(
        not found["broken"],
        f"{found['labels']:,} rows, {found['broken']:,} leads whose revisions have gaps, repeat or go back in time",
        {"labels": found["labels"]},
    )


def no_label_before_its_time(installation: Installation, period: Period) -> Finding:
    """A lead without an outcome is labelled 0 only when its window has closed, and no label predates its lead."""
    early, rows = _count(
        installation,
        period,
        """
        label_known_at < created_at OR label_known_at <= $1 OR label_known_at > $2
        OR (basis IN ($3, $4) AND (label_known_at < matures_at OR label IS DISTINCT FROM 0))
        OR label NOT IN (0, 1) OR (label = 1) <> (basis = 'converted')
        """,
        [period.start, period.end, NO_OUTCOME, NO_RESPONSE],
    )
    return Finding(not early, f"{early:,} of {rows:,} labels stand before their time or contradict their basis")


def taken_back_by_word_only(installation: Installation, period: Period) -> Finding:
    """A label is missing only where it had been known, the rep has said that the lead is open again, and time is left."""
    silent, rows = _count(
        installation,
        period,
        """
        (label IS NULL AND (basis NOT IN ('open', 'no_response') OR revision = 1 OR label_known_at >= matures_at))
        OR (label IS NOT NULL AND basis NOT IN ($1, $2, $3, $4, $5))
        """,
        [NO_OUTCOME, NO_RESPONSE, *SAID],
    )
    return Finding(not silent, f"{silent:,} of {rows:,} labels are missing, or there, without the word that says so")


def closed_cohorts_are_labelled(installation: Installation, period: Period) -> Finding:
    """Every lead of a cohort whose conversion window has closed is labelled."""
    rows = installation.lakehouse.read("label_coverage", periods=[period.key]).to_pylist()
    closed = [row for row in rows if row["is_closed"]]
    short = [f"{row['cohort']} ({row['labelled']:,} of {row['leads']:,})" for row in closed if row["not_yet_known"]]
    numbers = {"closed_cohorts": len(closed), "unlabelled": sum(row["not_yet_known"] for row in closed)}
    if short:
        return Finding(False, f"cohorts with leads that have no label: {', '.join(short[:_SHOWN])}", numbers)
    return Finding(True, f"all leads of {len(closed):,} closed cohorts are labelled", numbers)


def _count(installation: Installation, period: Period, fault: str, parameters: list[object]) -> tuple[int, int]:
    found = query(
        f"SELECT count(*) FILTER ({fault}) AS bad, count(*) AS n FROM labels",  # noqa: S608  # our own conditions
        {"labels": installation.lakehouse.scan("ground_truth_labels", periods=[period.key])},
        parameters,
    ).to_pylist()[0]
    return int(found["bad"]), int(found["n"])
