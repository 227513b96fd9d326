"""The verbs about model versions: models, model, reproduce."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.table import Table

from lead_scoring_assets.cli.console import FAILED, answers, escaped, open_installation, remarks

if TYPE_CHECKING:
    from lead_scoring_assets.installation import Installation
    from lead_scoring_assets.models.record import TrainingRecord


class _Version(click.ParamType[int]):
    """A model version as people write it: 7 or v7."""

    name = "version"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        number = str(value).removeprefix("v")
        if not number.isdecimal() or not int(number):
            self.fail(f"{value!r} is no model version; write it like 7 or v7", param, ctx)
        return int(number)


@click.command(epilog="Examples: lead-scoring models   ·   lead-scoring models --at 2009-03-15")
@click.option("--at", type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M"]), help="Only which one was live then (UTC).")
def models(at: datetime | None) -> None:
    """Every model version: its period, stage, algorithm, holdout AUC, why it was trained and by which commit."""
    from lead_scoring_assets.models.registry import ModelRegistry
    from lead_scoring_assets.promotion.deployments import Deployments
    from lead_scoring_assets.promotion.story import live_at, summaries

    installation = open_installation()
    if at is not None:
        answers.print(escaped(live_at(installation, at.replace(tzinfo=UTC))))
        return
    rows = summaries(installation)
    if not rows:
        live, store = Deployments(installation.lakehouse).newest(), ModelRegistry(installation.home).tracking_uri
        remarks.print(
            "no model has been trained yet. Run `lead-scoring materialize`."
            if live is None
            else f"the model store {store} holds no version, though v{live.version} is live: expected the store in which it was "
            "registered. It is served on from its own files; bring the store back."
        )
        return
    title = f"Model versions of {installation.settings.name}{installation.settings.simulated_mark}"
    table = Table(title=title, box=None, pad_edge=False)
    for name in rows[0]:
        table.add_column(name, min_width=7 if name == "trigger" else None, no_wrap=name != "trigger", overflow="fold")
    for row in rows:
        table.add_row(*map(escaped, row.values()))
    answers.print(table)


@click.command(epilog="Example: lead-scoring model 7")
@click.argument("version", type=_Version())
def model(version: int) -> None:
    """What one version was made of and why: data hash, commit, environment, metrics, trigger, decisions, deployments."""
    from lead_scoring_assets.promotion.story import find_version, story

    installation = open_installation()
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, told in story(installation, find_version(installation, version)):
        table.add_row(name, escaped(told))
    answers.print(table)


@click.command(
    epilog="Examples: lead-scoring reproduce 7   ·   lead-scoring reproduce 7 --here   (with the present code, whatever "
    "differs)   ·   lead-scoring reproduce 7 --install   (builds the environment of then)"
)
@click.argument("version", type=_Version())
@click.option("--here", is_flag=True, help="With the code and environment that are here; differences are told.")
@click.option("--install", is_flag=True, help="Build the environment of then from its commit's lock, where it differs.")
@click.option(
    "--record",
    "record_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Read what is known of the training from this file instead of asking the model store.",
)
def reproduce(version: int, here: bool, install: bool, record_file: Path | None) -> None:
    """Train a version again from its recorded rows, code and environment, and compare every byte and figure.

    Exit code 0 when all is the same, 1 when something differs (each difference is told), 2 on bad input.
    """
    from lead_scoring_assets.models.provenance import gather
    from lead_scoring_assets.models.record import read_record
    from lead_scoring_assets.reproduction.past_code import is_present_code, reproduce_by_past_code

    if here and install:
        raise click.UsageError("--install builds another environment, --here uses this one: name one of them")
    record_file = record_file.resolve() if record_file else None  # before the home becomes the current folder
    installation = open_installation()
    record = read_record(record_file) if record_file else _recorded(installation, version)
    now = gather(installation.settings)
    if here or is_present_code(record.provenance, now):
        sys.exit(_rebuild_here(installation, version, record))

    def tell(words: str) -> None:
        remarks.print(escaped(words))

    sys.exit(reproduce_by_past_code(version, record, now, installation.home.data, install=install, tell=tell))


def _recorded(installation: "Installation", version: int) -> "TrainingRecord":
    """The record beside the version's model, which must be the one that is registered."""
    from lead_scoring_assets.errors import LakehouseError
    from lead_scoring_assets.models.record import read_record
    from lead_scoring_assets.promotion.story import find_version

    known = find_version(installation, version)
    record = read_record(known.record_file)
    if record.fingerprint != known.model.fingerprint:
        raise LakehouseError(
            f"{known.record_file} is the record of a model with fingerprint {record.fingerprint}, expected "
            f"{known.model.fingerprint}, which v{version} was registered with. Restore it from a backup."
        )
    return record


def _rebuild_here(installation: "Installation", version: int, record: "TrainingRecord") -> int:
    """Rebuild in this process, tell what came out and what differs, and give the exit code."""
    from lead_scoring_assets.models.provenance import differences, gather
    from lead_scoring_assets.reproduction.rebuild import rebuild

    with remarks.status(f"training v{version} again"):
        rebuilt = rebuild(record, installation.home.data)
    for difference in differences(record.provenance, gather(installation.settings)):
        remarks.print(f"other input: {escaped(difference)}")
    if rebuilt.is_same:
        answers.print(
            f"v{version} is the same again: fingerprint {rebuilt.fingerprint}, {len(record.files)} files byte for byte, "
            f"{len(rebuilt.metrics)} holdout metrics to the last digit."
        )
        return 0
    for difference in rebuilt.differences:
        answers.print(f"differs: {escaped(difference)}")
    return FAILED
