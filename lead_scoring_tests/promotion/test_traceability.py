"""Where code that no commit holds is refused: by the gate, by who promotes or approves; and never by who rolls back."""

from dataclasses import replace

import pytest

from lead_scoring_assets.errors import PromotionError
from lead_scoring_assets.models.provenance import UNKNOWN, Provenance
from lead_scoring_assets.promotion import transitions
from lead_scoring_assets.promotion.deployments import Deployments
from lead_scoring_assets.promotion.following import record_events
from lead_scoring_assets.promotion.traceability import why_untraceable
from lead_scoring_tests.promotion.worlds import CLEAN, World

DIRTY = replace(CLEAN, git_dirty=True, git_changed_files=3)
CHANGED = "it was trained by commit 0123456789ab with changes in 3 files that no commit holds"


def why(world: World, number: int) -> str | None:
    version = world.version(number)
    return why_untraceable(version.folder(world.house.home.data), version.fingerprint)


@pytest.fixture
def strict(world: World) -> World:
    """Versions 1 and 2 were trained by a commit, 3 by changed code; of 4 nothing is known. 1 is live."""
    world.set_gate("traceable: recorded", "traceable: required")
    for number, code in ((1, CLEAN), (2, CLEAN), (3, DIRTY)):
        world.record_code(number, code)
    world.promote(1)
    return world


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (CLEAN, None),
        (DIRTY, CHANGED),
        (replace(DIRTY, git_changed_files=1), "with changes in 1 file that no commit holds"),
        (replace(DIRTY, git_changed_files=None), "with changes in files that no commit holds"),
        (replace(CLEAN, git_dirty=None, git_changed_files=None), "whether commit 0123456789ab is all of the code"),
        (replace(CLEAN, git_commit=UNKNOWN, git_dirty=None), "by code of no known commit"),
    ],
)
def test_it_is_told_in_words_why_nobody_could_check_the_code_out(
    world: World, code: Provenance, told: str | None
) -> None:
    world.record_code(1, code)
    found = why(world, 1)
    assert (found is None) == code.is_traceable == (told is None)
    assert (told or "") in (found or "")


def test_a_version_without_its_own_record_is_not_traceable(world: World) -> None:
    assert "record.json is missing" in str(why(world, 1))
    world.record_code(1, CLEAN)
    record = world.version(1).folder(world.house.home.data).with_name("record.json")
    other = world.version(2).folder(world.house.home.data).with_name("record.json")
    other.write_bytes(record.read_bytes())
    assert "is the record of another model" in str(why(world, 2))
    record.write_bytes(record.read_bytes().replace(b"0123456789", b"9876543210"))  # who says it was another commit
    assert "was changed" in str(why(world, 1))


@pytest.mark.parametrize(("number", "told"), [(3, CHANGED), (4, "record.json is missing")])
def test_who_promotes_by_hand_is_asked_and_may_let_it_pass_on_the_record(strict: World, number: int, told: str) -> None:
    with pytest.raises(PromotionError, match=f"v{number} is not traceable, expected a commit") as refused:
        transitions.promote(strict.house, number, "mona", "needed now")
    assert told in str(refused.value)
    assert f"promote {number} --allow-untraceable" in str(refused.value)
    assert strict.live() == 1
    with pytest.raises(PromotionError, match="only with a reason"):
        transitions.promote(strict.house, number, "mona", "", allow_untraceable=True)
    done = transitions.promote(strict.house, number, "mona", "needed now", allow_untraceable=True)
    assert (strict.live(), done.actor) == (number, "mona")
    assert done.reason.startswith("needed now (let pass: ")
    assert told in done.reason
    record_events(strict.house.events, Deployments(strict.house.lakehouse).steps())
    assert told in strict.house.events.events(kind="model_lifecycle")[-1].reason


def test_a_traceable_version_asks_for_nothing_and_nothing_is_added_to_the_reason(strict: World) -> None:
    done = transitions.promote(strict.house, 2, "mona", "newer", allow_untraceable=True)
    assert (strict.live(), done.reason) == (2, "newer")


def test_where_it_is_only_recorded_anybody_goes_live(world: World) -> None:
    world.record_code(3, DIRTY)
    for number in (3, 4):
        assert transitions.promote(world.house, number, "mona", "trying").reason == "trying"
    assert world.live() == 4


def test_what_waits_from_before_it_was_required_is_not_approved(strict: World) -> None:
    assert Deployments(strict.house.lakehouse).record(replace(strict.version(3), action="proposed"))
    with pytest.raises(PromotionError, match="v3 is not traceable"):
        transitions.approve(strict.house, 3, "omar", "")
    assert strict.live() == 1
    transitions.reject(strict.house, 3, "omar", "")  # to say no asks for nothing


def test_who_rolls_back_is_not_held_up(strict: World) -> None:
    transitions.promote(strict.house, 3, "mona", "needed now", allow_untraceable=True)
    transitions.promote(strict.house, 2, "mona", "newer")
    assert transitions.roll_back(strict.house, "omar", "").version == 3
