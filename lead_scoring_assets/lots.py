"""Lots: who is drawn for what, the same in every process and for ever. What is decided by them is not known here."""

import hashlib

LOTS = 10_000


def lot(salt: str, unit: str) -> int:
    """The lot of `unit` under `salt`, 0 to 9,999: a basis point of all units.

    A share of 5 % is those with lots 0 to 499, so that a larger share holds the smaller one. Lots under two salts are
    independent of each other.
    """
    drawn = hashlib.sha256(f"{salt}\x1f{unit}".encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(drawn[:8], "big") % LOTS
