"""`lead-scoring …`: the verbs a person types. Each prints what it did; an error is one message and exit code 2."""

import os
from pathlib import Path

import click

from lead_scoring_assets.cli import (
    alerts,
    backtest,
    data,
    everyday,
    experiments,
    models,
    promotion,
    replay,
    retraining,
    rollout,
    scoring,
    serving,
)
from lead_scoring_assets.cli.console import Verbs


@click.group(
    cls=Verbs,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="Example: lead-scoring prepare && lead-scoring materialize && lead-scoring worklist --top 10",
)
@click.option(
    "--home",
    type=click.Path(file_okay=False, path_type=Path),
    help="The installation to work on (default: LEAD_SCORING_HOME, else DAGSTER_HOME, else the current folder).",
)
@click.version_option(package_name="lead-scoring")
def main(home: Path | None) -> None:
    """Score leads, watch data and models, retrain when there is cause."""
    if home is not None:
        os.environ["LEAD_SCORING_HOME"] = str(home.resolve())


for verb in (
    everyday.prepare,
    everyday.materialize,
    everyday.check,
    everyday.arrive,
    scoring.worklist,
    scoring.score,
    scoring.explain,
    everyday.status,
    everyday.results,
    everyday.report,
    everyday.start,
    serving.serve,
    serving.keys,
    models.models,
    models.model,
    models.reproduce,
    retraining.retrain,
    backtest.backtest,
    replay.replay,
    promotion.promote,
    promotion.approve,
    promotion.reject,
    promotion.rollback,
    rollout.rollout,
    experiments.experiment,
    alerts.alerts,
    alerts.acknowledge,
    data.schema,
    data.query,
    data.init,
    data.doctor,
):
    main.add_command(verb)
