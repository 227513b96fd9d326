"""What leads do by themselves, before and after they ask, and what reps do with those they work."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from lead_scoring_assets.simulation import population as people
from lead_scoring_assets.simulation.dubai_days import (
    DAY_SECONDS,
    WORK_ENDS,
    WORK_STARTS,
    as_moments,
    hours_of,
    next_working,
    shares_of_lookup,
    written,
)
from lead_scoring_assets.simulation.random_streams import Purpose, stream
from lead_scoring_assets.simulation.records import joined
from lead_scoring_assets.simulation.world import World

TYPES: Final = ("web_visit", "email_open", "email_click", "form_submit", "whatsapp_message", "call", "meeting")
DETAILS: Final = (
    *("home", "packages", "pricing", "visa", "cost calculator", "contact", "blog", "opening a bank account"),
    *("welcome", "offer", "newsletter", "price list", "event invitation", "reminder", "documents", "case study"),
    *("inquiry", "callback", "brochure", "quotation", "registration", "documents needed", "feedback", "newsletter"),
    *("first contact", "follow-up", "price", "visa", "documents", "appointment", "payment", "office tour"),
)
"""Four groups of eight: pages, mails, forms, topics."""

ACTIVITY: Final = np.dtype(
    [
        # yyyymmdd of the day that drew it, and eight digits.
        ("number", "i8"),
        ("lead", "i8"),
        ("moment", "i8"),
        ("known_day", "i4"),
        ("type", "u1"),
        ("detail", "u1"),
        # Pages of a visit, minutes of a call or meeting; 0: none.
        ("value", "i2"),
        ("rep", "i2"),
    ]
)

SHARE_BEFORE, SHARE_AFTER, SHARE_WORK = 0.50, 0.25, 0.25
# Of the part that reps do: what a worked lead gets, so that the mean over all leads holds when seven in ten are worked.
_WORK_A_WORKED_LEAD = SHARE_WORK / 0.72
_INTENT_EFFECT = 0.55
_STUDENT_FACTOR = 3.0
_GAMMA_SHAPE = 2.0
MOST_ACTIVITIES: Final = 400
LONGEST_BEFORE_DAYS: Final = 60
LONGEST_AFTER_DAYS: Final = 60
_MEAN_AFTER_DAYS, _MEAN_WORK_DAYS = 10.0, 7.0

# Shares of the types, in the order of TYPES; and the group of details of each.
_BEFORE: Final = (0.62, 0.21, 0.08, 0.05, 0.04, 0.0, 0.0)
_AFTER: Final = (0.50, 0.30, 0.12, 0.02, 0.06, 0.0, 0.0)
_WORK: Final = (0.0, 0.30, 0.10, 0.0, 0.18, 0.30, 0.12)
_DETAIL_GROUP: Final = np.array((0, 1, 1, 2, 3, 3, 3), dtype=np.uint8)
_CALL: Final = TYPES.index("call")
_FIRST_CONTACT: Final = DETAILS.index("first contact")
_BY_REP: Final = np.array([kind in ("call", "meeting", "whatsapp_message") for kind in TYPES])
_LARGEST_SERIAL: Final = 100_000_000
_NUMBERS: Final = 1_024


def _values() -> NDArray[np.int16]:
    """Pages or minutes by type and one of 1,024 entries: geometric pages, log-normal minutes (quantiles)."""
    share = (np.arange(_NUMBERS) + 0.5) / _NUMBERS
    pages = np.ceil(np.log1p(-share) / np.log(1 - 0.4))
    # The logistic distribution stands in for the normal one: it has its quantiles in closed form.
    near_normal = np.log(share / (1 - share)) / 1.7
    values = np.zeros((len(TYPES), _NUMBERS))
    values[TYPES.index("web_visit")] = pages
    values[_CALL] = np.ceil(6 * np.exp(0.7 * near_normal))
    values[TYPES.index("meeting")] = np.ceil(35 * np.exp(0.35 * near_normal))
    return values.astype(np.int16)


_VALUES: Final = _values()


def _type_lookup(shares: tuple[float, ...]) -> NDArray[np.uint8]:
    counts = shares_of_lookup(np.array(shares), _NUMBERS)
    return np.repeat(np.arange(len(TYPES), dtype=np.uint8), counts)


_BEFORE_LOOKUP, _AFTER_LOOKUP, _WORK_LOOKUP = (_type_lookup(shares) for shares in (_BEFORE, _AFTER, _WORK))


def draw_own_activities(world: World, day: int, leads: NDArray[np.void]) -> NDArray[np.void]:
    """What the leads of a day do without being asked, up to 60 days before and after they were created.

    Sets `engagement`: how many of these are in the CRM when the lead is.
    """
    random = stream(world.seed, day, Purpose.ACTIVITY_COUNTS)
    eagerness = np.exp(_INTENT_EFFECT * leads["intent"].astype(np.float64) - _INTENT_EFFECT**2 / 2)
    eagerness *= random.standard_gamma(_GAMMA_SHAPE, len(leads)) / _GAMMA_SHAPE
    # Students click a lot and never buy: the mean over all leads stays as stated.
    usual = people.JOB_TITLE.shares[people.STUDENT]
    is_student = leads["job_title"] == people.STUDENT
    eagerness *= np.where(is_student, _STUDENT_FACTOR, 1.0) / (1 + usual * (_STUDENT_FACTOR - 1))
    history_days = np.minimum(random.standard_exponential(len(leads)) * 14, LONGEST_BEFORE_DAYS)
    before, after = (
        np.minimum(random.poisson(eagerness * share * world.activities_a_lead), MOST_ACTIVITIES)
        for share in (SHARE_BEFORE, SHARE_AFTER)
    )
    activities = joined([_before(world, day, leads, before, history_days), _after(world, day, leads, after)])
    activities["number"] = written(day) * _LARGEST_SERIAL + np.arange(len(activities))
    known_with_lead = int(before.sum())
    same_day = activities["known_day"][known_with_lead:] == np.repeat(leads["known_day"], after)
    owners = np.repeat(np.arange(len(leads)), after)[same_day]
    leads["engagement"] = before + np.bincount(owners, minlength=len(leads))
    return activities


def draw_work_activities(world: World, day: int, worked: NDArray[np.void], taken: int) -> NDArray[np.void]:
    """The first contact with each lead that is worked on `day`, and what follows from it.

    `worked`: records with `number`, `moment` (of the first contact) and `rep`. `taken`: how many numbers of this day
    other activities have. Each worked lead has exactly one call with the topic "first contact".
    """
    random = stream(world.seed, day, Purpose.WORK_ACTIVITIES)
    mean = max(_WORK_A_WORKED_LEAD * world.activities_a_lead - 1, 0.0)
    following = np.minimum(random.poisson(mean, len(worked)), MOST_ACTIVITIES)
    owner = np.repeat(np.arange(len(worked)), following)
    later = _kinds(random, _WORK_LOOKUP, len(owner))
    days = day + 1 + _offsets(random, _MEAN_WORK_DAYS, len(owner))
    by_rep = _BY_REP[later["type"]]
    days = np.where(by_rep, next_working(days), days)
    seconds = WORK_STARTS + (random.random(len(owner), dtype=np.float32) * (WORK_ENDS - WORK_STARTS)).astype(np.int64)
    later["moment"] = as_moments(days, seconds)
    later["known_day"] = days + 1 + _late_days(random, len(owner))
    later["lead"] = worked["number"][owner]
    later["rep"] = np.where(by_rep, worked["rep"][owner], 0)

    first = np.zeros(len(worked), dtype=ACTIVITY)
    first["lead"], first["moment"], first["rep"] = worked["number"], worked["moment"], worked["rep"]
    first["known_day"] = day + 1 + _late_days(random, len(worked))
    first["type"], first["detail"] = _CALL, _FIRST_CONTACT
    first["value"] = _VALUES[_CALL, random.integers(0, _NUMBERS, len(worked))]
    activities = joined([first, later])
    activities["number"] = written(day) * _LARGEST_SERIAL + taken + np.arange(len(activities))
    return activities


def _before(
    world: World,
    day: int,
    leads: NDArray[np.void],
    counts: NDArray[np.int64],
    history_days: NDArray[np.float64],
) -> NDArray[np.void]:
    random = stream(world.seed, day, Purpose.ACTIVITIES_BEFORE)
    owner = np.repeat(np.arange(len(leads)), counts)
    activities = _kinds(random, _BEFORE_LOOKUP, len(owner))
    # Squared: the nearer to the creation, the more of them.
    share = random.random(len(owner), dtype=np.float32)
    back = (share * share * history_days[owner]).astype(np.int64)
    chosen = random.random(len(owner), dtype=np.float32)
    # On the day of creation, before it.
    until_then = (chosen * leads["second"][owner]).astype(np.int64)
    seconds = np.where(back == 0, until_then, _busy_seconds(world, day, random, chosen))
    activities["moment"] = as_moments(day - back, seconds)
    # An anonymous visitor's visits belong to a lead from the moment the lead is known.
    activities["known_day"] = leads["known_day"][owner]
    activities["lead"] = leads["number"][owner]
    return activities


def _after(world: World, day: int, leads: NDArray[np.void], counts: NDArray[np.int64]) -> NDArray[np.void]:
    random = stream(world.seed, day, Purpose.ACTIVITIES_AFTER)
    owner = np.repeat(np.arange(len(leads)), counts)
    activities = _kinds(random, _AFTER_LOOKUP, len(owner))
    on = _offsets(random, _MEAN_AFTER_DAYS, len(owner))
    chosen = random.random(len(owner), dtype=np.float32)
    created = leads["second"][owner].astype(np.int64)
    rest_of_day = created + (chosen * (DAY_SECONDS - created)).astype(np.int64)
    seconds = np.where(on == 0, np.minimum(rest_of_day, DAY_SECONDS - 1), _busy_seconds(world, day, random, chosen))
    activities["moment"] = as_moments(day + on, seconds)
    known = day + on + 1 + _late_days(random, len(owner))
    activities["known_day"] = np.maximum(known, leads["known_day"][owner])
    activities["lead"] = leads["number"][owner]
    return activities


def _kinds(random: np.random.Generator, lookup: NDArray[np.uint8], count: int) -> NDArray[np.void]:
    """Activities of a type, detail and value, and nothing else yet: 23 bits of one number choose all three."""
    activities = np.zeros(count, dtype=ACTIVITY)
    bits = random.integers(0, 2**23, count, dtype=np.uint32)
    types = lookup[bits & 1_023]
    activities["type"] = types
    details = _DETAIL_GROUP[types] * 8 + ((bits >> 10) & 7).astype(np.uint8)
    # Only the contact itself is the first one.
    activities["detail"] = details + (details == _FIRST_CONTACT)
    activities["value"] = _VALUES.ravel()[types.astype(np.int64) * _NUMBERS + (bits >> 13)]
    return activities


def _busy_seconds(
    world: World, day: int, random: np.random.Generator, within: NDArray[np.float32]
) -> NDArray[np.int64]:
    """Seconds of a local day, with the hours of the day on which the lead was created."""
    entries = random.integers(0, _NUMBERS, len(within), dtype=np.uint16)
    seconds: NDArray[np.int64] = hours_of(day, world.seasonality)[entries] + (within * 3_599).astype(np.int64)
    return seconds


def _offsets(random: np.random.Generator, mean_days: float, count: int) -> NDArray[np.int64]:
    """Whole days, exponential, at most 60."""
    days = random.standard_exponential(count, dtype=np.float32) * mean_days
    whole: NDArray[np.int64] = np.minimum(days, LONGEST_AFTER_DAYS).astype(np.int64)
    return whole


def _late_days(random: np.random.Generator, count: int) -> NDArray[np.int64]:
    """How many days later than the nightly export each becomes known; mostly none."""
    draws = random.random(count, dtype=np.float32)
    late = draws < people.SHARE_LATE_ACTIVITIES
    days = np.zeros(count, dtype=np.int64)
    days[late] = 1 + (draws[late] / people.SHARE_LATE_ACTIVITIES * people.LATEST_ACTIVITY_DAYS).astype(np.int64)
    return np.minimum(days, people.LATEST_ACTIVITY_DAYS)
