"""What becomes of leads once it is decided whether they are worked: outcomes, their delays, and later corrections."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lead_scoring_assets.simulation import population as people
from lead_scoring_assets.simulation.dubai_days import DAY_SECONDS, as_moments, local_days
from lead_scoring_assets.simulation.random_streams import Purpose, stream
from lead_scoring_assets.simulation.records import joined
from lead_scoring_assets.simulation.work_queue import Decided
from lead_scoring_assets.simulation.world import World

OUTCOMES: Final = ("converted", "disqualified", "lost", "no_response", "open")
CONVERTED, DISQUALIFIED, LOST, NO_RESPONSE, OPEN = range(len(OUTCOMES))
NOTHING: Final = 255
"""The code of a lead to which nothing happens: no outcome, ever."""

REASONS: Final = (
    *("licence issued", "student", "wrong number", "duplicate", "out of scope", "no budget"),
    *("price", "competitor", "another jurisdiction", "postponed", "no reply to the offer"),
    *("not reached", "closed without contact", "came back", "payment bounced", "called back"),
)
_DISQUALIFIED_REASONS = ("wrong number", "duplicate", "out of scope", "no budget")
_LOST_REASONS = ("price", "competitor", "another jurisdiction", "postponed", "no reply to the offer")

MEDIAN_DELAY_DAYS: Final = (9.0, 4.0, 14.0, 12.0)
"""By outcome, from the contact (or from giving up) to the outcome; log-normal with `DELAY_SIGMA`."""
DELAY_SIGMA: Final = 0.6
DELAY_BY_DEAL, DELAY_BY_INTENT = 0.35, -0.15
"""Bigger deals take longer: (deal / median deal) ** 0.35. Keen leads close sooner: exp(-0.15 intent)."""
LONGEST_DELAY_DAYS: Final = 300
_TYPICAL_DEAL = 15_000.0
_SHARE_REACHED = (0.88, 0.55)
_SHARE_DISQUALIFIED = 0.35
_SHARE_CLOSED_UNWORKED = 0.25
SHARE_REPORTED: Final = (0.99, 0.85, 0.85, 0.85)
SHARE_LATE: Final = 0.05
LATEST_DAYS: Final = 5


@dataclass(frozen=True)
class Correction:
    """A share of the outcomes of one kind that is taken back `earliest` to `latest` days later."""

    before: int
    after: int
    share: float
    earliest: int
    latest: int
    reason: str


CORRECTIONS: Final = (
    Correction(LOST, CONVERTED, 0.03, 15, 75, "came back"),
    Correction(CONVERTED, DISQUALIFIED, 0.03, 7, 40, "payment bounced"),
    Correction(NO_RESPONSE, OPEN, 0.04, 7, 30, "called back"),
)

STATEMENT: Final = np.dtype(
    [
        ("lead", "i8"),
        ("outcome", "u1"),
        ("moment", "i8"),
        ("known_day", "i4"),
        ("reason", "u1"),
        ("rep", "i2"),
        # 0: none.
        ("deal_value", "f8"),
    ]
)

TRUTH: Final = np.dtype(
    [
        ("number", "i8"),
        ("created", "i8"),
        ("known_day", "i4"),
        ("decided_day", "i4"),
        ("job_title", "u1"),
        ("from_campaign", "?"),
        ("intent", "f8"),
        ("p_if_worked", "f8"),
        ("p_if_not_worked", "f8"),
        ("p_as_handled", "f8"),
        ("chance", "f8"),
        ("is_worked", "?"),
        ("worked", "i8"),
        ("rep", "i2"),
        ("outcome", "u1"),
        ("moment", "i8"),
        ("is_reported", "?"),
        ("final_outcome", "u1"),
        ("final_moment", "i8"),
        ("deal_value", "f8"),
        ("true_company_size", "i4"),
        ("true_industry", "u1"),
        ("true_phone", "u1"),
    ]
)


def draw_outcomes(world: World, day: int, decided: Decided) -> tuple[NDArray[np.void], NDArray[np.void]]:
    """What happens to the leads that were decided on `day`: `STATEMENT` records as reported, and `TRUTH`, one a lead.

    A lead converts if its `chance` is below the probability that holds for how it was handled: `p_if_worked`, less
    the longer it waited, down to `p_if_not_worked`.
    """
    leads, is_worked, random = decided.leads, decided.is_worked, stream(world.seed, day, Purpose.OUTCOMES)
    draws = np.ascontiguousarray(random.random((len(leads), 9)).T)
    normals = np.ascontiguousarray(random.standard_normal((len(leads), 2)).T)

    patience = np.exp(-(day - leads["known_day"]) / people.WAITING_DAYS)
    kept = np.where(is_worked, patience, 0.0)
    probability = leads["p_if_worked"] * kept + leads["p_if_not_worked"] * (1 - kept)
    outcome = _outcomes(leads, is_worked, probability, draws)
    happens = outcome != NOTHING
    kind = np.where(happens, outcome, LOST)
    deal = _deals(leads, normals[0])
    delay = np.array(MEDIAN_DELAY_DAYS)[kind] * np.exp(DELAY_SIGMA * normals[1])
    with_deal = (deal / _TYPICAL_DEAL) ** DELAY_BY_DEAL * np.exp(DELAY_BY_INTENT * leads["intent"])
    delay *= np.where(outcome == CONVERTED, with_deal, 1.0) * (1 + world.strength("slower_outcomes", day))
    seconds = np.maximum(np.minimum(delay, LONGEST_DELAY_DAYS) * DAY_SECONDS, 60).astype(np.int64)
    moments = np.where(happens, decided.moments + seconds, 0)

    first = np.zeros(len(leads), dtype=STATEMENT)
    first["lead"], first["outcome"], first["moment"], first["rep"] = leads["number"], outcome, moments, decided.reps
    first["reason"] = _reasons(leads, is_worked, outcome, draws[4])
    first["deal_value"] = np.where(outcome == CONVERTED, deal, 0.0)
    late_days = np.where(draws[5] < SHARE_LATE, 1 + (draws[5] / SHARE_LATE * LATEST_DAYS).astype(np.int64), 0)
    first["known_day"] = local_days(moments) + 1 + late_days
    is_reported = happens & (draws[6] < np.array(SHARE_REPORTED)[kind])
    corrected, is_corrected = _corrections(first, is_reported, deal, draws[7], draws[8])

    truth = np.zeros(len(leads), dtype=TRUTH)
    for name in ("number", "known_day", "job_title", "from_campaign", "intent", "p_if_worked", "p_if_not_worked"):
        truth[name] = leads[name]
    for name in ("chance", "true_company_size", "true_industry", "true_phone"):
        truth[name] = leads[name]
    truth["created"] = as_moments(leads["day"].astype(np.int64), leads["second"].astype(np.int64))
    truth["decided_day"], truth["p_as_handled"] = day, probability
    truth["is_worked"], truth["worked"], truth["rep"] = is_worked, decided.moments * is_worked, decided.reps
    truth["outcome"], truth["moment"], truth["is_reported"] = outcome, moments, is_reported
    truth["final_outcome"] = np.where(is_corrected, corrected["outcome"], outcome)
    truth["final_moment"] = np.where(is_corrected, corrected["moment"], moments)
    truth["deal_value"] = np.where(truth["final_outcome"] == CONVERTED, deal, 0.0)
    return joined([first[is_reported], corrected[is_corrected]]), truth


def segments(truth: NDArray[np.void]) -> NDArray[np.str_]:
    """A word for each lead's kind: student, campaign, or how keen it is."""
    keen = np.where(truth["intent"] > 1, "keen", np.where(truth["intent"] > -0.5, "curious", "idle"))
    found: NDArray[np.str_] = np.where(truth["from_campaign"], "campaign", keen)
    return np.where(truth["job_title"] == people.STUDENT, "student", found)


def _outcomes(
    leads: NDArray[np.void],
    is_worked: NDArray[np.bool_],
    probability: NDArray[np.float64],
    draws: NDArray[np.float64],
) -> NDArray[np.uint8]:
    is_student = leads["job_title"] == people.STUDENT
    is_reached = draws[0] < np.array(_SHARE_REACHED)[leads["true_phone"]]
    is_disqualified = is_student | (draws[1] < _SHARE_DISQUALIFIED)
    if_worked = np.where(is_reached, np.where(is_disqualified, DISQUALIFIED, LOST), NO_RESPONSE)
    if_given_up = np.where(draws[2] < _SHARE_CLOSED_UNWORKED, NO_RESPONSE, NOTHING)
    otherwise = np.where(is_worked, if_worked, if_given_up)
    return np.where(leads["chance"] < probability, CONVERTED, otherwise).astype(np.uint8)


def _deals(leads: NDArray[np.void], normals: NDArray[np.float64]) -> NDArray[np.float64]:
    """What a licence would be worth, AED, to the nearest 50."""
    values = np.array(people.MEDIAN_DEAL_AED)[leads["package"]] * np.exp(people.DEAL_SIGMA * normals)
    rounded: NDArray[np.float64] = np.rint(values / 50) * 50
    return rounded


def _reasons(
    leads: NDArray[np.void], is_worked: NDArray[np.bool_], outcome: NDArray[np.uint8], draws: NDArray[np.float64]
) -> NDArray[np.uint8]:
    def one_of(names: tuple[str, ...]) -> NDArray[np.uint8]:
        codes = np.array([REASONS.index(name) for name in names], dtype=np.uint8)
        return codes[(draws * len(codes)).astype(np.int64)]

    disqualified = one_of(_DISQUALIFIED_REASONS)
    disqualified[leads["job_title"] == people.STUDENT] = REASONS.index("student")
    silent = np.where(is_worked, REASONS.index("not reached"), REASONS.index("closed without contact"))
    reasons = np.where(outcome == DISQUALIFIED, disqualified, one_of(_LOST_REASONS))
    reasons = np.where(outcome == NO_RESPONSE, silent, reasons)
    return np.where(outcome == CONVERTED, REASONS.index("licence issued"), reasons).astype(np.uint8)


def _corrections(
    first: NDArray[np.void],
    is_reported: NDArray[np.bool_],
    deal: NDArray[np.float64],
    draws: NDArray[np.float64],
    when: NDArray[np.float64],
) -> tuple[NDArray[np.void], NDArray[np.bool_]]:
    """For each statement what takes it back later, and whether anything does."""
    later = first.copy()
    is_corrected = np.zeros(len(first), dtype=np.bool_)
    for correction in CORRECTIONS:
        chosen = is_reported & (first["outcome"] == correction.before) & (draws < correction.share)
        days = correction.earliest + when[chosen] * (correction.latest - correction.earliest)
        later["moment"][chosen] += (days * DAY_SECONDS).astype(np.int64)
        later["outcome"][chosen], later["reason"][chosen] = correction.after, REASONS.index(correction.reason)
        is_corrected |= chosen
    later["deal_value"] = np.where(later["outcome"] == CONVERTED, deal, 0.0)
    # At least a week after the first: never known before it, however late that one was reported.
    later["known_day"] = local_days(later["moment"]) + 1
    return later, is_corrected
