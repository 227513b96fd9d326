"""The loops over a forest's tables, compiled by Numba when they are first called; no compiler is needed on the machine.

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
def bin_of(value: Any, start: int, bins: int, thresholds: Any) -> Any:
    """A value's bin among those of its column."""
    if value != value:
        return abs(bins) + 1
    if bins < 0:
        return int(value) if 0 <= value < -bins else -bins
    place, among = start, bins
    while among > 0:
        half = among >> 1
        if thresholds[place + half] <= value:
            place += half + 1
            among -= half + 1
        else:
            among = half
    return place - start


def wake() -> None:
    """Numba imports most of itself when the first loop is called; who calls this does not leave that to somebody in a hurry."""
    bin_of(np.float32(0), 0, 0, np.empty(0, np.float32))


@_compiled
def margin(row: Any, columns: Any, thresholds: Any, masks: Any, roots: Any, leaves: Any, base: Any) -> Any:
    """What a row adds up to; arguments as `Forest` holds them, `row` as 32-bit numbers with NaN for missing."""
    reachable = roots.copy()
    trees = len(roots)
    for column in range(len(columns)):
        position, start, bins, first = columns[column]
        met = masks[first + bin_of(row[position], start, bins, thresholds)]
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


@_compiled
def add_contributions(
    matrix: Any,
    columns: Any,
    thresholds: Any,
    masks: Any,
    trees: Any,
    bits: Any,
    values: Any,
    starts: Any,
    asked: Any,
    shares: Any,
    weights: Any,
    found: Any,
) -> None:
    """Shapley values of each row of `matrix`, added to `found`; from `trees` on the arguments are as `Paths` holds them."""
    at = np.empty(len(columns), np.int64)
    # Places of a leaf's columns whose value goes its way, and of the others.
    known = np.empty(len(weights), np.int64)
    others = np.empty(len(weights), np.int64)
    # Coefficients of ∏ (z + x) over the columns whose value goes the leaf's way.
    sizes = np.empty(len(weights) + 1)
    for row in range(len(matrix)):
        for column in range(len(columns)):
            position, start, bins, first = columns[column]
            at[column] = first + bin_of(matrix[row, position], start, bins, thresholds)
        for leaf in range(len(values)):
            begin, end = starts[leaf], starts[leaf + 1]
            m, tree, bit = end - begin, trees[leaf], bits[leaf]
            reached, missed, value = 0, 0, values[leaf]
            # Told apart without a branch: no processor could guess which way it goes.
            for place in range(begin, end):
                met = int((np.uint64(masks[at[asked[place]], tree]) >> bit) & np.uint64(1))
                known[reached] = others[missed] = place
                reached += met
                missed += 1 - met
            for number in range(missed):
                value *= shares[others[number]]
            sizes[0] = 1.0
            for number in range(reached):
                z = shares[known[number]]
                sizes[number + 1] = sizes[number]
                for size in range(number, 0, -1):
                    sizes[size] = sizes[size] * z + sizes[size - 1]
                sizes[0] *= z
            if missed:
                total = 0.0
                for size in range(reached + 1):
                    total += weights[m, size] * sizes[size]
                total *= value
                for number in range(missed):
                    found[row, columns[asked[others[number]], 0]] -= total
            for number in range(reached):
                # The product without this column's own factor, by division.
                z = shares[known[number]]
                size_without = sizes[reached]
                total = weights[m, reached - 1] * size_without
                for size in range(reached - 1, 0, -1):
                    size_without = sizes[size] - z * size_without
                    total += weights[m, size - 1] * size_without
                found[row, columns[asked[known[number]], 0]] += (1 - z) * value * total
