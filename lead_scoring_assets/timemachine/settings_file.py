"""A settings file with a policy written into it: the person's own text, its comments kept, the changed values replaced."""

import re
import textwrap
from collections.abc import Mapping, Sequence

import yaml

from lead_scoring_assets.errors import SettingsError
from lead_scoring_assets.settings import parse_settings
from lead_scoring_assets.timemachine.policies import SECTIONS, Policy

_WIDTH = 110


def with_policy(text: str, policy: Policy, evidence: Sequence[str]) -> str:
    """`text` (a lead_scoring.yaml) with what `policy` sets, and the evidence as comments above each section that it touches.

    Raises:
        SettingsError: the text is laid out so that the values cannot be placed; nothing is guessed.
    """
    before = parse_settings(text, "lead_scoring.yaml")
    wanted = policy.applied_to(before)
    found = text
    for section, values in policy.changes(before).items():
        found = with_values(found, section, values, evidence)
    try:
        is_as_wanted = parse_settings(found, "the recommended settings") == wanted
    except SettingsError:
        is_as_wanted = False
    if not is_as_wanted:
        raise SettingsError(
            f"the sections {', '.join(SECTIONS)} of lead_scoring.yaml are laid out in a way that cannot be edited: expected "
            "one key a line, indented by two blanks. Write them so, or set these by hand: "
            + "; ".join(f"{section}: {_flow(values)}" for section, values in policy.overrides.items())
        )
    return found


def with_values(text: str, section: str, values: Mapping[str, object], evidence: Sequence[str] = ()) -> str:
    """`text` with these values in a section, which is added where there is none. Whether it is still valid, see the caller."""
    lines = [part for line in text.splitlines() for part in _in_block(line, section)]
    begin = next((i for i, line in enumerate(lines) if re.match(rf"{section}:\s*(#.*)?$", line)), None)
    comments = [f"# {line}" for sentence in evidence for line in textwrap.wrap(sentence, _WIDTH)]
    if begin is None:
        added = [f"{section}:", *(f"  {name}: {_flow(value)}" for name, value in values.items())]
        return "\n".join([*lines, "", *comments, *added]) + "\n"
    end = next((i for i in range(begin + 1, len(lines)) if re.match(r"\S", lines[i])), len(lines))
    block = lines[begin + 1 : end]
    missing = []
    for name, value in values.items():
        place = next((i for i, line in enumerate(block) if re.match(rf"  {name}:", line)), None)
        if place is None:
            missing.append(f"  {name}: {_flow(value)}")
            continue
        comment = re.search(r"\s+#.*$", block[place])
        block[place] = f"  {name}: {_flow(value)}{comment.group() if comment else ''}"
    return "\n".join([*lines[:begin], *comments, lines[begin], *missing, *block, *lines[end:]]) + "\n"


def _in_block(line: str, section: str) -> list[str]:
    """A section that is written on one line, as one key a line."""
    found = re.match(rf"{section}:\s*(\{{.*\}})\s*(#.*)?$", line)
    if found is None:
        return [line]
    values = yaml.safe_load(found.group(1))
    return [f"{section}:", *(f"  {name}: {_flow(value)}" for name, value in values.items())]


def _flow(value: object) -> str:
    """The value on one line, as YAML."""
    plain = list(value) if isinstance(value, tuple) else dict(value) if isinstance(value, Mapping) else value
    told: str = yaml.safe_dump(plain, default_flow_style=True, width=1_000, sort_keys=False)
    return told.removesuffix("\n").removesuffix("\n...")
