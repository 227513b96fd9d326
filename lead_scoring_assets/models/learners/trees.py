"""A library's fitted trees, as its file tells them: what `forest.py` makes tables of."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Singles = npt.NDArray[np.float32]


class Split(NamedTuple):
    """A question that a node asks of a column.

    A number below `threshold` goes left. Where there are `categories`, they go one way (left if `named_go_left`) and all others
    the other.
    """

    column: int
    missing_goes_left: bool
    threshold: np.float32 | None = None
    categories: npt.NDArray[np.integer[Any]] | None = None
    named_go_left: bool = False


@dataclass(frozen=True, slots=True)
class Tree:
    """Nodes by number, the root first: its children, and what it asks; None makes it a leaf. `values`: of leaves.

    `covers`: how much of the training rows came by, as the library weighs them.
    """

    left: Sequence[int]
    right: Sequence[int]
    splits: Sequence[Split | None]
    values: npt.NDArray[np.floating[Any]]
    covers: Sequence[float]

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

    def leaves(self) -> list[int]:
        """The nodes that are leaves, from left to right.

        Raises:
            ValueError: as for `order`.
        """
        return [node for node in self.order() if self.splits[node] is None]

    def parted(self) -> tuple[list[int], list[tuple[Split, int, int]]]:
        """The nodes that are leaves, from left to right; and each split with the leaves below its left and below its right,
        as bits: the first leaf is the lowest.

        Raises:
            ValueError: as for `order`.
        """
        leaves: list[int] = []
        inner: list[tuple[int, Split]] = []
        for node in self.order():
            split = self.splits[node]
            if split is None:
                leaves.append(node)
            else:
                inner.append((node, split))
        below = {node: 1 << place for place, node in enumerate(leaves)}
        parted = []
        for node, split in reversed(inner):
            left, right = below[self.left[node]], below[self.right[node]]
            below[node] = left | right
            parted.append((split, left, right))
        return leaves, parted

    def paths(self) -> Iterator[dict[int, float]]:
        """Of each leaf, from left to right, the columns that are asked on the way to it; and the share of the training rows
        that goes its way at these questions, however often the column is asked."""
        waiting: list[tuple[int, dict[int, float]]] = [(0, {})]
        while waiting:
            node, path = waiting.pop()
            split = self.splits[node]
            if split is None:
                yield path
                continue
            # Where nobody came by, nobody went on.
            share = path.get(split.column, 1.0) / (self.covers[node] or 1.0)
            waiting += [
                (child, {**path, split.column: share * self.covers[child]})
                for child in (self.right[node], self.left[node])
            ]
