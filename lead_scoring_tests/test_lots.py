import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from lead_scoring_assets.lots import LOTS, lot

UNITS = [f"lead-{number}" for number in range(20_000)]
TEXTS = st.text(max_size=40)


@pytest.mark.parametrize("share", [0.07, 0.14, 0.28, 0.55, 0.56])
def test_as_many_are_drawn_as_the_share_says(share: float) -> None:
    drawn = sum(lot("a salt", unit) < share * LOTS for unit in UNITS)
    low, high = stats.binom.interval(0.999, len(UNITS), share)
    assert low <= drawn <= high


def test_lots_are_uniform() -> None:
    counts = [0] * 100
    for unit in UNITS:
        counts[lot("a salt", unit) // 100] += 1
    assert stats.chisquare(counts).pvalue > 0.001


@given(salt=TEXTS, unit=TEXTS, smaller=st.integers(0, LOTS), larger=st.integers(0, LOTS))
def test_a_ramp_only_adds(salt: str, unit: str, smaller: int, larger: int) -> None:
    drawn = lot(salt, unit)
    assert 0 <= drawn < LOTS
    if smaller <= larger and drawn < smaller:
        assert drawn < larger


def test_two_salts_are_independent() -> None:
    table = [[0, 0], [0, 0]]
    for unit in UNITS:
        table[lot("first", unit) < LOTS / 2][lot("second", unit) < LOTS / 2] += 1
    assert stats.chi2_contingency(table, correction=False).pvalue > 0.001


def test_salt_and_unit_do_not_run_into_each_other() -> None:
    assert len({lot("ab", "c"), lot("a", "bc"), lot("", "abc")}) == 3


def test_another_process_draws_the_same() -> None:
    told = subprocess.run(
        [sys.executable, "-c", "from lead_scoring_assets.lots import lot; print(lot('salt', 'Zoë ‮\\u0130'))"],
        check=True,
        capture_output=True,
        text=True,
    )
    assert int(told.stdout) == lot("salt", "Zoë ‮\u0130")
