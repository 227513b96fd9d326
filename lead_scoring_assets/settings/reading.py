"""From YAML text to settings, every fault named with its remedy."""

from typing import Any

import yaml
from pydantic import ValidationError

from lead_scoring_assets.errors import SettingsError
from lead_scoring_assets.settings.whole import Settings


class _Loader(yaml.CSafeLoader):  # ten times as fast as the one in Python, and every process and sensor tick reads it
    """YAML without surprises: a key given twice is an error, a date stays text, so that a wrong one can be named."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"key {key.value!r} is given twice", key.start_mark)
            if isinstance(key, yaml.ScalarNode):
                seen.add(key.value)
        return super().construct_mapping(node, deep)


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":timestamp")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def parse_settings(text: str, where: str) -> Settings:
    """Settings from YAML text.

    Raises:
        SettingsError: one line per fault, each naming the key, the value found and what is expected.
    """
    try:
        raw: Any = yaml.load(text, Loader=_Loader)  # noqa: S506  # a SafeLoader
    except (yaml.YAMLError, ValueError) as problem:
        raise SettingsError(f"{where} is not valid YAML: {problem}. Mend the line it names.") from None
    if not isinstance(raw, dict):
        raise SettingsError(f"{where} must hold keys and values, found {type(raw).__name__}; see the shipped example.")
    try:
        return Settings.model_validate(raw)
    except ValidationError as problem:
        raise SettingsError(
            f"{where} cannot be used:\n" + "\n".join(_explain(error) for error in problem.errors())
        ) from None


def _explain(error: Any) -> str:
    key = ".".join(str(part) for part in error["loc"]) or "(the whole file)"
    if error["type"] == "extra_forbidden":
        return f"  {key}: no such setting (found {error['input']!r}). Remove it, or check the spelling."
    if error["type"] == "missing":
        return f"  {key}: is required and missing. Add it; the shipped lead_scoring.yaml shows how."
    if error["type"] == "string_type" and isinstance(error["input"], bool):
        return f"  {key}: expected text, found {error['input']!r} (YAML reads a bare yes or no so). Put it in quotes."
    found = "" if isinstance(error["input"], dict) else f", found {error['input']!r}"
    return f"  {key}: {error['msg'].removeprefix('Value error, ')}{found}. Correct this value."
