"""What a person should know of a model before trusting it, on one page (after Mitchell and others 2019)."""

import json
from collections.abc import Sequence

import numpy as np

from lead_scoring_assets.evaluation.fairness import watched_attributes
from lead_scoring_assets.evaluation.metrics import Metric
from lead_scoring_assets.models.record import TrainingRecord
from lead_scoring_assets.settings import Settings


def model_card(version: int, made: TrainingRecord, metrics: Sequence[Metric], settings: Settings) -> str:
    """The card of version `version` as Markdown: use, data, training, figures on the holdout, limits, and where from."""
    recipe = json.loads(made.recipe)
    forbidden = [name for name, column in settings.registry.lead_columns.items() if column.role == "forbidden"]
    sensitive = [name for name, column in settings.registry.lead_columns.items() if column.role == "sensitive"]
    watched = watched_attributes(settings.registry, settings.evaluation)
    from_where = made.provenance
    sections = [
        f"# {settings.name}, version {version}{settings.simulated_mark}",
        (
            "## Use\n\nTo decide which leads are worked first. A score is the probability that a lead converts within "
            f"{settings.labels.conversion_window_days} days if it is worked as those before it were. It does not say what a "
            "call changes, and it is no judgement of a person."
        ),
        (
            f"## Data\n\n{settings.simulated_part or 'Leads, outcomes and times as recorded.'} Features: "
            f"{', '.join(settings.registry.features)}. Never used, because they give the outcome away: "
            f"{', '.join(forbidden) or 'none'}. Kept for fairness only: {', '.join(sensitive) or 'none'}. Fairness is "
            f"told by: {', '.join(watched) or 'none'}. Rows: snapshot `{made.snapshot}`."
        ),
        f"## Training\n\nAs of the end of {made.period}, because: {made.trigger} ({made.trigger_reason}). Algorithm "
        f"{recipe['algorithm']}, {_parameters(recipe)}; probabilities calibrated "
        + ("on folds in time." if made.calibration else "not at all: there were too few leads for folds in time."),
        "## On leads that no model had seen\n\n| figure | value | 95 % interval | n |\n|---|---|---|---|\n"
        + "\n".join(_row(metric) for metric in metrics),
        (
            "## Limits\n\nThe figures hold for leads as they came then; drift and campaigns change them. Figures by segment "
            "and fairness stand in `segment_evaluation` and `model_fairness`. Whoever was never worked has no outcome that "
            "could have been learned."
        ),
        f"## Where from\n\nCommit {from_where.git_commit} of {from_where.git_branch}"
        + (" with changes that no commit holds" if from_where.git_dirty else "")
        + f", lock {from_where.lock_sha256[:12]}, Python {from_where.python}, "
        + ", ".join(f"{name} {number}" for name, number in from_where.packages.items())
        + f". Again: `lead-scoring reproduce {version}`.",
    ]
    return "\n\n".join(sections) + "\n"


def _parameters(recipe: dict[str, object]) -> str:
    given = recipe["parameters"]
    assert isinstance(given, dict)  # noqa: S101  # narrows the type: a recipe wrote it
    return ", ".join(
        f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}" for name, value in given.items()
    )


def _row(metric: Metric) -> str:
    if not np.isfinite(metric.value):
        return f"| {metric.name} | insufficient data | | {metric.n:,} |"
    return f"| {metric.name} | {metric.value:.4g} | {metric.low:.4g} to {metric.high:.4g} | {metric.n:,} |"
