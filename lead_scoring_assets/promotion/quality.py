"""Judgements on what is live: the deployed model loads, and every period has its decision."""

from lead_scoring_assets.contracts.findings import Finding
from lead_scoring_assets.errors import LakehouseError
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.models.scorer import load_scorer
from lead_scoring_assets.periods import Period
from lead_scoring_assets.promotion.deployments import Deployments


def champion_loads(installation: Installation, period: Period) -> Finding:
    """The champion at the period's end is whole and scores its golden rows as on the day it was trained."""
    champion = Deployments(installation.lakehouse).champion_at(period.end)
    if champion is None:
        return Finding(True, "no champion yet")
    try:
        load_scorer(champion.folder(installation.home.data), champion.fingerprint)
    except LakehouseError as problem:
        return Finding(False, f"champion v{champion.version}: {problem}")
    return Finding(True, f"champion v{champion.version} (trained {champion.period}) loads and scores as trained")


def decision_recorded(installation: Installation, period: Period) -> Finding:
    """There is exactly one decision, with a reason."""
    rows = installation.lakehouse.read("promotion_decision", periods=[period.key]).to_pylist()
    passed = len(rows) == 1 and bool(rows[0]["reason"])
    return Finding(
        passed, f"{rows[0]['verdict']}: {rows[0]['reason']}" if passed else f"{len(rows)} decisions, 1 expected"
    )
