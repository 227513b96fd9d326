"""The two pictures of a replay, as SVG that stands in a page: money gained period by period, and what happened when."""

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from lead_scoring_assets.timemachine.loop import Played
from lead_scoring_assets.timemachine.policies import NEVER
from lead_scoring_assets.timemachine.replay import Replay
from lead_scoring_assets.timemachine.several import AcrossWorlds

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_STRONG = ("#4f7cac", "#c0392b", "#2e8b57", "#8e5ea2", "#d08a1d")
_FAINT, _INK = "#b8bec6", "#333333"
_CAUSE_COLOURS = {
    "by_hand": "#777777",
    "calendar": "#4f7cac",
    "label_volume": "#2e8b57",
    "drift": "#c0392b",
    "prediction_drift": "#e08aa8",
    "concept_drift": "#8e5ea2",
    "performance": "#d08a1d",
}
_IN_WORDS = {
    "by_hand": "first model",
    "label_volume": "new labels",
    "drift": "drift of features",
    "prediction_drift": "of scores",
    "concept_drift": "of outcomes",
}


def money_picture(replayed: Replay, strong: Sequence[str]) -> str:
    """Money over that of never retraining, added up; `strong` names are drawn in colour, hindsight as a dashed line."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4.4), layout="constrained")
    axes = figure.subplots()
    never = np.array(replayed.results[0].net)
    places = np.arange(len(replayed.periods))
    axes.plot(places, np.cumsum(np.array(replayed.oracle.net) - never), color=_INK, linestyle="--", label="hindsight")
    colours = dict(zip(strong, _STRONG, strict=False))
    others = [result for result in replayed.results if result.policy.name not in (*strong, NEVER)]
    for i, result in enumerate(others):
        gained = np.cumsum(np.array(result.net) - never)
        axes.plot(places, gained, color=_FAINT, linewidth=1, label="other policies" if not i else None)
    for result in replayed.results:
        if (name := result.policy.name) in colours and name != NEVER:
            gained = np.cumsum(np.array(result.net) - never)
            axes.plot(places, gained, color=colours[name], linewidth=2.2, label=name)
    axes.axhline(0, color="#8a8a8a", linewidth=1.2, label=NEVER)
    _label_periods(axes, [period.key for period in replayed.periods])
    axes.set_ylabel(f"{replayed.settings.currency} more than never retraining", fontsize=9)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.legend(fontsize=8, frameon=False, loc="upper left", ncols=2)
    return _svg(figure)


def worlds_picture(across: Sequence[AcrossWorlds], currency: str, strong: str) -> str:
    """One row a policy: its difference to never retraining in each history, and the mean with its interval."""
    from matplotlib.figure import Figure

    shown = [one for one in across if one.policy.name != NEVER]
    figure = Figure(figsize=(10, 1.1 + 0.27 * len(shown)), layout="constrained")
    axes = figure.subplots()
    axes.axvline(0, color="#8a8a8a", linewidth=1.2)
    for row, one in enumerate(shown):
        colour = _STRONG[1] if one.policy.name == strong else _STRONG[0]
        axes.plot([one.difference.low, one.difference.high], [row, row], color=colour, linewidth=2.2)
        axes.scatter(one.by_world, [row] * len(one.by_world), color=_FAINT, s=12, zorder=2)
        axes.scatter([one.difference.value], [row], color=colour, s=40, zorder=3)
    axes.scatter([], [], color=_FAINT, s=12, label="one history")
    axes.plot([], [], color=_STRONG[0], marker="o", linewidth=2.2, label="mean of all, 95 % interval")
    axes.plot([], [], color=_STRONG[1], marker="o", linewidth=2.2, label="the same, advised")
    axes.set_yticks(range(len(shown)), [one.policy.name for one in shown], fontsize=8)
    axes.invert_yaxis()
    axes.set_xlabel(f"{currency} more than never retraining", fontsize=9)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    _plain(axes)
    figure.legend(fontsize=8, frameon=False, loc="outside upper center", ncols=3)
    return _svg(figure)


def timeline_picture(replayed: Replay) -> str:
    """One row a policy: a filled mark where a new model went live, a hollow one where it was refused; colour by cause."""
    from matplotlib.figure import Figure

    results = replayed.results
    figure = Figure(figsize=(10, 0.9 + 0.3 * (len(results) + 1)), layout="constrained")
    axes = figure.subplots()
    place_of = {period.key: place for place, period in enumerate(replayed.periods)}
    for row, result in enumerate(results):
        axes.axhline(row, color="#eeeeee", linewidth=1, zorder=0)
        for cause, (live, refused) in _marks(result.played, place_of).items():
            colour = _CAUSE_COLOURS[cause]
            axes.scatter(live, [row] * len(live), color=colour, s=34, zorder=3)
            axes.scatter(refused, [row] * len(refused), facecolors="white", edgecolors=colour, s=34, zorder=3)
    chosen = list(replayed.oracle.trained)
    axes.scatter(chosen, [len(results)] * len(chosen), color=_INK, marker="D", s=26)
    axes.set_yticks(range(len(results) + 1), [*(result.policy.name for result in results), "hindsight"], fontsize=8)
    axes.invert_yaxis()
    axes.set_xlim(-0.7, len(replayed.periods) - 0.3)
    _label_periods(axes, [period.key for period in replayed.periods])
    for cause, colour in _CAUSE_COLOURS.items():
        axes.scatter([], [], color=colour, s=34, label=_IN_WORDS.get(cause, cause))
    axes.scatter([], [], facecolors="white", edgecolors=_INK, s=34, label="refused by the gate")
    figure.legend(fontsize=8, frameon=False, loc="outside upper center", ncols=8)
    return _svg(figure)


def _marks(played: Played, place_of: Mapping[str, int]) -> dict[str, tuple[list[int], list[int]]]:
    """By first cause the places where its model went live, and where it was refused."""
    found: dict[str, tuple[list[int], list[int]]] = {}
    for step in played.steps:
        if step.verdict not in (None, "no_candidate"):
            live, refused = found.setdefault(step.causes[0], ([], []))
            (live if step.verdict == "promoted" else refused).append(place_of[step.period])
    return found


def _label_periods(axes, keys: Sequence[str]) -> None:  # type: ignore[no-untyped-def]
    every = max(1, len(keys) // 12)
    shown = range(0, len(keys), every)
    axes.set_xticks(list(shown), [keys[place] for place in shown], rotation=40, ha="right", fontsize=8)
    _plain(axes)


def _plain(axes) -> None:  # type: ignore[no-untyped-def]
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.tick_params(labelsize=8)


def _svg(figure: "Figure") -> str:
    """The drawing without its XML head, the same each time."""
    import matplotlib as mpl

    text = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": "replay", "svg.fonttype": "none"}):
        figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()[text.getvalue().index("<svg") :]
