"""What a replay costs: three years, 400,000 leads, every policy of the catalogue, and hindsight.

    .venv/bin/python benchmarks/replay.py                   400,000 leads of 36 months, the columns of the shipped settings
    .venv/bin/python benchmarks/replay.py --leads 50000

SIMULATED leads: two features decide, their weight turns in the second year, others drift. Each part is told in wall and CPU
seconds of one thread. Nothing is asserted about time: machines differ.
"""

import argparse
import time
from collections.abc import Callable
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
    table = Table("part", "wall s", "CPU s")

    def timed(part: str, work: Callable[[], Any]) -> Any:
        wall, cpu = time.perf_counter(), time.process_time()
        found = work()
        table.add_row(part, f"{time.perf_counter() - wall:.1f}", f"{time.process_time() - cpu:.1f}")
        return found

    features, labels = timed("making the history", lambda: history(leads, settings))
    recorded = timed("reading it", lambda: read_recorded(features, labels, settings))
    policies = f"{len(CATALOGUE)} policies and hindsight"
    replayed = timed(policies, lambda: replay(recorded, CATALOGUE, settings.evaluation.training_cost))
    advised = recommend(replayed.results, settings.currency, "over leads")
    timed("the page", lambda: render(replayed, advised))
    console.print(f"{replayed.leads:,} leads, {len(replayed.periods)} periods; advice: {advised.policy.name}")
    console.print(table)


if __name__ == "__main__":
    main()
