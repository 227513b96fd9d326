"""Kill -9 anywhere leaves a good state: what is done again afterwards has the content it would have had."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lead_scoring_assets.installation import Installation
from lead_scoring_assets.models.registry import ModelRegistry
from lead_scoring_assets.promotion.deployments import Deployments
from lead_scoring_assets.settings import Home
from lead_scoring_tests.conftest import MakeHome, RunVerb, environment
from lead_scoring_tests.end_to_end.contents import contents

pytestmark = pytest.mark.slow

THROUGH = "2008-09"


def commits(home: Path) -> int:
    return len(list((home / "data" / "lakehouse").glob("*/_delta_log/*.json")))


def test_killed_at_any_moment_and_resumed_gives_the_same_tables(
    make_landed_home: MakeHome, run_verb: RunVerb, short_home: Path, bank_mirror: Path
) -> None:
    home = make_landed_home("killed")
    moments = random.Random(2008)
    kills = 0
    for _ in range(2):
        before = commits(home)
        victim = subprocess.Popen(
            [str(Path(sys.executable).with_name("lead-scoring")), "materialize", "--through", THROUGH],
            cwd=home,
            env=environment(home, bank_mirror),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        # From its first write on, at whatever speed this machine brings it there.
        while victim.poll() is None and commits(home) == before:
            time.sleep(0.05)
        time.sleep(moments.uniform(0, 8))
        if victim.poll() is None:
            victim.send_signal(signal.SIGKILL)
            kills += 1
        victim.wait()
    done = run_verb(home, "materialize", "--through", THROUGH, "--again")
    assert kills >= 1
    assert "had been killed: it is marked as failed" in done.stderr
    assert " 0 failed" in done.stderr
    assert contents(home) == contents(short_home)
    champion = Deployments(Installation(Home(home)).lakehouse).newest()
    assert champion is not None
    assert ModelRegistry(Home(home)).production_version() == champion.version
