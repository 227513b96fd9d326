"""JSON that carries its own checksum: no bit of it can change unnoticed. It finds accidents; it is no signature."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any


def seal(content: Mapping[str, Any]) -> bytes:
    """`content` in the one form in which it is written: sorted keys, and the SHA-256 of itself."""
    total = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    return (json.dumps({"content": content, "sha256": total}, sort_keys=True, indent=1) + "\n").encode()


def unseal(written: bytes) -> dict[str, Any]:
    """The content of what `seal` wrote.

    Raises:
        ValueError: `written` is not exactly that.
    """
    try:
        content: dict[str, Any] = json.loads(written.decode("utf-8"))["content"]
    except (KeyError, TypeError) as problem:
        raise ValueError(f"expected content and sha256, found none: {problem!r}") from None
    if seal(content) != written:
        raise ValueError("its own checksum disagrees")
    return content
