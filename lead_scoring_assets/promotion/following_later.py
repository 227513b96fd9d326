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


def follow_later(installation: Installation) -> None:
    """Start to bring the event log and MLflow to where the table stands, and do not wait; it outlives this process."""
    quiet = subprocess.DEVNULL
    FOLLOWERS.append(
        subprocess.Popen(  # noqa: S603  # our own interpreter and module
            [sys.executable, "-m", __name__, str(installation.home.root)],
            stdin=quiet,
            stdout=quiet,
            stderr=quiet,
            start_new_session=True,
        )
    )


if __name__ == "__main__":
    follow(Installation(Home(Path(sys.argv[1]))))
