"""Judgements on the scores: everyone scored once, probabilities, a queue without gaps, reasons and changes that add up, and
not the same for everybody."""

import pyarrow.compute as pc

from lead_scoring_assets.assessment.reasons import reasons_schema
from lead_scoring_assets.contracts.findings import Finding
from lead_scoring_assets.errors import LakehouseError, ScoringError
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.lakehouse.query import query
from lead_scoring_assets.periods import Period
from lead_scoring_assets.predictions.model import named_model
from lead_scoring_assets.predictions.period_scores import reasons_of
from lead_scoring_assets.promotion.deployments import Deployments

_ENOUGH_TO_DIFFER = 100
_FEWEST_DISTINCT_SHARE = 0.05
_REASONED_AGAIN = 200
_ROUNDING = 1e-12


def every_lead_scored_once(installation: Installation, period: Period) -> Finding:
    """With a champion live, the scored leads are exactly the period's leads, each once; without one, nobody is scored."""
    lakehouse = installation.lakehouse
    champion = Deployments(lakehouse).champion_at(period.start)
    found = query(
        """
        WITH expected AS (SELECT lead_id, count(*) AS n FROM leads WHERE $1 GROUP BY lead_id),
        scored AS (SELECT lead_id, count(*) AS n FROM scores GROUP BY lead_id)
        SELECT coalesce(sum(s.n), 0)::BIGINT AS scored, coalesce(sum(e.n), 0)::BIGINT AS expected,
               count(*) FILTER (s.n IS DISTINCT FROM e.n) AS differing
        FROM expected e FULL JOIN scored s USING (lead_id)
        """,
        {
            "leads": lakehouse.scan("lead_features", periods=[period.key]),
            "scores": lakehouse.scan("lead_scores", periods=[period.key]),
        },
        [champion is not None],
    ).to_pylist()[0]
    told = f"champion v{champion.version}" if champion else "no champion yet"
    return Finding(
        not found["differing"],
        f"{found['scored']:,} scores for {found['expected']:,} leads to score ({told})",
        {"scores": found["scored"]},
    )


def scores_are_probabilities(installation: Installation, period: Period) -> Finding:
    """Every score is a number from 0 to 1."""
    scores = installation.lakehouse.read("lead_scores", periods=[period.key], columns=["probability"])["probability"]
    inside = pc.fill_null(pc.and_(pc.greater_equal(scores, 0), pc.less_equal(scores, 1)), False)
    bad = len(scores) - (pc.sum(inside).as_py() or 0)
    return Finding(not bad, f"{bad:,} of {len(scores):,} scores are not between 0 and 1")


def priorities_are_a_queue(installation: Installation, period: Period) -> Finding:
    """Priorities are 1, 2, 3 … from the highest probability down, equal ones by lead id."""
    found = query(
        """
        SELECT count(*) AS n, count(*) FILTER (priority IS DISTINCT FROM place) AS misplaced
        FROM (SELECT priority, row_number() OVER (ORDER BY probability DESC, lead_id) AS place FROM scores)
        """,
        {"scores": installation.lakehouse.scan("lead_scores", periods=[period.key])},
    ).to_pylist()[0]
    return Finding(not found["misplaced"], f"{found['misplaced']:,} of {found['n']:,} leads are not at their place")


def reasons_hold(installation: Installation, period: Period) -> Finding:
    """Made again for the best leads, contributions add up to the log odds within 1e-5 and say the reasons that are stored."""
    stored = installation.lakehouse.read("lead_scores", periods=[period.key])
    names = reasons_schema().names
    explained = stored.filter(pc.or_(pc.is_valid(stored["reason_up_1"]), pc.is_valid(stored["reason_down_1"])))
    best = explained.sort_by("priority").slice(0, _REASONED_AGAIN)
    if not best.num_rows:
        return Finding(True, "no lead has reasons")
    try:
        # By its number, and not "the one that was live": a check must not make a damaged champion fall back.
        model = named_model(installation, str(best["model_version"][0]))
        again = reasons_of(installation, period, best, model)
    except (LakehouseError, ScoringError) as problem:
        return Finding(False, str(problem))
    differing = sum(old != new for old, new in zip(best.select(names).to_pylist(), again.to_pylist(), strict=True))
    told = f"the reasons of {differing:,} of the best {best.num_rows:,} leads are not those that v{model.version} gives"
    return Finding(not differing, told, {"leads_with_reasons": explained.num_rows})


def changes_add_up(installation: Installation, period: Period) -> Finding:
    """The previous probability and the parts of data and model add up to the probability."""
    found = query(
        """
        SELECT count(previous_period) AS n, count(change_by_data) AS known,
               count(*) FILTER (
                   (change_by_data IS NULL) <> (previous_probability IS NULL)
                   OR (change_by_model IS NULL) <> (previous_probability IS NULL)
                   OR NOT abs(previous_probability + change_by_data + change_by_model - probability) <= $1
               ) AS wrong
        FROM scores
        """,
        {"scores": installation.lakehouse.scan("lead_scores", periods=[period.key])},
        [_ROUNDING],
    ).to_pylist()[0]
    told = f"{found['wrong']:,} of {found['known']:,} changes do not add up ({found['n']:,} leads were scored before)"
    return Finding(not found["wrong"], told, {"scored_before": found["n"]})


def scores_differ(installation: Installation, period: Period) -> Finding:
    """Leads get different scores: a model that says the same of everyone, or a class instead of a probability, is broken."""
    scores = installation.lakehouse.read("lead_scores", periods=[period.key], columns=["probability"])["probability"]
    distinct = len(scores.unique())
    if len(scores) < _ENOUGH_TO_DIFFER:
        return Finding(True, f"insufficient data: {len(scores)} scores, {_ENOUGH_TO_DIFFER} needed to judge")
    passed = distinct >= _FEWEST_DISTINCT_SHARE * len(scores)
    return Finding(passed, f"{distinct:,} distinct scores among {len(scores):,} leads", {"distinct": distinct})
