"""How much there must be to train a model and to judge it: the training refuses below that, and so does who decides on one."""

from dataclasses import dataclass

from lead_scoring_assets.settings import Training


@dataclass(frozen=True)
class TrainingData:
    """How many matured leads a training would learn from, and be judged on, and how many of them converted."""

    rows: int
    positives: int
    holdout_rows: int
    holdout_positives: int


def what_is_short(data: TrainingData, limits: Training) -> str | None:
    """Why there is too little to train and judge a model on, in words with numbers; None when there is enough."""
    needed = (
        (data.rows, limits.minimum_rows, "training leads"),
        (data.positives, limits.minimum_positives, "converted training leads"),
        (data.holdout_rows, limits.minimum_holdout_rows, "holdout leads"),
        (data.holdout_positives, limits.minimum_holdout_positives, "converted holdout leads"),
    )
    short = [f"{found:,} of {least:,} {what}" for found, least, what in needed if found < least]
    if short:
        return "insufficient data: " + ", ".join(short)
    for what, rows, positives in (
        ("training", data.rows, data.positives),
        ("holdout", data.holdout_rows, data.holdout_positives),
    ):
        if positives in (0, rows):
            return f"insufficient data: all {rows:,} {what} leads have the same outcome"
    return None
