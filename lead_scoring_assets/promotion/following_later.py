"""Following in a process of its own, for who cannot wait: MLflow takes longer to import than a rollback may take.

When that process dies, or MLflow cannot be reached, the next command puts it right.
"""

import subprocess
import sys
from pathlib import Path

from lead_scoring_assets.installation import Installation
from lead_scoring_assets.promotion.following import follow
from lead_scoring_assets.settings import Home

FOLLOWERS: list["subprocess.Popen[bytes]"] = []
"""Held, because one that is let go of while it runs is told as a leak."""


def follow_later(installation: Installation) -> "subprocess.Popen[bytes]":
    """Start to bring the event log and MLflow to where the table stands, and do not wait; it outlives this process."""
    quiet = subprocess.DEVNULL
    follower = subprocess.Popen(  # noqa: S603  # our own interpreter and module
        [sys.executable, "-m", __name__, str(installation.home.root)],
        stdin=quiet,
        stdout=quiet,
        stderr=quiet,
        start_new_session=True,
    )
    FOLLOWERS.append(follower)
    return follower


def told_within(follower: "subprocess.Popen[bytes]", seconds: float) -> str:
    """Whether MLflow has followed, in a sentence, known after `seconds` at the latest."""
    try:
        has_failed = follower.wait(timeout=max(0.0, seconds))
    except subprocess.TimeoutExpired:
        return "MLflow's aliases are being moved, which takes seconds more; what is live is as recorded."
    if has_failed:
        return "MLflow could not follow; the next command tries again. What is live is as recorded."
    return "MLflow's aliases stand where the record stands."


if __name__ == "__main__":
    sys.exit(follow(Installation(Home(Path(sys.argv[1])))) is not None)
