"""What an A/B test tells that is looked at every day: the documents' way, one look, and ours, on SIMULATED experiments.

    .venv/bin/python benchmarks/experiments.py                  4,000 experiments each, about 20 seconds
    .venv/bin/python benchmarks/experiments.py --experiments 20000 --days 28

Told are how often a winner is found where nothing differs (it should be at most 5 %), how often the interval holds the true lift
at every look, how often a true lift is found with as many leads as ours plans for, and on which day on average.

- naive: chi-square at 5 % at each day's end from 1,000 leads in each arm on, stopping at the first p < 0.05; the interval is the
  log-ratio interval.
- one_look: the same test once, on the last day: the textbook, which nobody keeps to.
- asymptotic: a Gaussian mixture on the difference of the means (Robbins 1970; Waudby-Smith et al. 2024), variance as estimated.
- ours: the beta mixture on the conversions' arms, as `experiment_results` reads it; exact at any count.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lead_scoring_assets.experiments.always_valid import share_bounds, strength_for
from lead_scoring_assets.experiments.planning import Question, units_always_valid

ALPHA, Z = 0.05, 1.959964
WORLDS = [(0.125, 0.2, 0.5), (0.125, 0.2, 0.1), (0.02, 0.5, 0.5), (0.02, 0.5, 0.1)]
"""Base rate, true lift, share of the treatment."""


@dataclass(frozen=True)
class Counts:
    """After each day (columns) of each experiment (rows)."""

    control: np.ndarray
    treatment: np.ndarray
    won_control: np.ndarray
    won_treatment: np.ndarray


Bounds = Callable[[Counts, float, float], tuple[np.ndarray, np.ndarray, np.ndarray]]
"""Counts, share and strength → ends of the interval for the ratio of the rates, and where a winner is told."""


def simulate(base: float, lift: float, share: float, leads_a_day: int, days: int, experiments: int) -> Counts:
    random = np.random.default_rng(2026)
    treated = random.binomial(leads_a_day, share, (experiments, days))
    won_treatment = random.binomial(treated, base * (1 + lift)).cumsum(1)
    won_control = random.binomial(leads_a_day - treated, base).cumsum(1)
    treatment = treated.cumsum(1)
    return Counts(leads_a_day * np.arange(1, days + 1) - treatment, treatment, won_control, won_treatment)


def _log_ratio(counts: Counts) -> tuple[np.ndarray, np.ndarray]:
    a, b = counts.won_treatment + 0.5, counts.won_control + 0.5
    n, m = counts.treatment + 0.5, counts.control + 0.5
    middle, half = np.log(a / n) - np.log(b / m), Z * np.sqrt(1 / a - 1 / n + 1 / b - 1 / m)
    return np.exp(middle - half), np.exp(middle + half)


def _chi_square(counts: Counts) -> np.ndarray:
    n, m = np.maximum(counts.treatment, 1), np.maximum(counts.control, 1)
    pooled = (counts.won_treatment + counts.won_control) / (n + m)
    error = np.sqrt(pooled * (1 - pooled) * (1 / n + 1 / m))
    return np.abs(counts.won_treatment / n - counts.won_control / m) > Z * error


def naive(counts: Counts, _share: float, _strength: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    looks = np.minimum(counts.treatment, counts.control) >= 1_000
    low, high = _log_ratio(counts)
    return np.where(looks, low, 0), np.where(looks, high, np.inf), _chi_square(counts) & looks


def one_look(counts: Counts, _share: float, _strength: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    last = np.zeros(counts.control.shape, dtype=bool)
    last[:, -1] = True
    low, high = _log_ratio(counts)
    return np.where(last, low, 0), np.where(last, high, np.inf), _chi_square(counts) & last


def asymptotic(counts: Counts, _share: float, strength: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    n, m = counts.treatment, counts.control
    p, q = (counts.won_treatment + 0.5) / (n + 1), (counts.won_control + 0.5) / (m + 1)
    t = (n + m) / (strength / (counts.won_control + counts.won_treatment)[:, -1:].mean() * (n + m)[:, -1:])
    n, m = np.maximum(n, 1), np.maximum(m, 1)
    half = np.sqrt((p * (1 - p) / n + q * (1 - q) / m) * (t + 1) / t * np.log((t + 1) / ALPHA**2))
    seen = counts.won_treatment / n - counts.won_control / m
    # As a ratio, with the control's rate as it is: good enough to see whether it holds the truth.
    return 1 + (seen - half) / q, 1 + (seen + half) / q, np.abs(seen) > half


def ours(counts: Counts, share: float, strength: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    conversions = counts.won_treatment + counts.won_control
    ends = share_bounds(counts.won_treatment, conversions, share, strength, ALPHA)
    with np.errstate(divide="ignore"):
        low, high = (end / (1 - end) * (1 - share) / share for end in ends)
    return low, high, (low > 1) | (high < 1)


WAYS: dict[str, Bounds] = {"naive": naive, "one_look": one_look, "asymptotic": asymptotic, "ours": ours}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--experiments", type=int, default=4_000)
    parser.add_argument("--days", type=int, default=60)
    asked = parser.parse_args()
    began = time.process_time()
    print(f"{asked.experiments:,} experiments of {asked.days} days each, looked at daily; SIMULATED\n")
    print("| base | lift | share | leads | test | false winners | holds the truth | finds the lift | day |")
    print("|---|---|---|---|---|---|---|---|---|")
    for base, lift, share in WORLDS:
        leads = units_always_valid(Question(base, lift, share))
        a_day = -(-leads // asked.days)
        strength = strength_for(leads * base * (1 + lift * share), ALPHA)
        null, true = (simulate(base, effect, share, a_day, asked.days, asked.experiments) for effect in (0.0, lift))
        for name, way in WAYS.items():
            found = way(null, share, strength)[2].any(1).mean()
            low, high, tells = way(true, share, strength)
            holds = ((low <= 1 + lift) & (1 + lift <= high)).all(1).mean()
            day = np.where(tells.any(1), tells.argmax(1) + 1, asked.days).mean()
            figures = f"{found:.1%} | {holds:.1%} | {tells.any(1).mean():.1%} | {day:.0f}"
            print(f"| {base:.1%} | {lift:+.0%} | {share:.0%} | {leads:,} | {name} | {figures} |")
    print(f"\n{time.process_time() - began:.0f} CPU seconds")


if __name__ == "__main__":
    main()
