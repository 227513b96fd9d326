"""The verbs of the scoring API; serving itself is tested in `serving/test_processes.py`."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from lead_scoring_assets.cli import main
from lead_scoring_assets.serving.keys import FILE, read_keys
from lead_scoring_tests.conftest import MakeHome


@pytest.fixture
def home(make_home: MakeHome, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = make_home("keys")
    monkeypatch.setenv("LEAD_SCORING_HOME", str(root))
    monkeypatch.setenv("DAGSTER_HOME", str(root))
    monkeypatch.chdir(root)
    return root


def run(*words: str) -> Result:
    return CliRunner().invoke(main, list(words))


def test_keys_are_made_shown_once_rotated_and_revoked(home: Path) -> None:
    path = home / "data" / "serving" / FILE
    made = run("keys", "create", "CRM of [Dubai]", "--scope", "score", "--scope", "feedback")
    assert made.exit_code == 0, made.output
    token = made.stdout.strip()
    holder = read_keys(path).holder(token)
    assert holder is not None
    assert (holder.name, holder.scopes) == ("CRM of [Dubai]", ("score", "feedback"))
    told = run("keys", "list").stdout
    assert "CRM of [Dubai]" in told
    assert "score, feedback" in told
    assert token.split("_", 2)[2] not in told + path.read_text()
    new = run("keys", "rotate", "CRM of [Dubai]").stdout.strip()
    assert all(read_keys(path).holder(known) for known in (token, new))
    assert "works" in run("keys", "list").stdout
    newest = run("keys", "rotate", "CRM of [Dubai]", "--at-once").stdout.strip()
    assert [read_keys(path).holder(known) is not None for known in (token, new, newest)] == [False, False, True]
    assert run("keys", "revoke", "CRM of [Dubai]").exit_code == 0
    assert len(read_keys(path)) == 0
    assert "no keys" in run("keys", "list").stderr


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("keys", "create", "crm"), "Missing option"),
        (("keys", "create", "crm", "--scope", "everything"), "Invalid value"),
        (("keys", "create", "", "--scope", "score"), "a key needs a name"),
        (("keys", "rotate", "nobody"), "there is no key 'nobody'"),
        (("keys", "revoke", "nobody"), "there is no key 'nobody'"),
        (("serve", "--host", "example.org"), "must be an address"),
        (("serve", "--host", "0.0.0.0"), "there are no keys"),
        (("serve", "--port", "0"), "the replay clock has not been started"),
        (("serve", "--workers", "0"), "Invalid value"),
    ],
)
def test_what_cannot_be_is_told_without_a_traceback(home: Path, words: tuple[str, ...], told: str) -> None:
    ended = run(*words)
    assert ended.exit_code == 2
    assert told in ended.output
    assert "Traceback" not in ended.output


@pytest.mark.parametrize("verb", [("serve",), ("keys",)])
def test_help_shows_examples(verb: tuple[str, ...]) -> None:
    assert "Example" in run(*verb, "--help").output
