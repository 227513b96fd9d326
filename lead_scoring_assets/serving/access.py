"""Who is asking, and whether they may: keys, hosts and rates, for every request."""

from collections.abc import Callable

from lead_scoring_assets.serving.keys import KeyRing, Scope
from lead_scoring_assets.serving.rates import RateLimit
from lead_scoring_assets.serving.refusals import Refused

_OWN_NAMES = frozenset({b"localhost", b"127.0.0.1", b"[::1]", b""})
_ASK = ((b"www-authenticate", b"Bearer"),)


class Access:
    """Open to everybody on this machine while there are no keys and `may_be_open`; from the first key on, only to holders."""

    def __init__(self, keys: Callable[[], KeyRing], rates: RateLimit, *, may_be_open: bool) -> None:
        self._keys = keys
        self._rates = rates
        self._is_open = may_be_open

    @property
    def is_open(self) -> bool:
        """Once there was a key it stays closed, also when the last one is revoked."""
        self._is_open = self._is_open and not len(self._keys())
        return self._is_open

    def allow(self, scope: Scope, token: str | None, host: bytes, now: float) -> str | None:
        """The name of the key; None where no key is needed. `now` counts seconds.

        Raises:
            Refused: 401, 403 or 429; or 421 where another name than this machine's own was asked for.
        """
        if self.is_open:
            # A page in a browser on this machine may be made to ask us under a name of its own.
            if _name_of(host) not in _OWN_NAMES:
                raise Refused(421, "host")
            return None
        if token is None:
            raise Refused(401, "no_key", headers=_ASK)
        key = self._keys().holder(token)
        if key is None:
            raise Refused(401, "unknown_key", headers=_ASK)
        if not key.allows(scope):
            raise Refused(403, "scope")
        wait = self._rates.seconds_to_wait(key.key_id, now)
        if wait:
            raise Refused(429, "too_many_requests", headers=((b"retry-after", b"%d" % (int(wait) + 1)),))
        return key.name


def _name_of(host: bytes) -> bytes:
    return host.rsplit(b":", 1)[0] if not host.endswith(b"]") else host
