"""Random numbers that depend on the seed, the day and the purpose alone, never on what was drawn before."""

from enum import IntEnum

import numpy as np


class Purpose(IntEnum):
    """What numbers are drawn for. Each has streams of its own, so that a change of one leaves the others alone."""

    LEAD_COUNT = 1
    LEADS = 2
    INTENT = 3
    SIZES = 4
    EXPORT_OF_LEADS = 5
    ACTIVITY_COUNTS = 6
    ACTIVITIES_BEFORE = 7
    ACTIVITIES_AFTER = 8
    WORK = 9
    WORK_ACTIVITIES = 10
    OUTCOMES = 11
    FAULTS = 12


def stream(seed: int, day: int, purpose: Purpose) -> np.random.Generator:
    """A counter-based generator (Philox; key: seed, day and purpose).

    numpy may change its distributions between releases (NEP 19): the same bytes are promised for one numpy release.
    """
    return np.random.Generator(np.random.Philox(key=np.array([seed, day * 256 + purpose], dtype=np.uint64)))
