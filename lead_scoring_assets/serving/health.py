"""What /health says: whether a verified model is loaded, which, how old it is, and what is not as it should be."""

from collections.abc import Callable
from typing import Any

from lead_scoring_assets.serving.access import Access
from lead_scoring_assets.serving.following import Follower
from lead_scoring_assets.serving.moments import Moments
from lead_scoring_assets.serving.shadow_turn import ShadowState


class Health:
    """One worker's. `keys_needed`: False means that everybody on this machine may ask."""

    def __init__(
        self,
        worker: str,
        follower: Follower,
        moments: Moments,
        access: Access,
        log: Callable[[], bool],
        shadow: Callable[[], ShadowState],
    ) -> None:
        self._worker, self._follower, self._moments, self._access = worker, follower, moments, access
        self._log, self._shadow = log, shadow

    def model_age_seconds(self) -> float | None:
        """Since the end of the period whose labels the model saw last, by the injected clock."""
        live = self._follower.live
        if live is None or live.deployment.model_trained_at is None:
            return None
        return (self._moments.now() - live.deployment.model_trained_at).total_seconds()

    def tell(self) -> tuple[int, dict[str, Any]]:
        """Status 503 until a model is loaded, then 200; and the words."""
        live, problem = self._follower.live, self._follower.problem
        told: dict[str, Any] = {"worker": self._worker, "keys_needed": not self._access.is_open}
        if live is None:
            return 503, {"status": "no_model", **told, "problem": problem}
        champion, challenger, served = live.champion, live.challenger, live.deployment.challenger
        is_well = problem is None and champion.breaker.state == "closed" and self._log()
        label, shadow = live.deployment.last_label_at, self._shadow()
        return 200, {
            "status": "ok" if is_well else "degraded",
            **told,
            "model_version": f"v{champion.version}",
            "model_age_seconds": self.model_age_seconds(),
            "last_label_at": None if label is None else label.isoformat(),
            "scoring_path": champion.scorer.path,
            "breaker": champion.breaker.state,
            "challenger_version": None if served is None else f"v{served.version}",
            "challenger_breaker": None if challenger is None else challenger.breaker.state,
            "traffic": live.traffic.mode,
            "shadow_is_running": shadow.is_running,
            "shadow_waiting": shadow.waiting,
            "deployment_sequence": live.deployment.sequence,
            "log_can_be_written": self._log(),
            "problem": None if problem is None else "what is served could not follow; see the server's log",
        }
