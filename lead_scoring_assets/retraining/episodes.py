"""Episodes: what asks for a training of one period, from the first cause to the verdict. One at a time, one deciding process
at a time; what was asked, joined, refused and answered is in the event log, and what a process died over is taken up again.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol

from lead_scoring_assets.files import one_at_a_time
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.promotion.people import REQUESTED_BY_TAG
from lead_scoring_assets.retraining.causes import Policy
from lead_scoring_assets.retraining.decisions import RetrainingDecision, decide_retraining
from lead_scoring_assets.retraining.facts import Facts, Request
from lead_scoring_assets.retraining.records import Episode, Records
from lead_scoring_assets.retraining.situation import Situation, count_training_data, gather, look

RunState = Literal["none", "running", "succeeded", "failed"]
CAUSE_TAG, EPISODE_TAG = "lead_scoring/cause", "lead_scoring/episode"


class Runs(Protocol):
    """What is known of the runs of this home."""

    def at_work(self) -> str | None:
        """The unfinished run that trains, or makes what a training or a decision looks at, in words; None: there is none."""
        ...

    def state_of(self, episode_id: str) -> RunState:
        """How the run stands that this episode asked for; `none`: it was never launched."""
        ...


@dataclass(frozen=True)
class Answer:
    """What is done now: launch the training of `period` named by `episode_id`, or nothing; and why, in words."""

    reason: str
    episode_id: str | None = None
    period: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)


def answer(installation: Installation, runs: Runs, actor: str) -> Answer:
    """Look, decide, record, and say what to launch. Asked again, by whomever, it asks for the same run under the same id
    until that run is there: who dies after recording and before launching has lost nothing."""
    with one_at_a_time(installation.home.lock("retraining")):
        situation = look(installation)
        if situation is None:
            return Answer("no period has closed yet")
        records = Records(installation.events)
        episode = _close_what_has_ended(records, situation, runs, actor)
        if episode is not None and runs.state_of(episode.episode_id) == "running":
            return Answer(_in_flight(episode))
        if (at_work := runs.at_work()) is not None:
            return Answer(f"{at_work}: what it makes is waited for")
        if episode is not None:
            return _ask_again(installation, situation, records, episode, actor)
        decision = _decide(installation, situation, records)
        if not decision.retrain:
            records.decline(decision, situation.now, actor)
            return Answer(decision.reason)
        # Recorded before the run is asked for: a process that dies in between finds the episode and asks again.
        return _launch(records.open(decision, situation.now, actor, records.pending()), decision.reason)


def preview(
    installation: Installation, situation: Situation, records: Records, request: Request | None = None
) -> RetrainingDecision:
    """What would be decided now, with `request` where nobody's waits, from the tables alone: nothing is recorded, no run is
    looked at."""
    episode = records.open_episode()
    facts = gather(
        installation,
        situation,
        request=records.pending() or request,
        in_flight=_in_flight(episode) if episode else None,
        answered=_answered(records, situation),
    )
    return _decide_on(installation, situation, facts)


def _close_what_has_ended(records: Records, situation: Situation, runs: Runs, actor: str) -> Episode | None:
    """Close the open episode when it has come to its end; the episode where it has not."""
    episode = records.open_episode()
    if episode is None:
        return None
    state, decided = runs.state_of(episode.episode_id), situation.decision_of(episode.period)
    # A verdict from before the episode is not its answer: there the run has to tell.
    if decided is not None and (state == "succeeded" or not episode.is_repeat):
        records.close(episode, situation.now, "promotion_decision", f"{decided['verdict']}: {decided['reason']}")
    elif state in ("failed", "succeeded"):
        told = "failed" if state == "failed" else "ended without a decision"
        records.close(episode, situation.now, actor, f"the training of {episode.period} {told}")
    elif state == "none" and episode.period != situation.period.key:
        told = f"overtaken: {situation.period.key} has closed before the training of {episode.period} began"
        records.close(episode, situation.now, actor, told)
    else:
        return episode
    return None


def _ask_again(
    installation: Installation, situation: Situation, records: Records, episode: Episode, actor: str
) -> Answer:
    """The episode stands, whether or not its cause still does; what else asks by now joins it."""
    decision = _decide(installation, situation, records)
    records.join(episode, decision, situation.now, actor, records.pending())
    return _launch(records.open_episode() or episode, f"{episode.episode_id} was recorded and is asked for")


def _decide(installation: Installation, situation: Situation, records: Records) -> RetrainingDecision:
    facts = gather(installation, situation, request=records.pending(), answered=_answered(records, situation))
    return _decide_on(installation, situation, facts)


def _decide_on(installation: Installation, situation: Situation, facts: Facts) -> RetrainingDecision:
    policy = Policy.of(installation.settings)
    decision = decide_retraining(facts, policy)
    if not decision.retrain:
        return decision
    # Counted only where nothing else says no: it reads the window of a training, and sensors ask often.
    counted = replace(facts, training_data=count_training_data(installation, situation.period))
    return decide_retraining(counted, policy)


def _answered(records: Records, situation: Situation) -> str | None:
    """What the newest closed period's training came to; None: it has had none."""
    period = situation.period.key
    if (decided := situation.decision_of(period)) is not None:
        return f"{period} has been decided ({decided['verdict']}: {decided['reason']})"
    if (closed := records.how_closed(period)) is not None:
        return f"{closed}: re-execute its run in the UI, or `lead-scoring retrain --reason …`"
    return None


def _launch(episode: Episode, reason: str) -> Answer:
    tags = {CAUSE_TAG: episode.cause, EPISODE_TAG: episode.episode_id}
    if episode.requested_by is not None:
        tags[REQUESTED_BY_TAG] = episode.requested_by
    return Answer(reason, episode.episode_id, episode.period, tags)


def _in_flight(episode: Episode) -> str:
    return f"a training of {episode.period} is under way ({episode.episode_id})"
