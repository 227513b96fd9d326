"""The models are trained once; each test serves a copy of their home."""

from pathlib import Path

import pytest

from lead_scoring_tests.conftest import MakeHome
from lead_scoring_tests.serving.served import Served, copied, make_served


@pytest.fixture(scope="session")
def made_served(make_home: MakeHome) -> Served:
    return make_served(make_home("serving"))


@pytest.fixture
def served(made_served: Served, tmp_path: Path) -> Served:
    return copied(made_served, tmp_path)
