"""What a person does to a version: promote, approve, reject, roll back. Each is one commit to the table of deployments.

The table is written first; what follows it (`following.follow`) is the caller's next call, because MLflow takes seconds to
import and a rollback must not wait for it.
"""

from dataclasses import replace

from lead_scoring_assets.errors import LakehouseError, PromotionError
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.models.bundle import load_scorer, verify_files
from lead_scoring_assets.models.registry import ModelRegistry
from lead_scoring_assets.promotion.deployments import Deployment, Deployments, earlier_versions
from lead_scoring_assets.promotion.following import record_events
from lead_scoring_assets.promotion.lifecycle import Action
from lead_scoring_assets.promotion.traceability import why_untraceable


def promote(
    installation: Installation, version: int, by: str, reason: str, *, allow_untraceable: bool = False
) -> Deployment:
    """Take `version` live by hand: any that loads and that nobody rejected.

    `allow_untraceable`: also where the settings require that a commit holds its code and none does; that is recorded.

    Raises:
        PromotionError: no reason, no such version, it was rejected or is live already, it does not load, or is not
            traceable.
    """
    if not reason.strip():
        raise PromotionError(f"v{version} is promoted by hand only with a reason, found none: add --reason.")
    return _step(installation, version, "promoted_by_hand", by, reason, allow_untraceable=allow_untraceable)


def approve(installation: Installation, version: int, by: str, reason: str) -> Deployment:
    """Take the candidate in staging live.

    Raises:
        PromotionError: it is not in staging, its training was asked for by the same person, it met another champion
            than the one that is live, it does not load, is not traceable where that is required, or has to be rolled out.
    """
    if installation.settings.gate.approval == "rollout" and Deployments(installation.lakehouse).newest() is not None:
        raise PromotionError(
            f"v{version} goes live by a rollout, expected no approval of all of it at once (`gate.approval: rollout`): "
            "`lead-scoring rollout approve` answers what it waits for. What cannot wait goes live with `lead-scoring promote`."
        )
    return _step(installation, version, "approved", by, reason or "approved")


def propose(installation: Installation, version: int, by: str, reason: str) -> Deployment:
    """Take a version that was trained to staging by hand, in place of the candidate that waits there.

    Raises:
        PromotionError: it was rejected, is or was live, or does not load.
    """
    return _step(installation, version, "proposed", by, reason)


def roll_out(installation: Installation, version: int, by: str, reason: str) -> Deployment:
    """Take the candidate live that a rollout has brought to all leads.

    Raises:
        PromotionError: it was rejected or is live already, it does not load, or is not traceable where that is required.
    """
    return _step(installation, version, "rolled_out", by, reason)


def reject(installation: Installation, version: int, by: str, reason: str) -> Deployment:
    """Say no to a version for good: it is archived and never goes live.

    Raises:
        PromotionError: no such version, or it is or was live.
    """
    return _step(installation, version, "rejected", by, reason or "rejected")


def roll_back(installation: Installation, by: str, reason: str, *, only_from: int | None = None) -> Deployment:
    """Take the version live again that was live before the present one and was not itself left; the newest that loads.

    `only_from`: whoever acts by himself names the version that he means, so that two who see one fault go back once.

    Raises:
        PromotionError: nothing is live, or not `only_from`, or no earlier version is left that loads.
    """
    deployments = Deployments(installation.lakehouse)
    with deployments.one_at_a_time():
        live = deployments.newest()
        if live is None:
            raise PromotionError(
                "no version is live, expected one to roll back from: `lead-scoring materialize` trains and promotes one."
            )
        if only_from not in (None, live.version):
            raise PromotionError(
                f"v{only_from} was to be left, expected it live, found v{live.version}: it is left already."
            )
        return go_back(installation, deployments, live, "rolled_back", by, reason or "rolled back")


def go_back(
    installation: Installation,
    deployments: Deployments,
    live: Deployment,
    action: Action,
    by: str,
    reason: str,
) -> Deployment:
    """Take the best earlier version live in place of `live`; only inside the lock.

    Raises:
        PromotionError: there is none that loads; the message names each and why.
    """
    refused: list[str] = []
    for earlier in earlier_versions(deployments.history(), deployments.lifecycle(), live):
        try:
            # Not loaded: it did when it went live, and importing what loads it takes longer than all of a rollback.
            verify_files(earlier.folder(installation.home.data), earlier.fingerprint)
        except LakehouseError as problem:
            refused.append(f"v{earlier.version}: {problem}")
        else:
            told = f"{reason} (from v{live.version} back to v{earlier.version})"
            return _append(installation, deployments, replace(earlier, action=action, actor=by, reason=told))
    raise PromotionError(
        f"there is no earlier version to go back to from v{live.version}, expected one that was live, was not rolled back "
        f"from, and loads; found {'; '.join(refused) or 'none'}. Name a version: `lead-scoring promote VERSION --reason …`."
    )


def _step(
    installation: Installation, version: int, action: Action, by: str, reason: str, *, allow_untraceable: bool = False
) -> Deployment:
    known = _find(installation, version)
    deployments = Deployments(installation.lakehouse)
    with deployments.one_at_a_time():
        deployments.lifecycle().after(action, version)
        if action == "approved":
            _refuse_approval(deployments, version, by)
        if action != "rejected":
            _must_load(installation, known)
            reason = _with_known_code(installation, known, reason, allow_untraceable)
        return _append(installation, deployments, replace(known, action=action, actor=by, reason=reason))


def _must_load(installation: Installation, version: Deployment) -> None:
    try:
        load_scorer(version.folder(installation.home.data), version.fingerprint)
    except LakehouseError as problem:
        raise PromotionError(f"v{version.version} does not load, expected a whole artefact: {problem}") from None


def _with_known_code(installation: Installation, version: Deployment, reason: str, allow_untraceable: bool) -> str:
    """The reason, and in it what a person let pass.

    Going back asks for nothing of the kind: who rolls back needs what worked before, at once.
    """
    if installation.settings.gate.traceable == "recorded":
        return reason
    why = why_untraceable(version.folder(installation.home.data), version.fingerprint)
    if why is None:
        return reason
    if not allow_untraceable:
        raise PromotionError(
            f"v{version.version} is not traceable, expected a commit that holds exactly the code that trained it "
            f"(`gate.traceable: required`), found that {why}. Commit and train again; or take it live all the same: "
            f"`lead-scoring promote {version.version} --allow-untraceable --reason …`, which is recorded."
        )
    return f"{reason} (let pass: {why})"


def _append(installation: Installation, deployments: Deployments, step: Deployment) -> Deployment:
    done = deployments.append(replace(step, effective_at=installation.clock.now()))
    record_events(installation.events, deployments.steps())
    return done


def _refuse_approval(deployments: Deployments, version: int, by: str) -> None:
    proposal = next(s for s in reversed(deployments.steps()) if (s.action, s.version) == ("proposed", version))
    if proposal.requested_by == by:
        raise PromotionError(
            f"v{version} was trained at the request of {by}, expected another person to approve it: four eyes. Ask a "
            "colleague, who names themselves with --by."
        )
    newest = deployments.newest()
    live = newest.version if newest else None
    if proposal.champion_version != live:
        raise PromotionError(
            f"v{version} met {_named(proposal.champion_version)}, expected {_named(live)}, which is live now: the "
            f"comparison is out of date. Decide {proposal.period} again (`lead-scoring materialize --from "
            f"{proposal.period} --through {proposal.period} --again`), or promote it by hand with a reason."
        )


def _named(version: int | None) -> str:
    return "no champion" if version is None else f"v{version}"


def _find(installation: Installation, version: int) -> Deployment:
    """The version as a step that has not happened: from the table, which is quick, or else from MLflow.

    Raises:
        PromotionError: nobody trained such a version.
    """
    known = next((s for s in reversed(Deployments(installation.lakehouse).steps()) if s.version == version), None)
    if known is not None:
        return replace(known, requested_by=None)
    registry = ModelRegistry(installation.home)
    found = registry.find_version(version) if registry.is_prepared else None
    if found is None:
        raise PromotionError(
            f"there is no version v{version}, expected one that was trained. `lead-scoring query` tells which "
            "there are, from the table trained_model."
        )
    model, period = found
    return Deployment(version, installation.clock.now(), period, model.bundle, model.fingerprint, "", "")
