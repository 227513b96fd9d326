"""Evidently in a process of its own: its import (6 CPU seconds, 280 MB) is paid once for all pages of a run, and given back."""

import io
import os
import pickle
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from lead_scoring_assets.errors import LeadScoringError
from lead_scoring_assets.monitoring.drift.measure import FeatureDrift
from lead_scoring_assets.monitoring.reports.drift_report import render_drift_report

_SHOWN_OF_ERROR = 800


@dataclass(frozen=True)
class DriftPage:
    """What one page is drawn from; `reference` and `current` are samples of windows with `rows` rows."""

    target: Path
    title: str
    drifts: list[FeatureDrift]
    reference: pd.DataFrame
    current: pd.DataFrame
    rows: tuple[int, int]
    numeric: list[str]
    categorical: list[str]
    psi_warning: float
    psi_drift: float
    labelled: pd.DataFrame | None


def render_pages(pages: Sequence[DriftPage]) -> None:
    """Render all of them in one process, and wait for it; without pages nothing is started.

    Raises:
        LeadScoringError: that process failed; pages that it had written stay.
    """
    if not pages:
        return
    done = subprocess.run(  # noqa: S603  # our own interpreter and module
        [sys.executable, "-m", __name__],
        input=pickle.dumps(list(pages)),
        capture_output=True,
        # Evidently's documented switch: it sends nothing.
        env={**os.environ, "DO_NOT_TRACK": "1"},
        check=False,
    )
    if done.returncode:
        told = done.stderr.decode(errors="replace").strip()[-_SHOWN_OF_ERROR:]
        raise LeadScoringError(
            f"Evidently's part of {', '.join(page.target.name for page in pages)} could not be drawn (exit code "
            f"{done.returncode}): expected HTML pages. The pages with our numbers are there. Mend what the end of its output "
            f"says, or set `reports: {{evidently: never}}` in lead_scoring.yaml. It said: {told}"
        )


def _main(told: io.BufferedIOBase) -> None:
    pages: list[DriftPage] = pickle.load(told)  # noqa: S301  # written by `render_pages`, through a pipe
    for page in pages:
        render_drift_report(
            page.target,
            page.title,
            page.drifts,
            page.reference,
            page.current,
            page.numeric,
            page.categorical,
            psi_warning=page.psi_warning,
            psi_drift=page.psi_drift,
            labelled=page.labelled,
            rows=page.rows,
        )


if __name__ == "__main__":
    # Under its importable name: what was pickled belongs to that module, not to `__main__`.
    _main(sys.stdin.buffer)  # type: ignore[arg-type]
