"""When a model is left alone for a while: a pure state machine, the time is told to it.

    closed ──so many failures of the last calls──▶ open ──so many seconds──▶ half_open ──the trial succeeds──▶ closed
                                                    ▲                            │
                                                    └─────────the trial fails────┘

(Nygard 2007, Release It!, "Circuit Breaker".)
"""

from collections import deque
from typing import Literal

from lead_scoring_assets.settings import Breaker

State = Literal["closed", "open", "half_open"]


class CircuitBreaker:
    """One model's; `state` tells people, `allows` and the two reports are for every call. Times are in seconds.

    Only one call tries whether the model works again; the others are not allowed until it is back.
    """

    def __init__(self, policy: Breaker) -> None:
        self._policy = policy
        self._last: deque[bool] = deque(maxlen=policy.of_last)
        self._failures = 0
        self._opened_at = 0.0
        self._tried_at = 0.0
        self.state: State = "closed"

    def allows(self, now: float) -> bool:
        """Whether the model may be called at `now`; who was told yes reports how it went."""
        if self.state == "closed":
            return True
        if self.state == "open" and now - self._opened_at >= self._policy.open_seconds:
            self.state, self._tried_at = "half_open", now
            return True
        if self.state == "half_open" and now - self._tried_at >= self._policy.open_seconds:
            self._tried_at = now  # the trial never came back
            return True
        return False

    def succeeded(self) -> None:
        if self.state == "half_open":
            self._close()
        elif self._failures:
            self._remember(has_failed=False)

    def failed(self, now: float) -> None:
        if self.state == "half_open":
            self._open(now)
        elif self.state == "closed":
            self._remember(has_failed=True)
            if self._failures >= self._policy.failures:
                self._open(now)

    def _remember(self, *, has_failed: bool) -> None:
        if len(self._last) == self._policy.of_last:
            self._failures -= self._last[0]
        self._last.append(has_failed)
        self._failures += has_failed

    def _open(self, now: float) -> None:
        self.state, self._opened_at = "open", now

    def _close(self) -> None:
        self.state = "closed"
        self._last.clear()
        self._failures = 0
