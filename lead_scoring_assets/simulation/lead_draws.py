"""The leads of one local day: what they state, and what only the simulation knows of them."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from lead_scoring_assets.simulation import population as people
from lead_scoring_assets.simulation.dubai_days import DAY_SECONDS, hours_of, volume_factor, written
from lead_scoring_assets.simulation.random_streams import Purpose, stream
from lead_scoring_assets.simulation.world import World

LEADS_A_DAY_LIMIT: Final = 1_000_000

LEAD: Final = np.dtype(
    [
        # yyyymmdd and six digits: unique, and independent of how many leads came before.
        ("number", "i8"),
        ("day", "i4"),
        ("second", "i4"),
        # The local midnight that begins this day is when the lead becomes known.
        ("known_day", "i4"),
        ("source", "u1"),
        ("industry", "u1"),
        ("region", "u1"),
        ("job_title", "u1"),
        ("package", "u1"),
        ("phone", "u1"),
        ("email_domain", "u1"),
        ("language", "u1"),
        # As exported: 0 is missing.
        ("company_size", "i4"),
        # What no export shows.
        ("true_company_size", "i4"),
        ("true_industry", "u1"),
        ("true_phone", "u1"),
        ("from_campaign", "?"),
        ("intent", "f4"),
        ("p_if_worked", "f8"),
        ("p_if_not_worked", "f8"),
        ("chance", "f8"),
        ("luck", "f8"),
        ("engagement", "i4"),
        ("priority", "f8"),
        # The day on which a missing company size is exported after all; 0: never.
        ("filled_in_day", "i4"),
    ]
)


def draw_leads(world: World, day: int) -> NDArray[np.void]:
    """All leads created on a local day, `LEAD` records in order of number. `engagement` and `priority` are still 0."""
    rate = world.leads_a_month * 12 / 365.25 * (volume_factor(day) if world.seasonality else 1.0)
    count = min(int(stream(world.seed, day, Purpose.LEAD_COUNT).poisson(rate)), LEADS_A_DAY_LIMIT - 1)
    # A row per lead: what a lead draws does not depend on how many follow it.
    draws = np.ascontiguousarray(stream(world.seed, day, Purpose.LEADS).random((count, 13)).T)
    leads = np.zeros(count, dtype=LEAD)
    leads["number"] = written(day) * LEADS_A_DAY_LIMIT + np.arange(count)
    leads["day"] = day
    leads["second"] = _seconds(world, day, draws[0])
    leads["chance"], leads["luck"] = draws[1], draws[2]
    leads["intent"] = stream(world.seed, day, Purpose.INTENT).standard_normal(count, dtype=np.float32)
    _describe(world, day, leads, draws[3:])
    leads["p_if_worked"] = _chances(world, day, leads)
    leads["p_if_not_worked"] = leads["p_if_worked"] * people.UNWORKED_SHARE
    _export(world, day, leads)
    return leads


def _seconds(world: World, day: int, draws: NDArray[np.float64]) -> NDArray[np.int64]:
    """Seconds of the local day, as the day's hours are busy; never midnight itself, which belongs to the day before."""
    scaled = draws * 1_024
    entry = scaled.astype(np.int64)
    within = ((scaled - entry) * 3_600).astype(np.int64)
    hours: NDArray[np.int64] = hours_of(day, world.seasonality)[entry] + within
    return np.clip(hours, 1, DAY_SECONDS - 1)


def _describe(world: World, day: int, leads: NDArray[np.void], draws: NDArray[np.float64]) -> None:
    in_campaign = draws[0] < world.strength("ad_campaign", day)
    leads["from_campaign"] = in_campaign
    for name, attribute, usual, campaign in (
        ("source", people.SOURCE, draws[1], people.CAMPAIGN_SOURCE),
        ("region", people.REGION, draws[2], people.CAMPAIGN_REGION),
    ):
        leads[name] = np.where(
            in_campaign,
            np.searchsorted(people.cumulated(campaign), usual, side="right"),
            np.searchsorted(attribute.cumulated, usual, side="right"),
        )
    leads["job_title"] = np.searchsorted(_job_titles(world, day), draws[3], side="right")
    for row, (name, attribute) in enumerate(
        [("true_industry", people.INDUSTRY), ("package", people.PACKAGE), ("true_phone", people.PHONE)], start=4
    ):
        leads[name] = np.searchsorted(attribute.cumulated, draws[row], side="right")
    is_student = leads["job_title"] == people.STUDENT
    leads["email_domain"] = np.where(
        is_student,
        np.searchsorted(people.cumulated(people.STUDENT_EMAIL_SHARES), draws[7], side="right"),
        np.searchsorted(people.EMAIL_DOMAIN.cumulated, draws[7], side="right"),
    )
    leads["language"] = np.searchsorted(people.LANGUAGE.cumulated, draws[8], side="right")
    normal = stream(world.seed, day, Purpose.SIZES).standard_normal(len(leads))
    median = np.array(people.MEDIAN_COMPANY_SIZE)[leads["job_title"]]
    median = np.where(in_campaign, median * people.CAMPAIGN_SIZE_FACTOR, median)
    sizes = np.rint(median * np.exp(people.COMPANY_SIZE_SIGMA * normal))
    leads["true_company_size"] = np.clip(sizes, 1, people.LARGEST_COMPANY)


def _job_titles(world: World, day: int) -> NDArray[np.float64]:
    """Bounds of the job titles on a day: where there are more students, the others shrink to make room."""
    shares = np.array(people.JOB_TITLE.shares)
    students = shares[people.STUDENT] + world.strength("student_surge", day)
    shares = shares * (1 - students) / (1 - shares[people.STUDENT])
    shares[people.STUDENT] = students
    return people.cumulated(tuple(shares))


def _chances(world: World, day: int, leads: NDArray[np.void]) -> NDArray[np.float64]:
    """The probability that each lead converts if it is worked at once."""
    odds = people.INTERCEPT + people.INTENT_EFFECT * leads["intent"].astype(np.float64)
    for name, attribute in (
        ("source", people.SOURCE),
        ("region", people.REGION),
        ("true_industry", people.INDUSTRY),
        ("job_title", people.JOB_TITLE),
        ("package", people.PACKAGE),
        ("true_phone", people.PHONE),
        ("email_domain", people.EMAIL_DOMAIN),
    ):
        odds += np.array(attribute.effects)[leads[name]]
    odds += people.LOG_SIZE_EFFECT * np.log(leads["true_company_size"])
    odds -= world.strength("fee_change", day) * (leads["region"] == people.FEE_REGION)
    chances: NDArray[np.float64] = np.where(leads["job_title"] == people.STUDENT, 0.0, 1 / (1 + np.exp(-odds)))
    return chances


def _export(world: World, day: int, leads: NDArray[np.void]) -> None:
    """What of the leads is exported, and when."""
    draws = np.ascontiguousarray(stream(world.seed, day, Purpose.EXPORT_OF_LEADS).random((len(leads), 8)).T)
    is_late = draws[0] < people.SHARE_LATE_LEADS
    late_days = np.where(is_late, 1 + (draws[1] * people.LATEST_LEAD_DAYS).astype(np.int64), 0)
    leads["known_day"] = day + 1 + late_days
    size_is_missing = draws[2] < people.SHARE_SIZE_MISSING
    leads["company_size"] = np.where(size_is_missing, 0, leads["true_company_size"])
    is_filled_in = size_is_missing & (draws[3] < people.SHARE_FILLED_IN_LATER)
    later_days = 1 + (draws[4] * people.LATEST_FILLED_IN_DAYS).astype(np.int64)
    leads["filled_in_day"] = np.where(is_filled_in, leads["known_day"] + later_days, 0)
    phone_is_lost = draws[5] < world.strength("phone_missing", day)
    leads["phone"] = np.where(phone_is_lost, people.MISSING, leads["true_phone"])
    industry_is_lost = (draws[6] < people.SHARE_INDUSTRY_MISSING) | (
        (leads["source"] == people.WEB_FORM) & (draws[7] < world.strength("industry_missing", day))
    )
    leads["industry"] = np.where(industry_is_lost, people.MISSING, leads["true_industry"])
