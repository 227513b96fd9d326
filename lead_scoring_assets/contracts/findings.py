"""What a check found, and the gate over many checks that CI stands on."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Finding:
    """The answer of one check for one period."""

    passed: bool
    sentence: str
    numbers: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Evaluation:
    """One asset check that ran over `periods`: `check` is `asset:name`, `is_error` its severity had it failed."""

    check: str
    periods: tuple[str, ...]
    passed: bool
    is_error: bool
    sentence: str


def gate(expected: Collection[str], periods: Collection[str], evaluations: Sequence[Evaluation]) -> list[str]:
    """Reasons to stop: each failed ERROR check, and each expected check that did not run for a period. Empty: go on.

    Dagster itself calls a run with a failed, non-blocking ERROR check a success, and does not miss a check that never
    ran; this does neither.
    """
    failed = [f"check {e.check} failed: {e.sentence}" for e in evaluations if e.is_error and not e.passed]
    ran = {(e.check, period) for e in evaluations for period in e.periods}
    silent = [
        f"check {check} was expected and never ran for {period}"
        for period in sorted(periods)
        for check in sorted(expected)
        if (check, period) not in ran
    ]
    return failed + silent
