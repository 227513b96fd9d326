"""Rows of a window by bin of a reference. Counts add: those of a quarter are the sum of those of its days, without reading
a row again. How rows are counted stands in `reference.py` (frames), `row_by_row.py` (tables) and `scan.py` (tables
by groups)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import reduce
from operator import add


@dataclass(frozen=True)
class Counts:
    """What one window holds, in the bins of one reference.

    Attributes
    ----------
    n_rows : rows of the window.
    bins : for each feature that could be counted, its rows by bin, in the order of the reference's labels.
    outside : for each numeric feature, finite values below the reference's smallest or above its largest.
    problems : why the others could not be counted.
    """

    n_rows: int
    bins: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    outside: Mapping[str, int] = field(default_factory=dict)
    problems: Mapping[str, str] = field(default_factory=dict)

    def __add__(self, other: "Counts") -> "Counts":
        """Both windows together. A feature that could not be counted in one of them cannot be told of the sum.

        Raises
        ------
        ValueError : the two were counted in different bins.
        """
        problems = {**other.problems, **self.problems}
        features = [name for name in self.bins if name in other.bins and name not in problems]
        for name in [*self.bins, *other.bins]:
            if name not in features:
                problems.setdefault(name, f"{name} was counted in a part of the window only.")
        if strangers := [name for name in features if len(self.bins[name]) != len(other.bins[name])]:
            raise ValueError(f"Counts of different references cannot be added: {', '.join(strangers)} differ in bins.")
        return Counts(
            n_rows=self.n_rows + other.n_rows,
            bins={name: tuple(map(add, self.bins[name], other.bins[name])) for name in features},
            outside={name: n + other.outside[name] for name, n in self.outside.items() if name in features},
            problems=problems,
        )


def total(parts: Iterable[Counts]) -> Counts:
    """The sum of at least one window."""
    return reduce(add, parts)
