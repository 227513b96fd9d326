"""The Dagster job of a person who wants a training, for the Launchpad. What it does stands in `by_hand.py`."""

import dagster as dg

from lead_scoring_assets.installation import Installation
from lead_scoring_assets.promotion.people import person
from lead_scoring_assets.retraining.by_hand import request_retraining


class Wanted(dg.Config):
    """Why, and who asks. Nobody named: who started Dagster."""

    reason: str
    by: str = ""


@dg.op
def ask_for_training(
    context: dg.OpExecutionContext, config: Wanted, installation: dg.ResourceParam[Installation]
) -> None:
    """Record the request; `retrain_on_cause` launches it."""
    request = request_retraining(installation, config.by or person(), config.reason)
    context.log.info("%s: %s asks for a training: %s", request.request_id, request.by, request.reason)


@dg.job(description="Asks for a training by hand, with a reason; the sensor retrain_on_cause launches it.")
def retrain() -> None:
    """One request."""
    ask_for_training()


JOBS = [retrain]
