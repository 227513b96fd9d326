"""The bucket of one probability."""

from collections.abc import Mapping

LOWEST_BUCKET = "Cold"


def bucket_of_one(probability: float, limits: Mapping[str, float]) -> str:
    """Name of the highest bucket whose limit is reached (limit included), else Cold."""
    for name, limit in limits.items():
        if probability >= limit:
            return name
    return LOWEST_BUCKET
