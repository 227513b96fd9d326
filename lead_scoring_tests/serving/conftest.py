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
    """A copy whose models may be as slow as a busy machine makes them; tests of what is too slow take `hurried`."""
    found = copied(made_served, tmp_path)
    found.set_serving("{breaker: {timeout_ms: 60000.0}, shadow: {timeout_ms: 60000.0}}")
    return found


@pytest.fixture
def hurried(made_served: Served, tmp_path: Path) -> Served:
    """A copy with the time-outs that are shipped."""
    return copied(made_served, tmp_path)
