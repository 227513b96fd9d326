"""How many requests a key may send: a token bucket for each, the time is told to it."""


class RateLimit:
    """`per_second` on average (None: no limit), and `burst` at once."""

    def __init__(self, per_second: float | None, burst: int) -> None:
        self._per_second = per_second
        self._burst = float(burst)
        self._left: dict[str, tuple[float, float]] = {}

    def seconds_to_wait(self, key: str, now: float) -> float:
        """0.0 when the request of `key` may pass at `now`, which is counted; else in how many seconds one may."""
        if self._per_second is None:
            return 0.0
        tokens, at = self._left.get(key, (self._burst, now))
        tokens = min(self._burst, tokens + max(0.0, now - at) * self._per_second)
        if tokens >= 1:
            self._left[key] = (tokens - 1, now)
            return 0.0
        self._left[key] = (tokens, now)
        return (1 - tokens) / self._per_second
