"""Judgements on the ground truth: one label a lead, none before its time."""

from lead_scoring_assets.contracts.findings import Finding
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.labels.maturity import NO_OUTCOME
from lead_scoring_assets.lakehouse.query import query
from lead_scoring_assets.periods import Period


def one_label_per_lead(installation: Installation, period: Period) -> Finding:
    """No lead has two labels, over all periods so far."""
    keys = [p.key for p in installation.settings.calendar.through(period)]
    labels = installation.lakehouse.read("ground_truth_labels", periods=keys, columns=["lead_id"])
    twice = query("SELECT lead_id FROM labels GROUP BY lead_id HAVING count(*) > 1", {"labels": labels}).num_rows
    return Finding(
        not twice, f"{labels.num_rows:,} labels, {twice:,} leads with more than one", {"labels": labels.num_rows}
    )


def no_label_before_its_time(installation: Installation, period: Period) -> Finding:
    """A lead without an outcome is labelled 0 only when its window has closed, and no label predates its lead."""
    labels = installation.lakehouse.read("ground_truth_labels", periods=[period.key])
    early = query(
        """
        SELECT count(*) AS n FROM labels
        WHERE label_known_at < created_at OR label_known_at <= $1 OR label_known_at > $2
           OR (basis = $3 AND label_known_at < matures_at) OR (basis = $3 AND label <> 0)
           OR label NOT IN (0, 1) OR (label = 1) <> (basis = 'converted')
        """,
        {"labels": labels},
        [period.start, period.end, NO_OUTCOME],
    )["n"][0].as_py()
    return Finding(
        not early, f"{early:,} of {labels.num_rows:,} labels stand before their time or contradict their basis"
    )
