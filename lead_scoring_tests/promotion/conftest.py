"""A small world with five registered versions, made once and copied for each test."""

import shutil
from pathlib import Path

import pytest

from lead_scoring_tests.conftest import MakeHome
from lead_scoring_tests.promotion.worlds import World, make_world


@pytest.fixture(scope="session")
def made_world(make_home: MakeHome) -> World:
    return make_world(make_home("promotion"), versions=5)


@pytest.fixture
def world(made_world: World, tmp_path: Path) -> World:
    root = tmp_path / "lead scoring"
    shutil.copytree(made_world.root, root)
    return World(root)
