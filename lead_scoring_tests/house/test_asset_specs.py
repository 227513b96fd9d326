"""The graph as a whole against its snapshot: what a change did to it stands in the diff, and nobody changes it unseen."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
SNAPSHOT = Path(__file__).with_name("asset_specs.json")
UPDATE = "lead_scoring_tests.house.update_asset_specs"

Specs = dict[str, dict[str, dict[str, Any]]]


@pytest.fixture(scope="module")
def specs() -> Specs:
    """The graph as the shipped settings give it: in a process of its own, because it depends on the home it is read in."""
    environment = {name: value for name, value in os.environ.items() if name != "DAGSTER_HOME"}
    ended = subprocess.run(
        [sys.executable, "-m", UPDATE, "--print"],
        cwd=ROOT,
        env=environment | {"LEAD_SCORING_HOME": str(ROOT)},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    found: Specs = json.loads(ended.stdout)
    return found


def differences(before: Specs, now: Specs) -> list[str]:
    """One line for each entry or property that has come, gone or changed."""
    told = []
    for section in sorted(before.keys() | now.keys()):
        old, new = before.get(section, {}), now.get(section, {})
        told += [f"{section}: {name} is gone" for name in sorted(old.keys() - new.keys())]
        told += [f"{section}: {name} is new" for name in sorted(new.keys() - old.keys())]
        for name in sorted(old.keys() & new.keys()):
            told += [
                f"{section}: {name}: {field} was {old[name].get(field)!r}, is {new[name].get(field)!r}"
                for field in sorted(old[name].keys() | new[name].keys())
                if old[name].get(field) != new[name].get(field)
            ]
    return told


WITHOUT_PERIODS = frozenset({"serving", "rollout", "experiments"})
"""Groups of what grows as the API is used: each run takes in what is new, whichever period it falls into."""


def unspoken(specs: Specs) -> list[str]:
    """Assets that do not say who owns them, what they are made with, where they belong and what they hold."""
    return [
        f"asset {name} has no {field}"
        for name, spec in specs["assets"].items()
        for field in ("group", "owners", "kinds", "has_description", "partitions", "backfill")
        if not spec[field] or spec[field] == "default"
        if not (field in ("partitions", "backfill") and spec["group"] in WITHOUT_PERIODS)
    ]


def test_the_graph_is_the_one_in_the_snapshot(specs: Specs) -> None:
    changed = differences(json.loads(SNAPSHOT.read_text(encoding="utf-8")), specs)
    if changed:
        pytest.fail(
            "the graph differs from its snapshot. If that is meant, run `python -m "
            f"{UPDATE}` and commit {SNAPSHOT.relative_to(ROOT)}:\n  " + "\n  ".join(changed),
            pytrace=False,
        )


def test_every_asset_has_owner_kind_group_and_description(specs: Specs) -> None:
    assert unspoken(specs) == []
    assert len(specs["assets"]) >= 14


@pytest.mark.parametrize("section", ["checks", "jobs", "sensors", "schedules"])
def test_everything_else_has_a_description(specs: Specs, section: str) -> None:
    assert [name for name, spec in specs[section].items() if not spec["has_description"]] == []


def test_what_sensors_and_schedules_start_exists(specs: Specs) -> None:
    started = {job for sensor in specs["sensors"].values() for job in sensor["jobs"]}
    started |= {schedule["job"] for schedule in specs["schedules"].values()}
    assert started
    assert started <= specs["jobs"].keys()


def test_a_difference_is_told_in_one_line() -> None:
    before: Specs = {"assets": {"a": {"group": "leads"}, "b": {}}}
    now: Specs = {"assets": {"a": {"group": "models"}, "c": {}}, "jobs": {"j": {}}}
    assert differences(before, now) == [
        "assets: b is gone",
        "assets: c is new",
        "assets: a: group was 'leads', is 'models'",
        "jobs: j is new",
    ]
    assert differences(before, before) == []


def test_an_asset_that_keeps_silent_is_named() -> None:
    silent = {"group": "default", "owners": [], "kinds": ["csv"], "has_description": False}
    specs: Specs = {"assets": {"a": silent | {"partitions": "0 0 1 * *", "backfill": "SINGLE_RUN"}}}
    assert unspoken(specs) == ["asset a has no group", "asset a has no owners", "asset a has no has_description"]
