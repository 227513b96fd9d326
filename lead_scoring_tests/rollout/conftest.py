"""A home with three small real models, made once and copied for each test, and its clock and tables in the test's hand."""

import shutil
from pathlib import Path

import pytest

from lead_scoring_tests.conftest import MakeHome
from lead_scoring_tests.rollout.homes import RolloutHome, make_models


@pytest.fixture(scope="session")
def made_models(make_home: MakeHome) -> Path:
    root = make_home("rollout")
    make_models(root, versions=3)
    return root


@pytest.fixture
def home(made_models: Path, tmp_path: Path) -> RolloutHome:
    """v1 is live; nothing waits."""
    root = tmp_path / "lead scoring"
    shutil.copytree(made_models, root)
    home = RolloutHome(root)
    assert home.deployments().record(home.step(1, "promoted"))
    return home


@pytest.fixture
def quick(home: RolloutHome) -> RolloutHome:
    """Few leads are enough here, and the gate asks for rollouts."""
    home.set("approval: automatic", "approval: rollout  ")
    home.set("shadow_leads: 2000", "shadow_leads: 250")
    home.set("minimum_matured_leads: 1000", "minimum_matured_leads: 100")
    home.set("maximum_offline_gap: 0.20", "maximum_offline_gap: 1.0")
    home.propose(2, requested_by="omar")
    return home
