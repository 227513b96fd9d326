"""A training that a person asks for: who, when and why are on record before anything happens. Launching it is the sensor's."""

from lead_scoring_assets.errors import RetrainingError
from lead_scoring_assets.files import one_at_a_time
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.retraining.episodes import preview
from lead_scoring_assets.retraining.facts import Request
from lead_scoring_assets.retraining.records import Records
from lead_scoring_assets.retraining.situation import look


def request_retraining(installation: Installation, by: str, reason: str) -> Request:
    """Record that `by` asks for a training of the newest closed period, because of `reason`. Asked twice, recorded once.

    It passes cooldown, back-off, and that the period was decided; it waits for what is in flight.

    Raises:
        RetrainingError: no reason; another person's request waits; no period has closed, or has too little data.
    """
    if not (reason := reason.strip()):
        raise RetrainingError("a training by hand needs a reason, found none: say why in a sentence with --reason.")
    situation = look(installation)
    if situation is None:
        raise RetrainingError(
            "no period has closed yet, expected one to train on: `lead-scoring status` shows the clock."
        )
    with one_at_a_time(installation.home.lock("retraining")):
        records = Records(installation.events)
        if (waiting := records.pending()) is not None:
            if (waiting.by, waiting.reason) == (by, reason):
                return waiting
            raise RetrainingError(
                f"{waiting.by} has asked for a training already ({waiting.reason}), expected no request that waits: it is "
                "launched first. `lead-scoring status` says what it waits for."
            )
        decision = preview(installation, situation, records, Request("not recorded yet", by, reason))
        if short := next((brake for brake in decision.brakes if brake.name == "minimum_data"), None):
            raise RetrainingError(
                f"{decision.period} cannot be trained on: {short.reason}. Wait for more labels, or lower the limits under "
                "`training:` in lead_scoring.yaml."
            )
        return records.request(by, reason, situation.now)
