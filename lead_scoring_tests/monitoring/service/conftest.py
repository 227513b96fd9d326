"""A home with five real versions, made once, whose API has a log."""

import shutil
from pathlib import Path

import pytest

from lead_scoring_tests.conftest import MakeHome
from lead_scoring_tests.monitoring.service.worlds import ServedWorld
from lead_scoring_tests.promotion.worlds import World, make_world


@pytest.fixture(scope="session")
def three_versions(make_home: MakeHome) -> World:
    return make_world(make_home("guardrails"), versions=3)


@pytest.fixture
def served(three_versions: World, tmp_path: Path) -> ServedWorld:
    root = tmp_path / "a home"
    shutil.copytree(three_versions.root, root)
    return ServedWorld(root)
