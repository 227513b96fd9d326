"""A library's fitted trees, as its file tells them: what `forest.py` makes tables of."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Singles = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Split:
    """A question that a node asks of a column.

    A number below `threshold` goes left. Where there are `categories`, they go one way (left if `named_go_left`) and all others
    the other.
    """

    column: int
    missing_goes_left: bool
    threshold: np.float32 | None = None
    categories: npt.NDArray[np.integer[Any]] | None = None
    named_go_left: bool = False


@dataclass(frozen=True)
class Tree:
    """Nodes by number, the root first: its children, and what it asks; None makes it a leaf. `values`: of leaves."""

    left: Sequence[int]
    right: Sequence[int]
    splits: Sequence[Split | None]
    values: npt.NDArray[np.floating[Any]]

    def order(self) -> list[int]:
        """The nodes, each before those below it, leaves from left to right.

        Raises:
            ValueError: the tree has a circle.
        """
        order: list[int] = []
        waiting = [0]
        while waiting:
            node = waiting.pop()
            order.append(node)
            if self.splits[node] is not None:
                waiting += [self.right[node], self.left[node]]
            if len(order) > len(self.splits):
                raise ValueError("a tree has a circle")
        return order

    def parted(self) -> tuple[list[int], Iterator[tuple[Split, int, int]]]:
        """The leaves from left to right; and of each split the leaves, as bits, below its left and below its right.

        Raises:
            ValueError: as for `order`.
        """
        order = self.order()
        leaves = [node for node in order if self.splits[node] is None]
        below = {node: 1 << place for place, node in enumerate(leaves)}
        for node in reversed(order):
            if self.splits[node] is not None:
                below[node] = below[self.left[node]] | below[self.right[node]]
        asked = ((node, self.splits[node]) for node in reversed(order))
        return leaves, (
            (split, below[self.left[node]], below[self.right[node]]) for node, split in asked if split is not None
        )
