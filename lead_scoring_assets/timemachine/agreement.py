"""Whether the fast replay and the real jobs and sensors did the same: the same causes, verdicts and champions, and when."""

from collections.abc import Sequence
from dataclasses import dataclass

from lead_scoring_assets.backtesting.walk_forward import silent
from lead_scoring_assets.errors import LeadScoringError
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.periods import Period
from lead_scoring_assets.promotion.deployments import Deployments
from lead_scoring_assets.retraining.records import JOINED, OPENED
from lead_scoring_assets.timemachine.library import Library, Resampled
from lead_scoring_assets.timemachine.loop import Step, play
from lead_scoring_assets.timemachine.policies import Policy
from lead_scoring_assets.timemachine.recorded import read_recorded
from lead_scoring_assets.timemachine.watching import Watch


@dataclass(frozen=True)
class Compared:
    """One period as Dagster played it, and as the replay did."""

    through_dagster: Step
    replayed: Step

    @property
    def is_same(self) -> bool:
        return not self.differences

    @property
    def differences(self) -> list[str]:
        """In words; none where both did the same."""
        return [
            f"{self.replayed.period}: {words} {theirs or 'none'} in Dagster, {ours or 'none'} in the replay"
            for words, theirs, ours in (
                ("causes", _told(self.through_dagster.causes), _told(self.replayed.causes)),
                ("verdict", self.through_dagster.verdict, self.replayed.verdict),
                ("reason", self.through_dagster.reason, self.replayed.reason),
                ("model live afterwards", self.through_dagster.champion, self.replayed.champion),
            )
            if theirs != ours
        ]


def _told(causes: Sequence[str]) -> str:
    """The first names the episode; those that joined at the same instant have no order in the log."""
    return ", ".join([*causes[:1], *sorted(causes[1:])])


LIKE_THE_REPLAY = Policy("as replayed", "", {"gate": {"approval": "automatic", "traceable": "recorded"}})
"""What a home needs so that both can do the same: nobody is asked."""


def through_dagster(installation: Installation, periods: Sequence[Period]) -> list[Step]:
    """What the tables and the event log of a home say happened at the end of each of `periods`."""
    lakehouse, deployments = installation.lakehouse, Deployments(installation.lakehouse)
    rows = lakehouse.read("promotion_decision").to_pylist() if lakehouse.exists("promotion_decision") else []
    decided = {row["period"]: row for row in rows}
    asked: dict[str, list[str]] = {}
    for kind in (OPENED, JOINED):
        for event in installation.events.events(kind=kind):
            asked.setdefault(str(event.evidence["period"]), []).append(event.subject)
    steps = []
    for period in periods:
        live, row = deployments.champion_at(period.end), decided.get(period.key)
        steps.append(
            Step(
                period=period.key,
                causes=tuple(asked.get(period.key, ())),
                verdict=row["verdict"] if row else None,
                reason=row["reason"] if row else "",
                champion=live.period if live else None,
            )
        )
    return steps


def replayed_alike(installation: Installation, periods: Sequence[Period]) -> list[Step]:
    """The fast replay of a home's own settings over its tables, trained and judged as the product does."""
    recorded = read_recorded(
        installation.lakehouse.scan("lead_features"),
        installation.lakehouse.scan("ground_truth_labels"),
        installation.settings,
    )
    if missing := [period.key for period in periods if period not in recorded.periods]:
        raise LeadScoringError(
            f"{', '.join(missing)} cannot be replayed: expected leads and labels of them, found some from "
            f"{recorded.periods[0]} to {recorded.periods[-1]} only. Choose others with --from and --through."
        )
    library = Library(recorded, installation.settings, Resampled(installation.settings), silent)
    begin = recorded.periods.index(periods[0])
    end = recorded.periods.index(periods[-1]) + 1
    played = play(library, Watch(recorded), installation.settings, begin, end, first_model_by_hand=False)
    return list(played.steps)


def compare(ours: Sequence[Step], theirs: Sequence[Step]) -> list[Compared]:
    """Period by period. A period in which nothing was trained has no verdict and no reason to compare."""
    return [
        Compared(real, mine if mine.verdict else Step(mine.period, mine.causes, None, "", mine.champion))
        for real, mine in zip(theirs, ours, strict=True)
    ]
