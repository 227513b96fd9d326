"""Where an installation lies, how a new one is made, and what the bank's absence leads to."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from lead_scoring_assets.cli import main
from lead_scoring_assets.errors import LeadScoringError, SettingsError
from lead_scoring_assets.homes import new_home
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.settings import SETTINGS_FILE, find_home, parse_settings
from lead_scoring_assets.setup import prepare, simulated_settings, turn_to_simulated_crm
from lead_scoring_tests.conftest import MakeHome

SHIPPED = (Path(__file__).resolve().parents[1] / SETTINGS_FILE).read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def _nowhere_in_particular(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LEAD_SCORING_HOME", "DAGSTER_HOME", "LEAD_SCORING_MIRROR"):
        monkeypatch.delenv(name, raising=False)


def test_a_new_home_has_all_that_dagster_and_the_product_need(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = new_home(tmp_path / "a" / "my leads", SHIPPED)
    assert {path.name for path in made.iterdir()} == {SETTINGS_FILE, "dagster.yaml", "workspace.yaml", "data"}
    monkeypatch.chdir(made)
    assert find_home().root == made
    assert find_home().settings == parse_settings(SHIPPED, "shipped")


def test_settings_that_are_there_are_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / SETTINGS_FILE).write_text("name: mine")
    with pytest.raises(LeadScoringError, match=r"exists already.*Choose another folder"):
        new_home(tmp_path, SHIPPED)
    assert (tmp_path / SETTINGS_FILE).read_text() == "name: mine"


def test_the_environment_goes_before_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here, named, dagsters = (new_home(tmp_path / name, SHIPPED) for name in ("here", "named", "dagsters"))
    monkeypatch.chdir(here)
    monkeypatch.setenv("DAGSTER_HOME", str(dagsters))
    assert find_home().root == dagsters
    monkeypatch.setenv("LEAD_SCORING_HOME", str(named))
    assert find_home().root == named


def test_a_clock_that_nothing_would_move_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = SHIPPED.replace("crm: bank", "crm: own")
    assert "clock: replay" in own
    monkeypatch.chdir(new_home(tmp_path, own))
    with pytest.raises(SettingsError, match=r"expected `clock: system` with `crm: own`: nothing plays the history"):
        prepare(Installation(find_home()))


def test_a_home_inside_a_home_is_followed_and_its_loss_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outer = new_home(tmp_path, SHIPPED)
    monkeypatch.chdir(outer)
    inner = turn_to_simulated_crm(find_home())
    assert find_home().root == inner
    assert find_home().settings.crm == "simulated"
    assert turn_to_simulated_crm(find_home().__class__(outer)) == inner  # again changes nothing
    (inner / SETTINGS_FILE).unlink()
    with pytest.raises(SettingsError, match=r"current_home names .*simulated-crm.*Delete"):
        find_home()


def test_the_simulated_settings_can_be_used_and_say_what_they_are() -> None:
    settings = parse_settings(simulated_settings(), "free_zone.yaml")
    assert settings.crm == "simulated"
    assert settings.clock == "replay"
    assert "SIMULATED" in simulated_settings()


def test_without_the_bank_data_a_simulated_crm_is_played_and_said_so(
    make_home: MakeHome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = make_home("no bank")
    monkeypatch.chdir(home)
    monkeypatch.setenv("LEAD_SCORING_MIRROR", str(tmp_path / "nothing here"))
    told = CliRunner().invoke(main, ["prepare"])
    assert told.exit_code == 0, told.output
    assert "The bank data cannot be had." in told.output
    assert "no such folder" in told.output
    assert "A SIMULATED CRM is played instead" in told.output
    assert "Everything is SIMULATED" in told.output
    inner = home / "data" / "simulated-crm"
    assert sorted(p.name for p in (inner / "data" / "landing").iterdir()) == ["activities", "leads", "outcomes"]
    assert not (home / "data" / "landing").exists()


def test_a_damaged_bank_file_is_an_error_and_no_reason_to_simulate(
    make_home: MakeHome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = make_home("damaged bank")
    monkeypatch.chdir(home)
    (tmp_path / "bank-full.csv").write_text("age;job\n")
    monkeypatch.setenv("LEAD_SCORING_MIRROR", str(tmp_path))
    told = CliRunner().invoke(main, ["prepare"])
    assert told.exit_code == 2
    assert "expected" in told.output.lower()
    assert not (home / "data" / "current_home").exists()
