"""The loop over a forest's tables, compiled by Numba when it is first called; no compiler is needed on the machine.

The compiled code is kept beside this file, or in the user's cache where that cannot be written.
"""

from collections.abc import Callable
from typing import Any

import numba  # noqa: TID253  # who calls the loop imports this file, and nobody before
import numpy as np

# One bit is told by the top six bits of its product with a de Bruijn sequence (Leiserson, Prokop and Randall 1998).
_DE_BRUIJN = np.uint64(0x03F79D71B4CB0A89)
_SHIFT = np.uint64(58)
_PLACES = np.zeros(64, np.uint8)
for _place in range(64):
    _PLACES[(0x03F79D71B4CB0A89 << _place) % (1 << 64) >> 58] = _place


def _compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    try:
        found: Callable[..., Any] = numba.njit(cache=True, nogil=True)(function)
    except RuntimeError:  # neither folder can be written: every process compiles for itself
        found = numba.njit(nogil=True)(function)
    return found


@_compiled
def margin(row: Any, columns: Any, thresholds: Any, masks: Any, roots: Any, leaves: Any, base: Any) -> Any:
    """What a row adds up to; arguments as `Forest` holds them, `row` as 32-bit numbers with NaN for missing."""
    reachable = roots.copy()
    trees = len(roots)
    for column in range(len(columns)):
        position, start, bins, first = columns[column]
        value = row[position]
        if value != value:
            place = abs(bins) + 1
        elif bins >= 0:
            place, among = start, bins
            while among > 0:
                half = among >> 1
                if thresholds[place + half] <= value:
                    place += half + 1
                    among -= half + 1
                else:
                    among = half
            place -= start
        else:
            place = int(value) if 0 <= value < -bins else -bins
        met = masks[first + place]
        for tree in range(trees):
            reachable[tree] &= met[tree]
    total = base
    for tree in range(trees):
        total += leaves[tree, _PLACES[(np.uint64(reachable[tree]) * _DE_BRUIJN) >> _SHIFT]]
    return total


@_compiled
def add_margins(
    matrix: Any, columns: Any, thresholds: Any, masks: Any, roots: Any, leaves: Any, base: Any, found: Any
) -> None:
    """`margin` of each row of `matrix`, into `found`."""
    for row in range(len(matrix)):
        found[row] = margin(matrix[row], columns, thresholds, masks, roots, leaves, base)
