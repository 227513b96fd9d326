"""The search: the same every time, within its budget, not stopped by a recipe that fails, and honest about noise."""

import logging
from collections.abc import Callable, Sequence
from datetime import timedelta
from itertools import count
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lead_scoring_assets.errors import TrainingError
from lead_scoring_assets.models import learners
from lead_scoring_assets.models.recipe import Recipe, default_recipe
from lead_scoring_assets.models.search.search_space import first_recipes
from lead_scoring_assets.models.search.trials import Trial, Tuned
from lead_scoring_assets.models.search.tuning import falls_behind, tune
from lead_scoring_assets.settings import Training, Tuning

pytestmark = pytest.mark.filterwarnings("error")

EMBARGO = timedelta(days=5)


def settings(trials: int = 12, algorithms: tuple[str, ...] = ("logistic",), **more: Any) -> Training:
    tuning = Tuning(trials=trials, folds=more.pop("folds", 4), budget_seconds=more.pop("budget_seconds", 1_000))
    few = {"minimum_holdout_rows": 20, "minimum_holdout_positives": 2, "rounds": 12}
    return Training(algorithms=algorithms, tuning=tuning, **{**few, **more})


def world(n: int, strength: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Signal, noise and a category; log odds are `strength` times the signal, on 60 days of arrivals in mixed order."""
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(n, 3)).astype(np.float32)
    matrix[:, 2] = rng.integers(0, 3, n)
    labels = (rng.random(n) < 1 / (1 + np.exp(1 - strength * matrix[:, 0]))).astype(np.float64)
    created_at = np.datetime64("2024-01-01") + rng.integers(0, 60, n).astype("timedelta64[D]")
    return matrix, labels, created_at


def skill(recipe: Recipe) -> float:
    """How good the pretended learner is: best at C = 1."""
    return float(np.exp(-(np.log10(float(recipe.parameters["C"])) ** 2)))


class Pretended:
    """Margins that are the signal with as much noise as the recipe lacks skill."""

    def __init__(self, recipe: Recipe) -> None:
        self._skill = skill(recipe)

    def margins(self, matrix: np.ndarray) -> np.ndarray:
        return (self._skill * matrix[:, 0] + (1 - self._skill) * matrix[:, 1]).astype(np.float64)


def pretend(recipe: Recipe, matrix: np.ndarray, labels: np.ndarray, feature_types: Sequence[str]) -> Any:
    return Pretended(recipe)


def logistic(c: float) -> Recipe:
    return Recipe("logistic", {"C": c}, "none", 42)


def search(recipes: Sequence[Recipe], chosen: Training, fit: Any = pretend, leads: Any = None, **more: Any) -> Tuned:
    matrix, labels, created_at = leads or world(600, 2)
    return tune(matrix, labels, created_at, ["q", "q", "c"], recipes, chosen, EMBARGO, fit=fit, **more)


def ticking(seconds: float) -> Callable[[], float]:
    """A clock that goes on by so many seconds each time somebody looks."""
    ticks = count()
    return lambda: next(ticks) * seconds


# What is tried, and what is chosen.


def test_known_recipes_come_first_and_the_best_trial_is_chosen() -> None:
    told: list[Trial] = []
    tuned = search([logistic(50), logistic(0.02)], settings(15), tell=told.append)
    assert [trial.recipe for trial in tuned.trials[:2]] == [logistic(50), logistic(0.02)]
    assert tuple(told) == tuned.trials
    assert [trial.number for trial in tuned.trials] == list(range(15))
    completed = [trial for trial in tuned.trials if trial.state == "completed"]
    best = max(completed, key=lambda trial: trial.auc.value)
    assert (tuned.best, tuned.recipe, tuned.stopped) == (best.number, best.recipe, "trials")


def test_the_search_learns_where_good_recipes_lie() -> None:
    """By chance a drawn recipe's skill is exp(-x²) with x even between -4 and 2: mean √π / 6, spread below 0.37."""
    searches = [search([logistic(90)], settings(40, seed=seed)) for seed in range(3)]
    assert min(skill(tuned.recipe) for tuned in searches) > 0.97
    learnt = [skill(trial.recipe) for tuned in searches for trial in tuned.trials[10:]]
    assert np.mean(learnt) > np.sqrt(np.pi) / 6 + 4 * 0.37 / np.sqrt(len(learnt))


def test_out_of_fold_margins_are_those_of_the_best_recipe() -> None:
    leads = world(600, 2)
    tuned = search([logistic(1), logistic(30)], settings(8), leads=leads)
    matrix, labels, created_at = leads
    rows = tuned.out_of_fold_rows
    assert len(set(rows)) == len(rows) >= 295
    assert tuned.out_of_fold_labels.tolist() == labels[rows].tolist()
    assert tuned.out_of_fold_margins.tolist() == Pretended(tuned.recipe).margins(matrix[rows]).tolist()
    others = np.setdiff1d(np.arange(600), rows)
    assert created_at[others].max() < created_at[rows].min()


def test_equal_results_keep_the_earlier_recipe_and_equal_recipes_are_tried_once() -> None:
    def same(*_: object) -> Any:
        return Pretended(logistic(1))

    tuned = search([logistic(5), logistic(5), logistic(7)], settings(8), fit=same)
    assert tuned.recipe == logistic(5)
    assert (tuned.gain.value, tuned.gain.low, tuned.gain.high) == (0, 0, 0)
    tried = [trial.recipe.to_json() for trial in tuned.trials]
    assert len(set(tried)) == len(tried) == 8
    assert [trial.recipe for trial in tuned.trials[:2]] == [logistic(5), logistic(7)]


def test_a_recipe_that_is_drawn_twice_is_fitted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    fitted = []

    def counted(recipe: Recipe, *rows: Any) -> Any:
        fitted.append(recipe.to_json())
        return pretend(recipe, *rows)

    def few(trial: Any, algorithm: str, chosen: Training) -> Recipe:
        return logistic(trial.suggest_int("C", 1, 2))

    monkeypatch.setattr("lead_scoring_assets.models.search.tuning.draw", few)
    tuned = search([logistic(1)], settings(20), fit=counted)
    assert [trial.recipe for trial in tuned.trials] == [logistic(1), logistic(2)]
    assert len(fitted) == 2 * 4


def test_no_more_trials_than_the_settings_allow() -> None:
    tuned = search([logistic(50), logistic(1), logistic(2)], settings(2))
    assert [trial.recipe for trial in tuned.trials] == [logistic(50), logistic(1)]


# The same every time.


@pytest.mark.parametrize("algorithms", [("logistic",), ("xgboost", "lightgbm", "logistic")])
def test_the_same_seed_gives_the_same_trials(algorithms: tuple[str, ...]) -> None:
    chosen = settings(9, algorithms)
    fit = learners.fit if len(algorithms) > 1 else pretend
    leads = world(500, 1)
    first, again = (search(first_recipes(chosen, None), chosen, fit=fit, leads=leads) for _ in range(2))
    assert first.trials == again.trials
    assert first.recipe == again.recipe
    assert first.out_of_fold_margins.tobytes() == again.out_of_fold_margins.tobytes()
    other = search(first_recipes(chosen, None), chosen.model_copy(update={"seed": 43}), fit=fit, leads=leads)
    assert [t.recipe.parameters for t in other.trials] != [t.recipe.parameters for t in first.trials]


def test_optuna_says_nothing(capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        search([logistic(3)], settings(6))
    assert capfd.readouterr() == ("", "")
    assert not caplog.records


# Giving up early.


@given(so_far=st.floats(0, 1), others=st.lists(st.floats(0, 1), max_size=12))
def test_a_trial_falls_behind_where_at_least_half_of_enough_others_were_better(
    so_far: float, others: list[float]
) -> None:
    expected = len(others) >= 5 and so_far < np.median(others)
    assert falls_behind(so_far, others) == expected


def test_a_drawn_recipe_that_falls_behind_is_given_up_and_a_known_one_is_not() -> None:
    known = [logistic(c) for c in (1, 1.1, 0.9, 1.2, 0.8, 100)]
    tuned = search(known, settings(20))
    assert {trial.state for trial in tuned.trials[:6]} == {"completed"}
    given_up = [trial for trial in tuned.trials if trial.state == "pruned"]
    assert given_up
    for trial in given_up:
        assert 2 <= len(trial.fold_aucs) < 4
        assert trial.remark is not None
        assert "below the median" in trial.remark
    assert tuned.recipe not in [trial.recipe for trial in given_up]


# The budget.


def test_the_budget_ends_the_search_and_the_record_says_so() -> None:
    tuned = search([logistic(50), logistic(1)], settings(50, budget_seconds=30), clock=ticking(1))
    assert tuned.stopped == "budget"
    assert 2 <= len(tuned.trials) < 20
    assert tuned.remarks == (f"the budget of 30 s ended the search after {len(tuned.trials)} of 50 trials",)
    assert tuned.trials == search([logistic(50), logistic(1)], settings(50, budget_seconds=30), clock=ticking(1)).trials
    unhurried = search([logistic(50), logistic(1)], settings(50))
    finished = [trial for trial in tuned.trials if trial.state == "completed"]
    assert finished == list(unhurried.trials[: len(finished)])


def test_the_first_recipe_is_measured_in_full_even_where_the_budget_is_over_at_once() -> None:
    tuned = search([logistic(50), logistic(1)], settings(50, budget_seconds=1), clock=ticking(60))
    assert [(trial.recipe, trial.state) for trial in tuned.trials] == [(logistic(50), "completed")]
    assert tuned.stopped == "budget"
    assert len(tuned.out_of_fold_margins) >= 295


def test_a_trial_in_progress_is_cut_by_the_budget_even_the_last() -> None:
    now = [0.0]

    def slow(recipe: Recipe, *rows: Any) -> Any:
        now[0] += 3
        return pretend(recipe, *rows)

    tuned = search([logistic(50), logistic(1)], settings(2, budget_seconds=18), fit=slow, clock=lambda: now[0])
    assert [(trial.state, trial.seconds) for trial in tuned.trials] == [("completed", 12), ("pruned", 6)]
    assert tuned.trials[1].remark == "the budget of 18 s was over after 2 of 4 folds"
    assert (tuned.recipe, tuned.stopped) == (logistic(50), "budget")


# Failures, and too little data.


def test_a_recipe_that_fails_is_recorded_and_the_search_goes_on() -> None:
    def choosy(recipe: Recipe, *rows: Any) -> Any:
        if recipe.parameters["C"] > 10:
            raise TrainingError("C is too large for me")
        return pretend(recipe, *rows)

    tuned = search([logistic(50), logistic(2)], settings(12), fit=choosy)
    first = tuned.trials[0]
    assert (first.state, first.remark, first.fold_aucs, first.auc.n) == ("failed", "C is too large for me", (), 0)
    assert tuned.trials[1].state == "completed"
    assert {trial.state for trial in tuned.trials if trial.recipe.parameters["C"] > 10} == {"failed"}
    assert np.isnan(tuned.gain.value)


def test_where_every_recipe_fails_the_first_reason_is_told() -> None:
    reasons = count(1)

    def never(*_: object) -> Any:
        raise TrainingError(f"reason {next(reasons)}")

    with pytest.raises(TrainingError, match=r"all 7 recipes failed\. The first: reason 1$"):
        search([logistic(50)], settings(7), fit=never)


def test_an_error_that_is_nobodys_refusal_is_not_hidden() -> None:
    def broken(*_: object) -> Any:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        search([logistic(50)], settings(7), fit=broken)


def test_without_a_fold_the_first_recipe_is_taken_and_the_reason_is_told() -> None:
    tuned = search([logistic(50), logistic(1)], settings(minimum_holdout_rows=500))
    assert (tuned.recipe, tuned.trials, tuned.best, tuned.stopped) == (logistic(50), (), None, "no folds")
    assert len(tuned.out_of_fold_margins) == len(tuned.out_of_fold_labels) == len(tuned.out_of_fold_rows) == 0
    assert tuned.remarks[0].startswith("not tuned, because no fold in time can be used")
    assert len(tuned.remarks) == 5
    assert "of 500 leads in test" in tuned.remarks[1]


# Worlds, with the real learners.


def test_a_planted_signal_is_found_and_beats_a_handicapped_first_recipe() -> None:
    matrix, labels, created_at = world(900, 2)
    chosen = settings(8, ("xgboost", "logistic"), class_weight="none")
    handicapped = Recipe("xgboost", {"rounds": 1, "max_depth": 1, "eta": 0.01}, "none", 42)
    recipes = [handicapped, default_recipe("logistic", chosen)]
    tuned = search(recipes, chosen, fit=learners.fit, leads=(matrix, labels, created_at))
    rows = tuned.out_of_fold_rows
    best_possible = _auc(labels[rows], matrix[rows, 0])
    assert tuned.trials[0].auc.value < best_possible - 0.05
    assert tuned.trials[tuned.best].auc.value > best_possible - 0.02
    assert tuned.gain.low > 0


def _auc(labels: np.ndarray, scores: np.ndarray) -> float:
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(labels, scores))


def test_where_there_is_nothing_to_learn_no_recipe_is_surely_better_than_chance() -> None:
    chosen = settings(6, ("xgboost", "logistic"))
    for seed in range(3):
        tuned = search(first_recipes(chosen, None), chosen, fit=learners.fit, leads=world(1_000, 0, seed))
        best = tuned.trials[tuned.best].auc
        assert best.low < 0.5 < best.high
        assert tuned.gain.low <= 0


def test_the_gain_allows_for_having_chosen_the_best_of_many() -> None:
    """60 worlds in which no recipe knows anything: the best of 20 looks better, and is rarely surely so.

    One comparison's interval would lie above zero in about 1 - 0.975^19 = 38 % of them.
    """
    worlds = 60
    sure = 0
    for seed in range(worlds):
        noise = np.random.default_rng(seed)

        class Guesses:
            def margins(self, matrix: np.ndarray, noise: np.random.Generator = noise) -> np.ndarray:
                return noise.normal(size=len(matrix))

        tuned = search([logistic(1)], settings(20), fit=lambda *_: Guesses(), leads=world(600, 0, seed))
        assert tuned.gain.value >= 0
        sure += tuned.gain.low > 0
    assert sure / worlds <= 0.025 + 3 * np.sqrt(0.025 * 0.975 / worlds)


class Remembers:
    """Knows the conversion rate of each company that it has seen, and nothing else."""

    def __init__(self, companies: np.ndarray, labels: np.ndarray) -> None:
        self._rates = {company: labels[companies == company].mean() for company in set(companies.tolist())}

    def margins(self, matrix: np.ndarray) -> np.ndarray:
        return np.array([self._rates.get(company, 0.5) for company in matrix[:, 0].tolist()])


def test_a_leak_across_the_embargo_would_be_seen() -> None:
    """Leads of a company come within four days and end alike: only who sees labels that were not yet known can tell."""
    rng = np.random.default_rng(3)
    n = 2_400
    day = rng.integers(0, 60, n)
    company = (day // 4) * 30 + rng.integers(0, 30, n)
    labels = (rng.random(n) < np.where(rng.random(450) < 0.5, 0.1, 0.9)[company]).astype(np.float64)
    matrix = company[:, None].astype(np.float32)
    created_at = np.datetime64("2024-01-01") + day.astype("timedelta64[D]")

    def auc_with(embargo: timedelta) -> float:
        def remember(recipe: Recipe, matrix: np.ndarray, labels: np.ndarray, feature_types: Sequence[str]) -> Any:
            return Remembers(matrix[:, 0], labels)

        chosen = settings(1, folds=12)
        return tune(matrix, labels, created_at, ["q"], [logistic(1)], chosen, embargo, fit=remember).trials[0].auc.value

    assert auc_with(timedelta(days=4)) == pytest.approx(0.5)
    assert auc_with(timedelta(0)) > 0.6
