"""The words by which columns and statuses of a CRM are recognised. Guesses only: the draft says so beside each."""

import re
from collections.abc import Mapping

from lead_scoring_assets.contracts.columns import OUTCOMES


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


STATUS_WORDS: Mapping[str, frozenset[str]] = {
    "converted": _set(
        "won win converted conversion yes y true 1 sale sold success successful customer client "
        "closed-won subscribed signed purchased bought enrolled accepted paid"
    )
    | {"closed won", "closed - won", "deal won", "contract signed", "active customer"},
    "lost": _set("lost no n false 0 rejected declined failure failed unsuccessful refused cancelled canceled")
    | {"closed lost", "closed - lost", "deal lost", "not interested", "not converted", "no sale"},
    "disqualified": _set("junk spam disqualified unqualified invalid duplicate test fake bogus")
    | {"wrong number", "junk lead", "not qualified", "bad data"},
    "no_response": _set("unreachable unresponsive")
    | {"no response", "no answer", "not reached", "no reply", "not reachable", "call not answered"},
    "open": _set("open new contacted qualified working pending nurturing assigned active prospect unknown")
    | {
        "in progress",
        "in process",
        "follow up",
        "follow-up",
        "on hold",
        "not contacted",
        "proposal sent",
        "negotiation",
    },
}
"""Our outcome → words that a CRM may use for it, in lower case."""

STATUS_NAMES = _set("status outcome result stage disposition state y target label converted won conversion")
ID_NAMES = _set("id number no ref reference key code uuid guid")
CREATED_NAMES = _set(
    "created create creation added received submitted inquiry enquiry entry registered registration date timestamp"
)
CLOSED_NAMES = _set(
    "closed close closing outcome won lost decided decision end ended result converted conversion signed final"
)
TOUCHED_NAMES = _set("modified updated changed touched activity last")
VALUE_NAMES = _set("deal value amount revenue worth price premium")
REASON_NAMES = _set("reason")
LEAK_NAMES = _set(
    "duration closed close closing won lost win outcome result revenue deal invoice invoiced contract converted conversion "
    "churn paid payment signed stage status commission decision"
)
MISSING_WORDS = ("na", "n/a", "#n/a", "nan", "null", "none", "nil", "-", "--", "?", "unknown", "not available")
CURRENCIES = _set("AED SAR QAR KWD BHD OMR USD EUR GBP CHF INR PKR EGP JOD TRY CNY JPY SGD HKD AUD CAD ZAR NGN KES")
SYMBOLS: Mapping[str, str] = {"$": "USD", "€": "EUR", "£": "GBP"}


def tokens(name: str) -> frozenset[str]:
    """The words of a column's name: `No. of Employees`, `closedOn` and `CLOSED_ON` are split alike."""
    return frozenset(re.findall(r"[^\W_]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).casefold()))


def status_meaning(word: str) -> str | None:
    """Which of our outcomes a status word means, or None when it is not known."""
    plain = " ".join(word.casefold().split())
    return next((outcome for outcome in OUTCOMES if plain in STATUS_WORDS[outcome]), None)
