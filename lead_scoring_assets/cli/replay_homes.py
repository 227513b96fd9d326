"""Homes for a while, in a temporary folder: a copy in which Dagster is driven, other histories of a simulated CRM."""

import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from lead_scoring_assets.cli.console import open_installation
from lead_scoring_assets.errors import LeadScoringError
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.periods import Period
from lead_scoring_assets.settings import SETTINGS_FILE, Home
from lead_scoring_assets.timemachine.policies import Policy
from lead_scoring_assets.timemachine.recorded import Recorded, read_recorded
from lead_scoring_assets.timemachine.settings_file import with_policy, with_values


def drive_copy(
    home: Home, folder: Path, policies: Sequence[Policy], periods: Sequence[Period], tell: Callable[[str], None]
) -> Installation:
    """Drive the real jobs and sensors through `periods` in a copy of `home` with only its files; the copy, as it is then.

    Raises:
        LeadScoringError: no file has landed, or a run failed.
    """
    from lead_scoring_assets.homes import new_home
    from lead_scoring_assets.models.registry import ModelRegistry
    from lead_scoring_assets.timemachine.jobs import play_through_dagster

    text = (home.root / SETTINGS_FILE).read_text(encoding="utf-8")
    # A top-level key that is there once, or is added: the copy's clock is moved by the replay.
    text = re.sub(r"(?m)^clock:.*\n", "", text) + "\nclock: replay\n"
    # Each period is the newest when the clock is there, and nobody opens the pages of the copy.
    text = with_values(text, "reports", {"evidently": "never"})
    for policy in policies:
        text = with_policy(text, policy, ())
    copy = new_home(folder, text)
    if home.landing.is_dir():
        shutil.copytree(home.landing, copy / "data" / "landing")
    elif home.settings.sources.landing is None:
        raise LeadScoringError(
            f"no file has landed: expected some in {home.landing}. Run `lead-scoring prepare` first, or put files there."
        )
    installation = open_installation(copy)
    ModelRegistry(installation.home).prepare()
    play_through_dagster(_fresh_definitions(), installation, periods, tell)
    return installation


def refuse_worlds(home: Home) -> None:
    """Other worlds are known only of a simulated CRM.

    Raises:
        LeadScoringError: the home is not simulated.
    """
    if home.settings.crm != "simulated":
        raise LeadScoringError(
            f"--worlds needs a simulated CRM, found `crm: {home.settings.crm}`: of a real history there is only one. Leave it "
            "out, or `lead-scoring init --simulated --into demo` and `lead-scoring --home demo replay --worlds 5`."
        )


def other_world(home: Home, folder: Path, seed: int) -> Recorded:
    """The tables of the same simulated CRM with another seed."""
    from lead_scoring_assets.homes import new_home
    from lead_scoring_assets.setup import prepare
    from lead_scoring_assets.timemachine.jobs import materialise_tables

    text = (home.root / SETTINGS_FILE).read_text(encoding="utf-8")
    installation = open_installation(new_home(folder, with_values(text, "simulated", {"seed": seed})))
    landed = prepare(installation).landed
    calendar = installation.settings.calendar
    materialise_tables(_fresh_definitions(), [calendar.period(key) for key in landed])
    lakehouse = installation.lakehouse
    return read_recorded(lakehouse.scan("lead_features"), lakehouse.scan("ground_truth_labels"), installation.settings)


def _fresh_definitions() -> Any:
    """New ones for each home: their resources remember the home that they were first opened in."""
    from lead_scoring_assets import definitions as front_door
    from lead_scoring_assets import jobs

    return front_door.build_definitions(
        loggers={jobs.PROGRESS_LOGGER: jobs.progress_logger(lambda _what, _period: None)}
    )
