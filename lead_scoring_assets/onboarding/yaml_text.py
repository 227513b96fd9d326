"""Values as YAML scalars that are read back as the same text, whatever they hold."""

import json
import re
from collections.abc import Iterable, Mapping

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# What YAML 1.1 takes for a truth value or nothing.
_NOT_TEXT = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null", "none"})


def scalar(text: str) -> str:
    """`text` bare where that is safe, else in double quotes; always on one line."""
    if _PLAIN.fullmatch(text) and text.casefold() not in _NOT_TEXT:
        return text
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    if character == " " or (character.isprintable() and not 0xD800 <= ord(character) <= 0xDFFF):
        return character
    # JSON's escapes are YAML's, but for characters beyond 16 bits, which JSON writes as two halves.
    return json.dumps(character)[1:-1] if ord(character) <= 0xFFFF else f"\\U{ord(character):08x}"


def number(value: float) -> str:
    """A number that YAML reads as one."""
    return str(int(value)) if float(value).is_integer() and abs(value) < 2**53 else f"{value:.6e}"


def sequence(values: Iterable[str]) -> str:
    """Texts as a list on one line."""
    return "[" + ", ".join(map(scalar, values)) + "]"


def mapping(values: Mapping[str, str]) -> str:
    """Texts by text as a mapping on one line."""
    return "{" + ", ".join(f"{scalar(key)}: {scalar(value)}" for key, value in values.items()) + "}"


def block(text: str, indent: int) -> str:
    """A text of several lines as a literal block, to stand behind `key: `; in quotes where a block cannot hold it."""
    lines = text.split("\n")
    if any(not line or line != line.rstrip() or not line.isprintable() for line in lines) or lines[0][0] == " ":
        return scalar(text)
    return "|-\n" + "\n".join(" " * indent + line for line in lines)
