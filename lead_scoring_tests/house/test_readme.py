"""What the README promises exists: verbs, make targets, files, rooms. Its numbers are asserted by the end-to-end test."""

import json
import re
from pathlib import Path

import pytest

from lead_scoring_assets.cli import main
from lead_scoring_assets.serving.lead_request import LeadReader
from lead_scoring_assets.settings import parse_settings

REPOSITORY = Path(__file__).resolve().parents[2]
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")


def test_every_verb_that_is_named_exists_and_every_verb_is_explained() -> None:
    named = set(re.findall(r"lead-scoring (\w+)", README))
    assert named <= set(main.commands), named - set(main.commands)
    assert {"arrive", "status", "worklist", "check", "results"} <= named
    for verb in main.commands.values():
        assert verb.help, verb.name
        assert verb.epilog, f"{verb.name} needs an example"


def test_every_make_target_that_is_named_exists() -> None:
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^(\w+):", makefile, re.MULTILINE))
    named = set(re.findall(r"make (\w+)", README)) - {"sure"}
    assert {"run", "test", "check"} <= named
    assert named <= targets, named - targets


@pytest.mark.parametrize("file", re.findall(r"\]\((?!http)([^)]+)\)", README))
def test_every_linked_file_exists(file: str) -> None:
    assert (REPOSITORY / file).is_file()


def test_the_map_names_every_room() -> None:
    rooms = {p.parent.name for p in (REPOSITORY / "lead_scoring_assets").glob("*/__init__.py")}
    cells = " ".join(re.findall(r"^\| (`[^|]+)\|", README, re.MULTILINE))
    assert rooms <= set(re.findall(r"`(\w+)`", cells)), rooms


def test_the_lead_that_is_sent_to_the_api_is_one_that_it_takes() -> None:
    [body] = re.findall(r"curl [^']*'[^']*' -d '([^']+)'", README)
    settings = parse_settings((REPOSITORY / "lead_scoring.yaml").read_text(encoding="utf-8"), "lead_scoring.yaml")
    lead = LeadReader(settings.registry).read(body.encode())
    assert lead.lead_id == "web-1"
    assert set(json.loads(body)) == {"lead_id", *settings.registry.features}, "the example leaves nothing out"
