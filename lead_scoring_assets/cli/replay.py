"""The verb about rules for retraining: replay."""

import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lead_scoring_assets.cli.console import FAILED, escaped, open_installation, remarks
from lead_scoring_assets.cli.replay_words import progress_bar, show_agreement, show_policies, told_in_json
from lead_scoring_assets.errors import LeadScoringError

if TYPE_CHECKING:
    from lead_scoring_assets.installation import Installation
    from lead_scoring_assets.timemachine.policies import Policy
    from lead_scoring_assets.timemachine.recommendation import Recommendation
    from lead_scoring_assets.timemachine.replay import Replay
    from lead_scoring_assets.timemachine.several import AcrossWorlds

_PAGE = "replay.html"
_A_YEAR_DAYS = 366
_HERE = "95 % over the leads of this history"


@click.command(
    epilog="Examples: lead-scoring replay   ·   lead-scoring replay --policy quarterly --policy performance --training-cost "
    "250   ·   lead-scoring replay --write recommended.yaml   ·   lead-scoring replay --worlds 5   ·   lead-scoring replay "
    "--through-dagster"
)
@click.option("--from", "first", metavar="PERIOD", help="First period (default: the first with leads).")
@click.option("--through", "last", metavar="PERIOD", help="Last period (default: the newest that has matured).")
@click.option("--policy", "names", multiple=True, metavar="NAME", help="May be given more than once (default: all).")
@click.option(
    "--policies",
    "own",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="YAML with policies of your own, such as `mine: {drift: {psi_drift: 0.15}}`.",
)
@click.option(
    "--training-cost",
    type=click.FloatRange(min=0),
    help="In the settings' currency (default: evaluation.training_cost).",
)
@click.option(
    "--worlds",
    type=click.IntRange(2, 50),
    help="So many more histories of the simulated CRM, a minute or two each; intervals are then over histories.",
)
@click.option(
    "--through-dagster", is_flag=True, help="Drive the real jobs and sensors through a year, and compare what happened."
)
@click.option(
    "--write",
    "file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write lead_scoring.yaml with the advised policy, and why, into this new file; nothing where none is shown to pay.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def replay(
    first: str | None,
    last: str | None,
    names: tuple[str, ...],
    own: Path | None,
    training_cost: float | None,
    worlds: int | None,
    through_dagster: bool,
    file: Path | None,
    as_json: bool,
) -> None:
    """Which rule for retraining would have earned most? Plays the closed loop over recorded history under each rule.

    Arrival, label delay, drift, triggers, training, gate and sales under capacity, by the product's own decisions, compared
    in money with never retraining and with hindsight; the page lies in data/reports/replay.html. Nothing is registered or
    deployed.

    With --through-dagster the real jobs and sensors play up to a year in a temporary copy of this home, under the rule that
    is set or the one that --policy names, and the replay must agree on what was asked for, decided and live, and when.

    Exit code 0 when there are figures, 1 when Dagster and the replay disagree, 2 on bad input or too little history.
    """
    from lead_scoring_assets.timemachine.policies import chosen, parse_policies

    file = file.resolve() if file else None
    mine = parse_policies(own.read_text(encoding="utf-8"), str(own)) if own else []
    installation = open_installation()
    if file and file.exists():
        raise LeadScoringError(f"{file} exists already, expected a new file: name another one, or move it away.")
    if through_dagster:
        policies = [policy for policy in chosen(names, mine) if policy.name in names]
        _compare_with_dagster(installation, policies, first, last)
        return
    replays, advised, across = _replay_all(installation, chosen(names, mine), training_cost, first, last, worlds or 0)
    _draw(installation, replays[0], advised, across)
    if file:
        _write(installation, file, advised)
    if as_json:
        click.echo(json.dumps(told_in_json(replays, advised, across), indent=2))
    else:
        show_policies(replays, advised, across)


def _replay_all(
    installation: "Installation",
    policies: "Sequence[Policy]",
    training_cost: float | None,
    first: str | None,
    last: str | None,
    worlds: int,
) -> "tuple[list[Replay], Recommendation, list[AcrossWorlds]]":
    """This home's history, then the other worlds'; with the advice, and the figures across worlds where there are any."""
    from lead_scoring_assets.cli.replay_homes import other_world, refuse_worlds
    from lead_scoring_assets.timemachine.recommendation import recommend
    from lead_scoring_assets.timemachine.recorded import read_recorded
    from lead_scoring_assets.timemachine.replay import replay as play_all
    from lead_scoring_assets.timemachine.replay import steps
    from lead_scoring_assets.timemachine.several import across

    if worlds:
        refuse_worlds(installation.home)
    settings, lakehouse = installation.settings, installation.lakehouse
    cost = settings.evaluation.training_cost if training_cost is None else training_cost
    recorded = read_recorded(lakehouse.scan("lead_features"), lakehouse.scan("ground_truth_labels"), settings)
    each = steps(recorded, policies, first, last)
    with progress_bar(each + worlds * (each + 1)) as tell:
        replays = [play_all(recorded, policies, cost, first, last, tell)]
        for number in range(1, worlds + 1):
            tell(f"simulating world {number}")
            with tempfile.TemporaryDirectory(prefix="replayed-world-") as folder:
                other = other_world(installation.home, Path(folder) / "home", settings.simulated.seed + number)
                open_installation(installation.home.root)
            replays.append(play_all(other, policies, cost, first, last, tell))
    if not worlds:
        return replays, recommend(replays[0].results, settings.currency, _HERE), []
    found = across(replays)
    return replays, recommend(found, settings.currency, f"95 % over {len(replays)} simulated histories"), found


def _compare_with_dagster(
    installation: "Installation", policies: "Sequence[Policy]", first: str | None, last: str | None
) -> None:
    from lead_scoring_assets.cli.replay_homes import drive_copy
    from lead_scoring_assets.history import asked_periods
    from lead_scoring_assets.timemachine.agreement import LIKE_THE_REPLAY, compare, replayed_alike, through_dagster

    if len(policies) > 1:
        raise LeadScoringError("--through-dagster plays one policy, found several: name at most one with --policy.")
    home = installation.home
    closed = asked_periods(installation, first, last)
    periods = [period for period in closed if last or (period.end - closed[0].start).days <= _A_YEAR_DAYS]
    with tempfile.TemporaryDirectory(prefix="replayed-home-") as folder, progress_bar(len(periods) + 1) as tell:
        copy = drive_copy(home, Path(folder) / "home", [*policies, LIKE_THE_REPLAY], periods, tell)
        tell("replaying the same")
        found = compare(replayed_alike(copy, periods), through_dagster(copy, periods))
        open_installation(home.root)
    if not show_agreement(found):
        sys.exit(FAILED)


def _draw(
    installation: "Installation",
    replayed: "Replay",
    advised: "Recommendation",
    across: "Sequence[AcrossWorlds]",
) -> None:
    from lead_scoring_assets.files import write_atomically
    from lead_scoring_assets.timemachine.report import render

    page = installation.home.reports / _PAGE
    page.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(page, render(replayed, advised, across).encode())
    remarks.print(f"the page lies in {escaped(str(page))}")


def _write(installation: "Installation", file: Path, advised: "Recommendation") -> None:
    from lead_scoring_assets.files import write_atomically
    from lead_scoring_assets.settings import SETTINGS_FILE
    from lead_scoring_assets.timemachine.settings_file import with_policy

    if not advised.is_shown:
        # That nothing is shown is no evidence for switching retraining off.
        remarks.print(f"{escaped(str(file))} was not written: no rule is shown to be better, so keep what is set")
        return
    text = (installation.home.root / SETTINGS_FILE).read_text(encoding="utf-8")
    write_atomically(file, with_policy(text, advised.policy, advised.reasons).encode())
    changes = advised.policy.changes(installation.settings)
    told = "; ".join(f"{section}: {', '.join(values)}" for section, values in changes.items())
    remarks.print(f"{escaped(str(file))} holds the settings with the advice; it changes {told or 'nothing'}")
