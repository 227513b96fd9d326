"""Where things stand, in sentences: what `lead-scoring status` prints. Only reads."""

from textwrap import shorten

from lead_scoring_assets.alerts.episodes import Episode, counted, episodes_of, open_alerts
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.retraining.episodes import preview
from lead_scoring_assets.retraining.records import Records
from lead_scoring_assets.retraining.situation import look

_ALERTS_SHOWN, _SIGNS_SHOWN = 3, 240
# What is not known is no "no".
_SAID = {"given": "cause to retrain", "insufficient_data": "not known", "not_computable": "not known"}


def overview(installation: Installation) -> list[tuple[str, str]]:
    """Pairs of a name and a sentence, in the order in which a person asks."""
    situation = look(installation)
    if situation is None:
        return [("clock", f"{installation.clock.now():%Y-%m-%d}: no period has closed yet")]
    champion = situation.champion
    told = [
        *([("data", installation.settings.simulated_part)] if installation.settings.simulated_part else []),
        (
            "clock",
            f"{situation.now:%Y-%m-%d} ({installation.settings.clock}); newest closed period {situation.period.key}",
        ),
        (
            "champion",
            f"v{champion.version}, trained {champion.period}, live since {champion.effective_at:%Y-%m-%d}: {champion.reason}"
            if champion
            else "none yet",
        ),
    ]
    if situation.decisions:
        last = situation.decisions[-1]
        if last["decided_at"] > situation.now:
            told.append(
                (
                    "clock went back",
                    f"{last['period']} was decided as of {last['decided_at']:%Y-%m-%d}, which is yet to come",
                )
            )
        told.append(("last decision", f"{last['period']}: {last['verdict']}: {last['reason']}"))
    decision = preview(installation, situation, Records(installation.events))
    told += [
        (finding.cause.replace("_", " "), f"{_SAID.get(finding.status, 'no cause')}: {finding.reason}")
        for finding in decision.findings
    ]
    told += [("held back", brake.reason) for brake in decision.brakes]
    return told + _alerts(episodes_of(installation.events.events()))


def _alerts(episodes: list[Episode]) -> list[tuple[str, str]]:
    """Those that last, counted by level, and the newest of them."""
    lasting = open_alerts(episodes)
    newest = sorted(lasting, key=lambda alert: alert.raised_at)[-_ALERTS_SHOWN:]
    return [
        ("open alerts", f"{counted(episodes)}{'; `lead-scoring alerts --open` lists them' if lasting else ''}"),
        *(("", f"[{alert.level}] {shorten(alert.message, _SIGNS_SHOWN, placeholder=' …')}") for alert in newest),
    ]
