"""What is told about a search: one line a trial, a table that is the same every time, a picture."""

import base64
import re

import numpy as np
import pytest

from lead_scoring_assets.evaluation.metrics import Metric, PairedDifference
from lead_scoring_assets.models.recipe import Recipe
from lead_scoring_assets.models.search.trials import (
    TRIALS_SCHEMA,
    Trial,
    Tuned,
    best_of,
    study_plot,
    tell_lines,
    trial_line,
    trials_table,
)

pytestmark = pytest.mark.filterwarnings("error")

RECIPE = Recipe("lightgbm", {"rounds": 30}, "none", 1)
NOTHING = Metric("auc", np.nan, np.nan, np.nan, 0)


def completed(number: int, auc: float, seconds: float = 0.0) -> Trial:
    metric = Metric("auc", auc, auc - 0.012, min(1, auc + 0.012), 500)
    return Trial(number, RECIPE, "completed", metric, (auc,) * 5, seconds=seconds)


PRUNED = Trial(2, RECIPE, "pruned", Metric("auc", 0.9, 0.85, 0.95, 90), (0.9,), "below the median 0.910")
FAILED = Trial(3, RECIPE, "failed", NOTHING, (), "depth is no number")


def tuned(*trials: Trial, remarks: tuple[str, ...] = ()) -> Tuned:
    best = best_of(trials)
    nothing = np.empty(0)
    return Tuned(
        recipe=RECIPE,
        trials=trials,
        best=best.number if best else None,
        gain=PairedDifference(np.nan, np.nan, np.nan),
        out_of_fold_margins=nothing,
        out_of_fold_labels=nothing,
        out_of_fold_rows=nothing.astype(np.intp),
        stopped="trials",
        remarks=remarks,
    )


def test_the_best_is_the_highest_completed_and_of_equal_ones_the_earlier() -> None:
    assert best_of([completed(0, 0.7), completed(1, 0.75), PRUNED, FAILED, completed(4, 0.75)]) == completed(1, 0.75)
    assert best_of([PRUNED, FAILED]) is None


def test_each_trial_is_told_in_one_line() -> None:
    best = completed(1, 0.751)
    assert trial_line(completed(3, 0.742), best, 50) == (
        "trial 3 of 50: lightgbm, AUC 0.742 ± 0.012 over 5 folds, best 0.751 (trial 1)"
    )
    assert trial_line(PRUNED, best, 50) == (
        "trial 2 of 50: lightgbm, AUC 0.900 ± 0.050 over 1 fold, given up (below the median 0.910), "
        "best 0.751 (trial 1)"
    )
    assert trial_line(FAILED, None, 50) == "trial 3 of 50: lightgbm, failed: depth is no number, none completed so far"


def test_an_interval_that_is_cut_at_1_is_told_with_its_whole_half() -> None:
    assert "AUC 0.995 ± 0.012" in trial_line(completed(0, 0.995), None, 2)


def test_a_listener_keeps_the_best_so_far() -> None:
    said: list[str] = []
    tell = tell_lines(said.append, 3)
    for trial in (FAILED, completed(0, 0.7), completed(1, 0.8), completed(2, 0.75)):
        tell(trial)
    assert [re.findall(r"none completed so far|best .*", line)[0] for line in said] == [
        "none completed so far",
        "best 0.700 (trial 0)",
        "best 0.800 (trial 1)",
        "best 0.800 (trial 1)",
    ]


def test_the_table_holds_every_trial_and_no_measured_time() -> None:
    table = trials_table(tuned(completed(0, 0.7, seconds=3), completed(1, 0.8), PRUNED, FAILED))
    assert table.schema == TRIALS_SCHEMA
    assert table["is_best"].to_pylist() == [False, True, False, False]
    assert table["auc"].to_pylist() == [0.7, 0.8, 0.9, None]
    assert table["leads"].to_pylist() == [500, 500, 90, 0]
    assert [len(aucs) for aucs in table["fold_aucs"].to_pylist()] == [5, 5, 1, 0]
    assert {Recipe.from_json(text) == RECIPE for text in table["recipe"].to_pylist()} == {True}
    assert table == trials_table(tuned(completed(0, 0.7, seconds=9), completed(1, 0.8), PRUNED, FAILED))
    assert trials_table(tuned()).num_rows == 0


def test_trials_are_equal_whatever_time_they_took() -> None:
    assert completed(0, 0.7, seconds=3) == completed(0, 0.7, seconds=9)


def test_the_picture_shows_completed_trials_and_without_one_there_are_words() -> None:
    shown = re.fullmatch(r"!\[(.*)\]\(data:image/svg\+xml;base64,(.*)\)", study_plot(tuned(completed(0, 0.7), PRUNED)))
    assert shown
    assert shown[1] == "AUC in folds over time, 1 of 2 trials completed"
    picture = base64.b64decode(shown[2])
    assert picture.startswith(b"<svg ")
    assert len(picture) < 60_000
    assert study_plot(tuned(remarks=("not tuned", "fold 1 left out"))) == "not tuned; fold 1 left out"
