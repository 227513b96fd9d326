"""The closed loop of one policy, period by period: facts, decision, training, gate, who is live. The product's own decisions."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import get_args

from lead_scoring_assets.models.recipe import Recipe
from lead_scoring_assets.periods import Period
from lead_scoring_assets.promotion.best_so_far import Row, best_so_far
from lead_scoring_assets.promotion.deployments import Deployment
from lead_scoring_assets.promotion.gate import Comparison, Evidence, Verdict, decide_promotion
from lead_scoring_assets.promotion.records import decision_row
from lead_scoring_assets.promotion.trigger import Trigger, mode_for
from lead_scoring_assets.retraining.causes import Policy as RetrainingPolicy
from lead_scoring_assets.retraining.decisions import RetrainingDecision, decide_retraining
from lead_scoring_assets.retraining.facts import CandidateVerdict, Champion, DriftWindow, Facts, Judgement, Request
from lead_scoring_assets.settings import Settings
from lead_scoring_assets.timemachine.library import Library, Model
from lead_scoring_assets.timemachine.watching import DriftCause, Watch

_FIRST_MODEL = Request("first-model", "the replay", "a first model, so that every policy begins with the same one")


@dataclass(frozen=True)
class Step:
    """What happened at the end of one period. `causes`: those that asked for the training, the first named the episode.

    `verdict`: None where nothing was trained. `champion`: the period at whose end the model that is live afterwards was
    trained.
    """

    period: str
    causes: tuple[str, ...]
    verdict: Verdict | None
    reason: str
    champion: str | None


@dataclass(frozen=True)
class Played:
    """One policy over the history: `live[i]` was live in the i-th replayed period, `steps[i]` is what its end brought."""

    live: tuple[Model | None, ...]
    steps: tuple[Step, ...]

    @property
    def trained(self) -> tuple[str, ...]:
        """Periods at whose end a model was trained."""
        return tuple(step.period for step in self.steps if step.verdict not in (None, "no_candidate"))

    @property
    def promoted(self) -> tuple[str, ...]:
        """Periods whose model went live."""
        return tuple(step.period for step in self.steps if step.verdict == "promoted")


@dataclass
class _State:
    """What the tables of the product would hold of one policy so far."""

    live: list[Model | None]
    models: dict[int, Model] = field(default_factory=dict)
    deployments: list[Deployment] = field(default_factory=list)
    decisions: list[Row] = field(default_factory=list)
    judgements: list[Judgement] = field(default_factory=list)
    windows: dict[DriftCause, list[DriftWindow]] = field(default_factory=lambda: {c: [] for c in get_args(DriftCause)})
    last_recipe: Recipe | None = None

    @property
    def champion(self) -> Deployment | None:
        return self.deployments[-1] if self.deployments else None


def play(
    library: Library,
    watch: Watch,
    settings: Settings,
    begin: int,
    end: int,
    *,
    first_model_by_hand: bool = True,
) -> Played:
    """Play `settings` (retraining, drift, performance, gate) over `periods[begin]` to `periods[end]`, beginning with no model.

    Args:
        library: trains, judges and remembers.
        watch: measures drift and performance.
        settings: of the policy.
        begin: place of the first period.
        end: place of the last; at its end nothing is decided any more.
        first_model_by_hand: a person asks for trainings until a first model is live. False: only the causes ask.
    """
    state, policy, steps = _State(live=[None] * begin), RetrainingPolicy.of(settings), []
    for place in range(begin, end + 1):
        state.live.append(state.models[state.champion.version] if state.champion else None)
        if place == end:
            break
        request = _FIRST_MODEL if first_model_by_hand and state.champion is None else None
        facts = _facts(state, library, watch, settings, place, request)
        decision = _decide(facts, policy, watch, place)
        steps.append(_carry_out(state, library, settings, place, decision))
    return Played(tuple(state.live[begin:]), tuple(steps))


def _facts(
    state: _State, library: Library, watch: Watch, settings: Settings, place: int, request: Request | None
) -> Facts:
    recorded, causes, champion = library.recorded, settings.retraining.causes, state.champion
    period = recorded.periods[place]
    live = state.live[place]
    if live is not None and champion is not None:
        for cause, windows in state.windows.items():
            if cause in causes:
                windows.append(watch.drift(cause, place, live, champion.version, settings))
    is_judged = champion is not None and "performance" in causes
    since = state.judgements[-1].judged_at if state.judgements else None
    return Facts(
        now=period.end,
        period=period.key,
        champion=Champion(champion.version, live.figures["auc"].value) if champion and live else None,
        first_live_at=state.deployments[0].effective_at if state.deployments else None,
        drift=state.windows["drift"],
        concept_drift=state.windows["concept_drift"],
        prediction_drift=state.windows["prediction_drift"],
        performance=watch.performance(place, state.live, settings.performance) if is_judged else None,
        new_labels=recorded.new_labels(since, period.end),
        judgements=state.judgements,
        request=request,
    )


def _decide(facts: Facts, policy: RetrainingPolicy, watch: Watch, place: int) -> RetrainingDecision:
    decision = decide_retraining(facts, policy)
    if not decision.retrain:
        return decision
    return decide_retraining(replace(facts, training_data=watch.training_data(place)), policy)


def _carry_out(state: _State, library: Library, settings: Settings, place: int, decision: RetrainingDecision) -> Step:
    period = library.recorded.periods[place]
    if not decision.retrain:
        return Step(period.key, (), None, decision.reason, _champion_of(state))
    causes = tuple(finding.cause for finding in decision.triggers)
    candidate = library.candidate(place, state.last_recipe)
    if isinstance(candidate, str):
        return Step(period.key, causes, "no_candidate", candidate, _champion_of(state))
    verdict, reason = _judge(state, library, settings, period, candidate, causes)
    state.last_recipe = candidate.recipe
    return Step(period.key, causes, verdict, reason, _champion_of(state))


def _judge(
    state: _State, library: Library, settings: Settings, period: Period, candidate: Model, causes: Sequence[str]
) -> tuple[Verdict, str]:
    version = len(state.models) + 1
    state.models[version] = candidate

    def against(other: int) -> Comparison:
        return library.comparison(other, candidate, state.models[other])

    champion = against(state.champion.version) if state.champion else None
    best = best_so_far(state.deployments, state.decisions, frozenset())
    evidence = Evidence(
        auc=candidate.figures["auc"],
        brier=candidate.figures["brier"],
        precision=candidate.figures["precision_at_10_percent"],
        champion=champion,
        best=champion if best is None or (champion and best.version == champion.version) else against(best.version),
    )
    trigger = Trigger(tuple(causes), "", mode_for(causes, settings.gate.mode))
    decided = decide_promotion(evidence, settings.gate, trigger.mode)
    state.decisions.append(decision_row(period, version, evidence, decided, trigger, settings.gate))
    state.judgements.append(Judgement(period.key, period.end, _as_judgement(decided.verdict)))
    if decided.verdict == "promoted":
        state.deployments.append(_deployment(version, period.end, period))
    return decided.verdict, decided.reason


def _as_judgement(verdict: Verdict) -> CandidateVerdict:
    assert verdict != "no_candidate"  # noqa: S101  # narrows the type: a candidate was judged
    return verdict


def _deployment(version: int, effective_at: datetime, period: Period) -> Deployment:
    return Deployment(version, effective_at, period.key, bundle="", fingerprint="", actor="the replay", reason="")


def _champion_of(state: _State) -> str | None:
    return state.champion.period if state.champion else None
