"""Kill -9 anywhere leaves a good state: what is done again afterwards has the content it would have had."""

import random
import signal
from pathlib import Path

import pytest

from lead_scoring_assets.installation import Installation
from lead_scoring_assets.models.registry import ModelRegistry
from lead_scoring_assets.promotion.deployments import Deployments
from lead_scoring_assets.settings import Home
from lead_scoring_tests.conftest import MakeHome, RunVerb, environment
from lead_scoring_tests.end_to_end.contents import contents
from lead_scoring_tests.verbs import Verbs

pytestmark = pytest.mark.slow(minutes=3)

THROUGH = "2008-09"


# Another process kills it so long after its first write, at whatever speed this machine brings it there.
DOOMED = """
import os, signal, time
from pathlib import Path
def commits():
    return len(list(Path("data/lakehouse").glob("*/_delta_log/*.json")))
before, victim = commits(), os.getpid()
if os.fork() == 0:
    while commits() == before and os.getppid() == victim:
        time.sleep(0.05)
    time.sleep({seconds})
    if os.getppid() == victim:
        os.kill(victim, signal.SIGKILL)
    os._exit(0)
"""


def test_killed_at_any_moment_and_resumed_gives_the_same_tables(
    make_landed_home: MakeHome, run_verb: RunVerb, verbs: Verbs, short_home: Path, bank_mirror: Path
) -> None:
    home = make_landed_home("killed")
    moments = random.Random(2008)
    words, environs = ("materialize", "--through", THROUGH), environment(home, bank_mirror)
    ends = [verbs.run(home, words, environs, first=DOOMED.format(seconds=moments.uniform(0, 8))) for _ in range(2)]
    assert -signal.SIGKILL in [end.returncode for end in ends]
    done = run_verb(home, "materialize", "--through", THROUGH, "--again")
    assert "had been killed: it is marked as failed" in done.stderr
    assert " 0 failed" in done.stderr
    assert contents(home) == contents(short_home)
    champion = Deployments(Installation(Home(home)).lakehouse).newest()
    assert champion is not None
    assert ModelRegistry(Home(home)).production_version() == champion.version
