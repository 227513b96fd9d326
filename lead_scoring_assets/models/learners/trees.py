"""A library's fitted trees, as its file tells them: what `forest.py` makes tables of.

All trees lie in the same arrays and are walked level by level: a model that a server loads while it answers must not keep the
interpreter busy for every node.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Singles = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

LEAF = -1


def starts_of(sizes: Whole) -> Whole:
    """Where each of the parts begins that stand one after the other."""
    found: Whole = np.cumsum(sizes) - sizes
    return found


class Sets(NamedTuple):
    """Sets of categories, one behind the other: each begins at `starts` among `values` and has `sizes`."""

    starts: Whole
    sizes: Whole
    values: npt.NDArray[np.integer[Any]]

    def of(self, wanted: Whole) -> tuple[Whole, Whole]:
        """The categories of the sets of these numbers: for each of them its place in `wanted`, and the category."""
        sizes = self.sizes[wanted]
        places = np.repeat(np.arange(len(wanted)), sizes)
        offset = self.starts[wanted] - starts_of(sizes)
        return places, self.values[np.arange(len(places)) + offset[places]].astype(np.int64)


class Layout(NamedTuple):
    """How the trees hang together. `levels`: the nodes that split, those of a level together, roots first. Of each node:
    `parents` (a root's is itself), `trees`, its tree's number, and the leaves below it or itself, counted from left to right in
    the tree: `first`, and how many (`below`). `leaves`: the nodes that are leaves, tree by tree from left to right."""

    levels: Sequence[Whole]
    parents: Whole
    trees: Whole
    first: Whole
    below: Whole
    leaves: Whole

    @property
    def splits(self) -> Whole:
        return np.concatenate([np.empty(0, np.int64), *self.levels])


@dataclass(frozen=True)
class Trees:
    """`roots`: each tree's first node. Of each node, shape (nodes,): its children `left` and `right`, LEAF where it has none;
    the column that it asks; `values`, which count in leaves; `covers`: how much of the training rows came by, as the library
    weighs them.

    A number below its node's threshold goes left, and a missing one where `missing_goes_left`. A node that asks for a category
    has the number of a set in `set_of_node` (-1: it asks for a number): what is named there goes left if `named_go_left`, else
    right, and all others go the other way.
    """

    roots: Whole
    left: Whole
    right: Whole
    columns: Whole
    thresholds: Singles
    missing_goes_left: Bools
    set_of_node: Whole
    sets: Sets
    named_go_left: bool
    values: npt.NDArray[np.floating[Any]]
    covers: Doubles

    @cached_property
    def layout(self) -> Layout:
        """Raises:
        ValueError: a tree has a circle, or a child that is none of its nodes.
        """
        nodes = len(self.left)
        self._refuse_strangers()
        parents, trees = np.arange(nodes), np.zeros(nodes, np.int64)
        trees[self.roots] = np.arange(len(self.roots))
        levels, leaves, level, seen = list[Whole](), list[Whole](), self.roots, len(self.roots)
        while len(level):
            splits = level[self.left[level] != LEAF]
            leaves.append(level[self.left[level] == LEAF])
            level = np.concatenate([self.left[splits], self.right[splits]])
            if (seen := seen + len(level)) > nodes:
                raise ValueError("a tree has a circle")
            parents[level] = np.tile(splits, 2)
            trees[level] = np.tile(trees[splits], 2)
            levels.append(splits)
        below, first = np.ones(nodes, np.int64), np.zeros(nodes, np.int64)
        for splits in reversed(levels):
            below[splits] = below[self.left[splits]] + below[self.right[splits]]
        for splits in levels:
            first[self.left[splits]] = first[splits]
            first[self.right[splits]] = first[splits] + below[self.left[splits]]
        found = np.concatenate([np.empty(0, np.int64), *leaves])
        return Layout(levels, parents, trees, first, below, found[np.lexsort((first[found], trees[found]))])

    def _refuse_strangers(self) -> None:
        nodes = np.arange(len(self.left))
        tree = np.searchsorted(self.roots, nodes, "right")
        begin, end = self.roots[tree - 1], np.append(self.roots, len(nodes))[tree]
        is_split = (self.left != LEAF) | (self.right != LEAF)
        for children in (self.left, self.right):
            if (is_split & ((children < begin) | (children >= end))).any():
                raise ValueError("a tree names a node that it does not have")
