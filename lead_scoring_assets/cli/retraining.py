"""The verb `retrain`: a training that a person asks for; launched by the daemon where one works, else in this process."""

import sys
from typing import TYPE_CHECKING

import click

from lead_scoring_assets.cli.console import FAILED, answers, escaped, open_installation, remarks

if TYPE_CHECKING:
    from lead_scoring_assets.installation import Installation


@click.command(
    epilog='Example: lead-scoring retrain --by "Mona Haddad" --reason "the new product is on offer since May"'
)
@click.option("--reason", default="", metavar="TEXT", help="Why, in a sentence, for the record. Required.")
@click.option("--by", default="", metavar="NAME", help="Who asks (default: who is logged in to this machine).")
def retrain(reason: str, by: str) -> None:
    """Train a model on the newest closed period now, whatever the causes say, and let the gate judge it.

    Passes cooldown and back-off, and trains a decided period once more; that you took this on is recorded. Waits for a
    training that is under way. Exit code 1 when the training failed, 2 on bad input.
    """
    from lead_scoring_assets.promotion.people import person
    from lead_scoring_assets.retraining.by_hand import request_retraining
    from lead_scoring_assets.serve_ui import is_at_work

    installation = open_installation()
    request = request_retraining(installation, by or person(), reason)
    remarks.print(
        f"recorded as {request.request_id}: {escaped(request.by)} asks for a training: {escaped(request.reason)}"
    )
    if is_at_work(installation):
        seconds = installation.settings.retraining.sensor_interval_seconds
        remarks.print(
            f"The sensor retrain_on_cause launches it within {seconds} seconds, or says in the UI what it waits for."
        )
        return
    _train_here(installation)


def _train_here(installation: "Installation") -> None:
    from lead_scoring_assets import definitions as front_door
    from lead_scoring_assets import jobs
    from lead_scoring_assets.retraining.episodes import answer
    from lead_scoring_assets.retraining.sensors import JOB, DagsterRuns

    with jobs.open_instance() as instance:
        for run_id in jobs.close_abandoned_runs(instance):
            remarks.print(f"run {run_id} had been killed: it is marked as failed")
        runs = DagsterRuns(instance)
        answered = answer(installation, runs, "lead-scoring retrain")
        if answered.episode_id is None or answered.period is None:
            remarks.print(f"not yet: {escaped(answered.reason)}. Ask again, or `lead-scoring start` takes it up.")
            sys.exit(FAILED)
        period = installation.settings.calendar.period(answered.period)
        with remarks.status(f"training {period.key} ({answered.episode_id})") as status:
            quiet = jobs.progress_logger(lambda what, key: status.update(f"{key}: {what}"))
            definitions = front_door.build_definitions(loggers={jobs.PROGRESS_LOGGER: quiet})
            [run] = jobs.run_history(definitions, instance, JOB, [period], answered.tags)
        answer(installation, runs, "lead-scoring retrain")  # closes the episode with its verdict
    for error in run.errors:
        remarks.print(f"[bold red]stop:[/] {escaped(error)}")
    if not run.succeeded:
        sys.exit(FAILED)
    [decided] = installation.lakehouse.read("promotion_decision", periods=[period.key]).to_pylist()
    answers.print(f"[bold]{period.key}[/] {decided['verdict']}: {escaped(decided['reason'])}")
