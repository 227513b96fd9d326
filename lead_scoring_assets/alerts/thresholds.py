"""From which value on a metric is an alert, and of which level: a table in the settings, read by one pure function."""

from lead_scoring_assets.alerts.kinds import LEVELS, Level
from lead_scoring_assets.settings import Threshold


def level_of(cautious: float, n: int, threshold: Threshold) -> Level | None:
    """The worst level whose limit `cautious` exceeds; None when it exceeds none, or too few cases were seen.

    `cautious` is the value that is still believed when chance is taken into account: of a rate its lower confidence
    bound (`evaluation.metrics.wilson`: one error in twenty requests is not 5 %), of a PSI what exceeds its
    expectation without drift. NaN exceeds nothing.
    """
    if n < threshold.minimum_n:
        return None
    limits = {level: getattr(threshold, level) for level in LEVELS}
    exceeded = [level for level, limit in limits.items() if limit is not None and cautious > limit]
    return exceeded[-1] if exceeded else None
