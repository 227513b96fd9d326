"""A home in which the clock is moved, and what the API would have logged, and the labels, are written by the test."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from lead_scoring_assets.clock import FixedClock
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.lots import lot
from lead_scoring_assets.models.bundle import RECIPE, save_bundle
from lead_scoring_assets.models.calibration import identity
from lead_scoring_assets.models.encoder import Encoder
from lead_scoring_assets.models.recipe import documented_recipe
from lead_scoring_assets.models.training import fit_model
from lead_scoring_assets.prediction_log.tables import PREDICTIONS, SCHEMAS, SHADOWS
from lead_scoring_assets.promotion.deployments import Deployment, Deployments
from lead_scoring_assets.promotion.lifecycle import Action
from lead_scoring_assets.rollout.records import Rollouts
from lead_scoring_assets.rollout.states import Rollout
from lead_scoring_assets.rollout.traffic import traffic_now
from lead_scoring_assets.settings import Home
from lead_scoring_tests.promotion.worlds import PERIODS, leads

BEGIN = datetime(2009, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
LABELS = pa.schema(
    [
        ("period", pa.string()),
        ("lead_id", pa.string()),
        ("label", pa.int8()),
        ("label_known_at", pa.timestamp("us", tz="UTC")),
    ]
)


def make_models(root: Path, versions: int) -> None:
    """Small real models in the home `root`, of the first periods. No MLflow: what is live does not depend on it."""
    house = Installation(Home(root))
    house.lakehouse.root.mkdir(parents=True)
    encoder = Encoder(numeric=("age",), categories={})
    for number in range(1, versions + 1):
        recipe = documented_recipe(house.settings.training.model_copy(update={"rounds": 2, "seed": number}))
        sample = leads(seed=number)
        folder = house.home.data / "models" / f"m-{number}"
        fingerprint = save_bundle(folder, fit_model(sample, encoder, recipe), recipe, identity(), encoder, sample)
        folder.with_suffix(".fingerprint").write_text(fingerprint)


@dataclass
class RolloutHome:
    """`now`: what its clock says."""

    root: Path
    now: datetime = BEGIN

    @property
    def house(self) -> Installation:
        """Opened anew, as another process would."""
        house = Installation(Home(self.root))
        house.__dict__["clock"] = FixedClock(self.now)
        return house

    def step(self, number: int, action: Action, **told: Any) -> Deployment:
        """A step of a version, as it would be recorded."""
        bundle = f"models/m-{number}"
        fingerprint = (self.root / "data" / f"{bundle}.fingerprint").read_text()
        told = {"requested_by": None, "effective_at": BEGIN, **told}
        return Deployment(
            number,
            period=PERIODS[number - 1],
            bundle=bundle,
            fingerprint=fingerprint,
            actor="gate",
            reason=f"reason {number}",
            action=action,
            **told,
        )

    def damage(self, number: int) -> None:
        file = self.root / "data" / "models" / f"m-{number}" / RECIPE
        file.write_bytes(file.read_bytes() + b" ")

    def deployments(self) -> Deployments:
        return Deployments(self.house.lakehouse)

    def live(self) -> int:
        newest = self.deployments().newest()
        assert newest is not None
        return newest.version

    @property
    def rollout(self) -> Rollout:
        newest = Rollouts(self.house.lakehouse).newest()
        assert newest is not None
        return newest

    def propose(self, number: int, requested_by: str | None = None) -> None:
        """As the gate does where a candidate does not go live at once."""
        assert self.deployments().record(self.step(number, "proposed", requested_by=requested_by))

    def set(self, found: str, wanted: str) -> None:
        """Change the settings file."""
        settings = self.root / "lead_scoring.yaml"
        assert found in settings.read_text()
        settings.write_text(settings.read_text().replace(found, wanted))

    def serves(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Rows of `served_predictions`; what a row does not tell is as a healthy champion would have it."""
        usual = {"status": 200, "source": "model", "arm": "champion", "latency_us": 5_000, "at": self.now, "score": 0.1}
        self._append(PREDICTIONS, [{**usual, "request_id": f"r{i}", **row} for i, row in enumerate(rows)])

    def shadows(self, version: int, n: int, **told: Any) -> None:
        """`n` leads that the champion and the shadow scored, now."""
        draws = np.random.default_rng(n)
        champion, latency = draws.beta(2, 8, n), (draws.lognormal(1.6, 0.4, n) * 1_000).astype(int)
        rows = [
            {
                "request_id": f"s{i}-{self.now:%j%H}",
                "at": self.now,
                "lead_id": f"lead-{i}-{self.now:%j%H}",
                "champion_version": 1,
                "champion_score": champion[i],
                "shadow_version": version,
                "shadow_score": champion[i],
                "champion_latency_us": int(latency[i]),
                "shadow_latency_us": int(latency[i]),
                "outcome": "scored",
                **told,
            }
            for i in range(n)
        ]
        self._append(SHADOWS, rows)

    def answers(self, n: int, rollout: Rollout, *, errors: int = 0, first: int = 0) -> list[str]:
        """`n` leads answered now as the API splits them: sticky, by lot; `errors` of the candidate's first answers fail."""
        rows, failed = [], 0
        for i in range(first, first + n):
            lead = f"c{i}"
            is_candidate = rollout.state == "watching" or lot(rollout.rollout_id, lead) < rollout.share_bp
            row: dict[str, Any] = {
                "lead_id": lead,
                "model_version": rollout.champion_version,
                "share_bp": rollout.share_bp,
            }
            if rollout.state != "watching":
                row |= {"rollout_id": rollout.rollout_id, "arm": "challenger" if is_candidate else "champion"}
            if is_candidate:
                row["model_version"] = rollout.version
                if failed < errors:
                    failed += 1
                    row |= {"source": "fallback", "model_version": None}
            rows.append(row)
        self.serves(rows)
        return [str(row["lead_id"]) for row in rows]

    def labels(self, known_at: datetime, rows: Sequence[tuple[str, int | None]]) -> None:
        """Labels that became known at one moment."""
        period = self.house.settings.calendar.containing(known_at).key
        told = [{"period": period, "lead_id": lead, "label": y, "label_known_at": known_at} for lead, y in rows]
        lakehouse = self.house.lakehouse
        if lakehouse.exists("ground_truth_labels"):
            told = [*lakehouse.read("ground_truth_labels", periods=[period]).to_pylist(), *told]
        lakehouse.replace_periods("ground_truth_labels", [period], pa.Table.from_pylist(told, schema=LABELS))

    def traffic(self) -> tuple[int | None, int | None, str, int]:
        """Champion, challenger, mode and share that the API is told of."""
        now = traffic_now(self.house)
        versions = (None if found is None else found.version for found in (now.champion, now.challenger))
        return (*versions, now.traffic.mode, now.traffic.share_bp)  # type: ignore[return-value]

    def _append(self, table: str, rows: list[dict[str, Any]]) -> None:
        period = self.house.settings.calendar.containing(self.now).key
        told = [{"period": period, **row} for row in rows]
        self.house.lakehouse.append(table, pa.Table.from_pylist(told, schema=SCHEMAS[table]))
