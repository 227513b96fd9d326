"""Judgements on what is live: the deployed model loads, and every period has its decision."""

from lead_scoring_assets.contracts.findings import Finding
from lead_scoring_assets.errors import LakehouseError
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.models.bundle import load_scorer
from lead_scoring_assets.periods import Period
from lead_scoring_assets.promotion.deployments import TABLE, Deployments
from lead_scoring_assets.promotion.fallback import stand_in_for


def champion_loads(installation: Installation, period: Period) -> Finding:
    """The champion at the period's end, or what stands in for it, is whole and scores its golden rows as when trained."""
    deployments = Deployments(installation.lakehouse)
    champion = deployments.champion_at(period.end)
    if champion is None:
        return Finding(True, "no champion yet")
    told = ""
    while True:
        try:
            load_scorer(champion.folder(installation.home.data), champion.fingerprint)
        except LakehouseError as problem:
            told += f"champion v{champion.version}: {problem} "
            stand_in = stand_in_for(champion, deployments.history())
            if stand_in is None:
                return Finding(False, told.rstrip())
            champion = stand_in
        else:
            whole = f"v{champion.version} (trained {champion.period}) loads and scores as trained"
            return Finding(True, f"{told}Since then {whole}" if told else f"champion {whole}")


def decision_recorded(installation: Installation, period: Period) -> Finding:
    """There is exactly one decision, with a reason."""
    rows = installation.lakehouse.read("promotion_decision", periods=[period.key]).to_pylist()
    passed = len(rows) == 1 and bool(rows[0]["reason"])
    return Finding(
        passed, f"{rows[0]['verdict']}: {rows[0]['reason']}" if passed else f"{len(rows)} decisions, 1 expected"
    )


def one_production(installation: Installation, period: Period) -> Finding:
    """Since the first deployment exactly one version is in production, and no sequence comes twice."""
    del period  # the table is one for all periods
    if not installation.lakehouse.exists(TABLE):
        return Finding(True, "no champion yet")
    deployments = Deployments(installation.lakehouse)
    sequences = installation.lakehouse.read(TABLE, columns=["sequence"])["sequence"].to_pylist()
    twice = len(sequences) - len(set(sequences))
    live = list(deployments.lifecycle().stages.values()).count("production")
    expected = 1 if deployments.history() else 0
    return Finding(
        live == expected and not twice,
        f"{live} versions in production, {expected} expected; {twice} of {len(sequences)} sequences come twice",
    )
