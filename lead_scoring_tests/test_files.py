"""Files that only one may hold at a time: between real processes, and whoever dies lets go."""

import subprocess
import sys
from pathlib import Path

import pytest

from lead_scoring_assets.errors import LeadScoringError, ServingError
from lead_scoring_assets.files import only_one

HOLD = """
import sys
from pathlib import Path
from lead_scoring_assets.errors import LeadScoringError
from lead_scoring_assets.files import only_one

with only_one(Path(sys.argv[1]), LeadScoringError("taken")):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_one_process_holds_it_and_who_is_killed_lets_go(tmp_path: Path) -> None:
    lock = tmp_path / "locks" / "work.lock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with (
            pytest.raises(ServingError, match="end that one first"),
            only_one(lock, ServingError("end that one first")),
        ):
            pytest.fail("two held one file")
        other.kill()
        other.wait()
    with only_one(lock, LeadScoringError("taken")):
        pass
    with only_one(lock, LeadScoringError("taken")):  # and again
        pass
