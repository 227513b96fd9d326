"""How a server follows the agent: it looks at two small files every 50 ms, and swaps one reference."""

import json
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from lead_scoring_assets.contracts.columns import Registry
from lead_scoring_assets.errors import LeadScoringError
from lead_scoring_assets.models.bundle import GOLDEN, load_scorer
from lead_scoring_assets.models.row_scorer import RowScorer
from lead_scoring_assets.rollout.traffic import Traffic
from lead_scoring_assets.serving import deployment_file, keys
from lead_scoring_assets.serving.breaker import CircuitBreaker
from lead_scoring_assets.serving.deployment_file import DeploymentFile, ServedModel
from lead_scoring_assets.serving.faults import Fault, isolated
from lead_scoring_assets.serving.keys import KeyRing
from lead_scoring_assets.serving.moments import Moments
from lead_scoring_assets.settings import Breaker, Home

_LOOK_SECONDS = 0.05
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class LoadedModel:
    """A version that was loaded and scores its `golden` rows as it did when it was trained, and its breaker."""

    version: int
    scorer: RowScorer
    breaker: CircuitBreaker
    golden: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True)
class Live:
    """What a server answers by: one value, so that a request sees one deployment from beginning to end."""

    deployment: DeploymentFile
    champion: LoadedModel
    challenger: LoadedModel | None
    """Where it answers leads; None where it scores in the shadow."""

    @property
    def traffic(self) -> Traffic:
        return self.deployment.traffic

    @cached_property
    def is_waited_for(self) -> bool:
        """Whether a model of its learner's library may be asked, which is not ours to promise an end of."""
        models = [self.champion] if self.challenger is None else [self.champion, self.challenger]
        return any(model.scorer.path == "library" for model in models)


class _Following:
    """Looks at files, and keeps the models that they name."""

    def __init__(self, home: Home, breaker: Breaker) -> None:
        self._home = home
        self._breaker = breaker
        self._loaded: dict[ServedModel, LoadedModel] = {}
        self._seen: dict[Path, tuple[object, str | None]] = {}

    def _try(self, path: Path, follow: Callable[[Path], None]) -> str | None:
        """Call `follow` when the file has changed; why that failed, told until the file changes again."""
        stamp, problem = self._seen.get(path, (None, None))
        found = _stamp(path)
        if found == stamp:
            return problem
        try:
            with isolated:
                follow(path)
        except Fault as fault:
            problem = str(fault)
            _LOG.warning("what is served stays as it is: %s", problem)
        else:
            problem = None
        self._seen[path] = (found, problem)
        return problem

    def _model(self, served: ServedModel) -> LoadedModel:
        known = self._loaded.get(served)
        if known is None:
            known = self._loaded[served] = load_model(self._home.data, served, self._breaker)
        return known

    def _let_go_of_all_but(self, *kept: ServedModel | None) -> None:
        self._loaded = {served: model for served, model in self._loaded.items() if served in kept}


class Follower(_Following):
    """`live`: None until a model is loaded. `keys`: who may ask. `problem`: why it could not follow the last time."""

    def __init__(self, home: Home, moments: Moments, breaker: Breaker) -> None:
        super().__init__(home, breaker)
        self._moments = moments
        self._ending = threading.Event()
        self._threads: list[threading.Thread] = []
        self._before: ServedModel | None = None
        self._next_up: list[ServedModel] = []
        self.live: Live | None = None
        self.keys = KeyRing()
        self.problem: str | None = None

    def look(self) -> None:
        """Follow what has changed; whatever fails, the server goes on with what it has."""
        told = [self._try(self._home.serving / deployment_file.FILE, self._follow_deployment)]
        told.append(self._try(self._home.serving / keys.FILE, self._follow_keys))
        try:
            self._moments.look()
        except LeadScoringError as problem:
            told.append(str(problem))
        self.problem = "; ".join(filter(None, told)) or None

    def start(self) -> None:
        """Look now, and go on in a thread until `end`."""
        self.look()
        # Two, because a rollback must not wait while libraries are imported.
        for name, work in (("follower", self._go_on), ("explainer", self._keep_warm)):
            self._threads.append(threading.Thread(target=work, daemon=True, name=name))
            self._threads[-1].start()

    def end(self) -> None:
        self._ending.set()
        for thread in self._threads:
            thread.join()

    def _go_on(self) -> None:
        while not self._ending.wait(_LOOK_SECONDS):
            self.look()
            self._prepare()

    def _prepare(self) -> None:
        """Load one of those that may be the champion next: who promotes or rolls back then waits for a swap only."""
        if not self._next_up:
            return
        served = self._next_up.pop(0)
        try:
            with isolated:
                self._model(served)
        except Fault as fault:  # it matters when it is to answer, and is told then
            _LOG.info("v%s is not ready: %s", served.version, fault)

    def _keep_warm(self) -> None:
        """Nobody who asks why a lead has its score is the first one to ask; and no first trees wait for what they need."""
        from lead_scoring_assets.models.learners import kernel

        kernel.wake()
        warm: LoadedModel | None = None
        while not self._ending.wait(_LOOK_SECONDS):
            live = self.live
            if live is None or live.champion is warm:
                continue
            warm = live.champion
            try:
                with isolated:
                    warm_up(warm, self._home.settings.registry)
            except Fault as fault:  # whoever asks is told so by the endpoint
                _LOG.warning("v%s cannot explain: %s", warm.version, fault)

    def _follow_deployment(self, path: Path) -> None:
        told = DeploymentFile.read(path)
        if told is None:
            return  # whoever deleted it has not taken the model away
        champion = self._model(told.champion)
        # The shadow is asked by a process of its own.
        challenger = None if told.challenger is None or told.shadow else self._model(told.challenger)
        if self.live is not None and self.live.champion is not champion:
            self._before = self.live.deployment.champion
        self.live = Live(told, champion, challenger)
        # Whoever goes back, or forward again, is in a hurry: the champion before this one need not be loaded again.
        self._let_go_of_all_but(told.champion, told.challenger, self._before, *told.next_up)
        self._next_up = [served for served in told.next_up if served not in self._loaded]

    def _follow_keys(self, path: Path) -> None:
        self.keys = keys.read_keys(path)


class ShadowFollower(_Following):
    """`model`: the one that scores in the shadow; None: none does. `problem`: as a server's."""

    def __init__(self, home: Home) -> None:
        super().__init__(home, home.settings.serving.breaker)
        self.model: LoadedModel | None = None
        self.problem: str | None = None

    def look(self) -> None:
        """Follow what has changed; whatever fails, it goes on with what it has."""
        self.problem = self._try(self._home.serving / deployment_file.FILE, self._follow)

    def _follow(self, path: Path) -> None:
        told = DeploymentFile.read(path)
        if told is not None:
            self.model = None if told.shadow is None else self._model(told.shadow)
            self._let_go_of_all_but(told.shadow)


def load_model(data: Path, served: ServedModel, breaker: Breaker) -> LoadedModel:
    """Load and verify a version, as whole tables and as single rows.

    Raises:
        LakehouseError: it is damaged.
    """
    folder = data / served.bundle
    scorer = load_scorer(folder, served.fingerprint)
    golden: list[Mapping[str, Any]] = json.loads((folder / GOLDEN).read_bytes())["rows"]
    return LoadedModel(served.version, RowScorer(scorer, golden), CircuitBreaker(breaker), golden)


def warm_up(model: LoadedModel, registry: Registry) -> None:
    """Explain a golden row, which imports and builds what only explanations need."""
    from lead_scoring_assets.assessment.reasons import top_reasons

    for row in model.golden[:1]:
        told = np.array(list(model.scorer.contributions(row).values()))
        top_reasons(told, row, model.scorer.scorer.columns, registry)


def _stamp(path: Path) -> object:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size
