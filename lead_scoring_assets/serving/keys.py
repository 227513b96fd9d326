"""API keys: who may ask what. Only hashes are kept; what the API does with a key stands in `access.py`.

A key's secret is 256 random bits, so that one round of SHA-256 keeps it: nobody can guess through 2^256. Slow hashes (scrypt,
argon2) are for passwords, which people choose from far fewer; here they would only make every request slow.
"""

import contextlib
import hashlib
import hmac
import json
import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from lead_scoring_assets.errors import ServingError
from lead_scoring_assets.files import one_at_a_time, write_atomically

FILE = "keys.json"
Scope = Literal["score", "feedback", "admin"]
SCOPES: tuple[Scope, ...] = ("score", "feedback", "admin")
"""`score`: predictions and explanations · `feedback`: outcomes · `admin`: all of it, and the metrics."""
_MARK = "lsk"
# What is compared where there is nothing to compare: of a secret that nobody has.
_NOBODYS = hashlib.sha256(secrets.token_bytes(32)).hexdigest()


@dataclass(frozen=True)
class Key:
    """`key_id` stands in the token, in front of its secret. `previous`: the secret before the last rotation, still good until
    the next one. Both are hashes."""

    key_id: str
    name: str
    scopes: tuple[Scope, ...]
    current: str
    previous: str | None = None

    def allows(self, scope: Scope) -> bool:
        return scope in self.scopes or "admin" in self.scopes


class KeyRing:
    """All keys of an installation, as they are looked up for each request."""

    def __init__(self, keys: Iterable[Key] = ()) -> None:
        self._keys = {key.key_id: key for key in keys}

    def __len__(self) -> int:
        return len(self._keys)

    @property
    def keys(self) -> list[Key]:
        return list(self._keys.values())

    def named(self, name: str) -> Key | None:
        return next((key for key in self._keys.values() if key.name == name), None)

    def holder(self, token: str) -> Key | None:
        """Whose token this is; None: nobody's. Compared in constant time, whatever of it is right."""
        mark, _, rest = token.partition("_")
        key_id, _, secret = rest.partition("_")
        key = self._keys.get(key_id) if mark == _MARK else None
        found = _hash(secret)
        is_current = hmac.compare_digest(found, _NOBODYS if key is None else key.current)
        is_previous = hmac.compare_digest(found, (key.previous if key else None) or _NOBODYS)
        return key if is_current or is_previous else None


def read_keys(path: Path) -> KeyRing:
    """The keys in a file; none where there is no file.

    Raises:
        ServingError: the file is damaged.
    """
    try:
        told: list[Mapping[str, Any]] = json.loads(path.read_bytes())["keys"]
        return KeyRing(Key(**{**row, "scopes": tuple(row["scopes"])}) for row in told)
    except FileNotFoundError:
        return KeyRing()
    except (ValueError, TypeError, KeyError, AttributeError) as problem:
        raise ServingError(
            f"{path} cannot be read ({problem!r}): expected keys as `lead-scoring keys create` writes them. Restore the file, or "
            "delete it and create the keys anew."
        ) from None


def create_key(path: Path, name: str, scopes: Iterable[Scope]) -> str:
    """Add a key; its token, which is told this once and kept nowhere.

    Raises:
        ServingError: there is one of that name, or the name or the scopes cannot be used.
    """
    wanted = tuple(scope for scope in SCOPES if scope in set(scopes))
    if not name or not name.isprintable() or len(name) > 100 or not wanted:  # as long as names are
        raise ServingError(
            f"a key needs a name of 1 to 100 characters and one of the scopes {', '.join(SCOPES)}; found {name!r}."
        )
    secret, key_id = _new_secret(), secrets.token_hex(6)
    with _alone(path) as ring:
        if ring.named(name):
            raise ServingError(
                f"there is a key {name!r} already: expected a new name. `lead-scoring keys rotate` gives it a new secret."
            )
        _write(path, [*ring.keys, Key(key_id, name, wanted, _hash(secret))])
    return f"{_MARK}_{key_id}_{secret}"


def rotate_key(path: Path, name: str, *, at_once: bool = False) -> str:
    """Give a key a new secret; its token. The one before goes on working until the next rotation, or ends `at_once`.

    Raises:
        ServingError: there is no such key.
    """
    secret = _new_secret()
    with _alone(path) as ring:
        key = _known(ring, name)
        new = replace(key, current=_hash(secret), previous=None if at_once else key.current)
        _write(path, [new if other.key_id == key.key_id else other for other in ring.keys])
    return f"{_MARK}_{key.key_id}_{secret}"


def revoke_key(path: Path, name: str) -> None:
    """Take a key away; servers refuse it within a moment.

    Raises:
        ServingError: there is no such key.
    """
    with _alone(path) as ring:
        gone = _known(ring, name)
        _write(path, [key for key in ring.keys if key.key_id != gone.key_id])


def _known(ring: KeyRing, name: str) -> Key:
    key = ring.named(name)
    if key is None:
        told = ", ".join(repr(other.name) for other in ring.keys)
        expected = f"one of {told}; see `lead-scoring keys list`" if told else "one that was created; there is none"
        raise ServingError(f"there is no key {name!r}: expected {expected}.")
    return key


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[KeyRing]:
    with one_at_a_time(path.with_name("keys.lock")):
        yield read_keys(path)


def _write(path: Path, keys: list[Key]) -> None:
    write_atomically(path, (json.dumps({"keys": [asdict(key) for key in keys]}, indent=1) + "\n").encode())
    path.chmod(0o600)


def _new_secret() -> str:
    return secrets.token_urlsafe(32)


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()
