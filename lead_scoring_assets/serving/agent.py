"""The model agent: brings what the tables say is live before the servers, verified, in one small file.

It runs in the process that supervises the servers. What fails here leaves the file as it is: servers go on with what they have.
"""

import logging
import threading
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from lead_scoring_assets.alerts.alerts import Alert
from lead_scoring_assets.alerts.desk import at_the_desk
from lead_scoring_assets.errors import LakehouseError, LeadScoringError
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.lakehouse.query import query
from lead_scoring_assets.models.bundle import load_scorer
from lead_scoring_assets.models.training_set import TRAIN
from lead_scoring_assets.promotion.deployments import Deployment
from lead_scoring_assets.promotion.fallback import load_or_fall_back
from lead_scoring_assets.rollout.traffic import Now, Traffic, traffic_now
from lead_scoring_assets.serving.deployment_file import FILE, DeploymentFile, ServedModel
from lead_scoring_assets.serving.faults import Fault, isolated

_LABELS, _TRAINING_SET = "ground_truth_labels", "training_set"
# Of these a commit may change what is served, or what is told of it.
_WATCHED = ("deployments", "rollouts", "experiments", _LABELS)
_LOOK_SECONDS = 0.05
# Then it looks again although nothing changed: a damaged artefact may have been mended, a lock let go of.
_AT_LEAST_SECONDS = 10.0
_ACTOR = "model agent"
_LOG = logging.getLogger(__name__)


class ModelAgent:
    """Follows the tables of one installation. `problem`: why it could not the last time, None when it could."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self._path = installation.home.serving / FILE
        self._verified: set[tuple[str, str]] = set()
        self._newest, self._rates = _Asked(), _Asked()
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None
        self.problem: str | None = None

    def look(self) -> DeploymentFile | None:
        """Bring the file to where the tables stand; what it says now, None while no model is live.

        Raises:
            LeadScoringError: the tables cannot be read, or no version loads; the file is as it was.
        """
        resolved = self._resolve()
        champion = resolved.champion
        if champion is None:
            return None
        written = self._written()
        wanted = DeploymentFile(
            sequence=0 if written is None else written.sequence + 1,
            written_at=self._installation.clock.now(),
            champion=_served(champion),
            challenger=None if resolved.challenger is None else _served(resolved.challenger),
            traffic=resolved.traffic,
            next_up=tuple(map(_served, resolved.next_up)),
            last_label_at=self._last_label_at(),
            model_trained_at=self._installation.settings.calendar.period(champion.period).end,
            base_rate=self._base_rate(champion),
        )
        if wanted.says_the_same_as(written):
            return written
        wanted.write(self._path)
        return wanted

    def start(self) -> None:
        """Follow in a thread, until `end`."""
        self._thread = threading.Thread(target=self._follow, daemon=True, name="model-agent")
        self._thread.start()

    def end(self) -> None:
        """Stop following; returns when the last look is over."""
        self._ending.set()
        if self._thread is not None:
            self._thread.join()

    def _follow(self) -> None:
        # The first trees are verified by it, and importing takes longer than all the rest.
        from lead_scoring_assets.models.learners import kernel

        kernel.wake()
        seen: Sequence[object] = ()
        waited = 0.0
        while not self._ending.is_set():
            stamps = self._stamps()
            if stamps != seen or waited >= _AT_LEAST_SECONDS:
                # A commit between the stamps and the look is seen by this look, and costs one more.
                seen, waited = stamps, 0.0
                self._try_to_look()
            self._ending.wait(_LOOK_SECONDS)
            waited += _LOOK_SECONDS

    def _try_to_look(self) -> None:
        try:
            with isolated:
                self.look()
        except Fault as fault:  # the servers go on, and the next look may do
            told = str(fault)
            if told != self.problem:
                _LOG.warning("what is served stays as it is: %s", told)
            self.problem = told
        else:
            self.problem = None

    def _stamps(self) -> list[object]:
        """Of each watched table, when its log was last added to: a commit is a new file in that folder."""
        return [_stamp(self._installation.home.lakehouse / table / "_delta_log") for table in _WATCHED]

    def _resolve(self) -> Now:
        """What the tables say, with a damaged champion's stand-in, and without a damaged challenger."""
        now = traffic_now(self._installation)
        champion, challenger = now.champion, now.challenger
        if champion is None:
            return now
        if not self._is_whole(champion) and self._load_or_fall_back(champion) != champion:
            return self._resolve()  # of the tables as they stand now
        if challenger is None or self._loads(challenger):
            return now
        return now._replace(challenger=None, traffic=Traffic())

    def _load_or_fall_back(self, champion: Deployment) -> Deployment:
        """The champion, verified, or what takes its place: recorded, and alerted, as batch scoring does it."""
        try:
            live = load_or_fall_back(self._installation, champion).deployment
        except LakehouseError as problem:
            self._alert(champion, f"v{champion.version} is damaged, servers go on with what they have: {problem}")
            raise
        self._verified.add((live.bundle, live.fingerprint))
        return live

    def _loads(self, challenger: Deployment) -> bool:
        if self._is_whole(challenger):
            return True
        try:
            load_scorer(challenger.folder(self._installation.home.data), challenger.fingerprint)
        except LakehouseError as problem:
            self._alert(
                challenger, f"v{challenger.version} gets no leads, neither as challenger nor in the shadow: {problem}"
            )
            return False
        self._verified.add((challenger.bundle, challenger.fingerprint))
        return True

    def _is_whole(self, model: Deployment) -> bool:
        return (model.bundle, model.fingerprint) in self._verified

    def _alert(self, model: Deployment, message: str) -> None:
        alert = Alert(f"alert-serving-{model.fingerprint[:16]}", "critical", f"v{model.version}", message)
        with at_the_desk(self._installation, _ACTOR, _LOG) as desk:
            desk.raise_(alert)

    def _written(self) -> DeploymentFile | None:
        try:
            return DeploymentFile.read(self._path)
        except LeadScoringError as problem:
            _LOG.warning("%s", problem)
            return None

    def _last_label_at(self) -> datetime | None:
        """When the newest label became known."""
        found: datetime | None = self._newest.of(self._installation, "SELECT max(label_known_at) FROM found", _LABELS)
        return found

    def _base_rate(self, champion: Deployment) -> float | None:
        """How many of the champion's training leads converted."""
        found: float | None = self._rates.of(
            self._installation,
            "SELECT avg(label) FROM found WHERE period = $1 AND split = $2",
            _TRAINING_SET,
            champion.period,
            TRAIN,
        )
        return found


class _Asked:
    """The last answer to a question about a table; it is asked again only when the table or the question has changed."""

    def __init__(self) -> None:
        self._asked: tuple[object, ...] = ()
        self._answer: Any = None

    def of(self, installation: Installation, sql: str, table: str, *values: object) -> Any:
        """The one value that `sql` gives of the table (as `found`); None without the table, the last one if it fails."""
        asked = (_stamp(installation.home.lakehouse / table / "_delta_log"), *values)
        if asked[0] is not None and asked != self._asked:
            try:
                rows = query(sql, {"found": installation.lakehouse.scan(table)}, list(values))
            except LakehouseError as problem:
                # Not worth holding back a model for.
                _LOG.warning("%s cannot be asked: %s", table, problem)
                return self._answer
            self._asked, self._answer = asked, rows[0][0].as_py()
        return self._answer


def _served(model: Deployment) -> ServedModel:
    return ServedModel(model.version, model.bundle, model.fingerprint)


def _stamp(folder: Path) -> object:
    try:
        found = folder.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino
