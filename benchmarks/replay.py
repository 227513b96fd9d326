"""What a replay costs: three years, 400,000 leads, every policy of the catalogue, and hindsight.

    .venv/bin/python benchmarks/replay.py                   400,000 leads of 36 months, the columns of the shipped settings
    .venv/bin/python benchmarks/replay.py --leads 50000

SIMULATED leads: two features decide, their weight turns in the second year, others drift. Each part is told in wall and CPU
seconds of all threads, beside the load of the machine. Nothing is asserted about time: machines differ.
"""

import argparse
import os
import resource
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from rich.console import Console
from rich.table import Table

REPOSITORY = Path(__file__).resolve().parents[1]
MONTHS = 36


def history(leads: int, settings: Any) -> tuple[pa.Table, pa.Table]:
    """`lead_features` and `ground_truth_labels` of three years."""
    draw, registry = np.random.default_rng(1), settings.registry
    seconds = np.sort(draw.uniform(0, MONTHS * 30.4375 * 86_400, leads))
    created = pd.Timestamp(settings.calendar.start) + pd.to_timedelta(np.round(seconds, 3), unit="s")
    found = pd.DataFrame({"period": created.strftime("%Y-%m"), "lead_id": [f"L{i:08}" for i in range(leads)]})
    found["created_at"] = found["known_at"] = created
    age = seconds / seconds.max()
    for i, name in enumerate(registry.numeric_features):
        found[name] = draw.normal(40 + 10 * age * (i % 3 == 2), 12, leads).round(1)
    for name in registry.category_features:
        known = np.array(registry.features[name].categories)
        found[name] = known[np.minimum(draw.geometric(0.4, leads) - 1, len(known) - 1)]
    one, other = (found[name].to_numpy() for name in registry.numeric_features[:2])
    odds = np.where(age < 0.5, 0.05, -0.02) * (one - 40) + 0.04 * (other - 40) - 2.2
    converted = draw.random(leads) < 1 / (1 + np.exp(-odds))
    days = settings.labels.conversion_window_days
    known_at = created + pd.to_timedelta(np.where(converted, draw.uniform(1, days, leads), days).round(4), unit="D")
    labels = pd.DataFrame(
        {"period": known_at.strftime("%Y-%m"), "lead_id": found["lead_id"], "label_known_at": known_at}
    )
    labels["label"], labels["revision"], labels["deal_value"] = converted.astype(np.int8), 1, np.nan
    for frame, names in ((found, ("created_at", "known_at")), (labels, ("label_known_at",))):
        for name in names:
            frame[name] = frame[name].astype("datetime64[us, UTC]")
    return pa.Table.from_pandas(found, preserve_index=False), pa.Table.from_pandas(labels, preserve_index=False)


class Parts:
    """Wall and CPU seconds of parts that follow each other."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self._marks = [self._now()]

    def over(self, name: str) -> None:
        """What went on since the part before was `name`."""
        self.names.append(name)
        self._marks.append(self._now())

    def rows(self) -> list[tuple[str, str, str]]:
        pairs = zip(self._marks, self._marks[1:], strict=False)
        spent = [(after[0] - before[0], after[1] - before[1]) for before, after in pairs]
        return [(name, f"{wall:.1f}", f"{cpu:.1f}") for name, (wall, cpu) in zip(self.names, spent, strict=True)]

    @staticmethod
    def _now() -> tuple[float, float]:
        return time.perf_counter(), time.process_time()


def main() -> None:
    from lead_scoring_assets.settings import Home
    from lead_scoring_assets.timemachine.policies import CATALOGUE
    from lead_scoring_assets.timemachine.recommendation import recommend
    from lead_scoring_assets.timemachine.recorded import read_recorded
    from lead_scoring_assets.timemachine.replay import replay
    from lead_scoring_assets.timemachine.report import render

    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--leads", type=int, default=400_000)
    leads = arguments.parse_args().leads
    console, settings = Console(), Home(REPOSITORY).settings
    before, parts = os.getloadavg()[0], Parts()
    features, labels = history(leads, settings)
    parts.over("making the history (no part of a replay)")
    recorded = read_recorded(features, labels, settings)
    parts.over("reading it")

    def heard(words: str) -> None:
        """What is begun ends the part before."""
        if words.startswith("playing") and "training the models" not in parts.names:
            parts.over("training the models")
        if words.startswith("finding"):
            parts.over(f"playing {len(CATALOGUE)} policies")

    replayed = replay(recorded, CATALOGUE, settings.evaluation.training_cost, tell=heard)
    parts.over("hindsight and intervals")
    advised = recommend(replayed.results, settings.currency, "over leads")
    render(replayed, advised)
    parts.over("the page")
    table = Table("part", "wall s", "CPU s")
    for row in parts.rows():
        table.add_row(*row)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    console.print(f"{replayed.leads:,} leads, {len(replayed.periods)} periods; advice: {advised.policy.name}")
    console.print(table)
    console.print(
        f"peak memory {peak_mb:,.0f} MB; load of the machine {before:.1f} before, {os.getloadavg()[0]:.1f} after"
    )


if __name__ == "__main__":
    main()
