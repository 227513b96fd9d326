"""All sections together, and what they must agree on."""

from collections.abc import Mapping
from functools import cached_property
from typing import Literal, Self

from pydantic import Field, model_validator

from lead_scoring_assets.contracts.aggregates import Aggregate
from lead_scoring_assets.contracts.columns import LEAD_KEYS, Column, Registry
from lead_scoring_assets.periods import PeriodCalendar
from lead_scoring_assets.settings.alerts import Alerts
from lead_scoring_assets.settings.data import Activities, Bank, Compute, Labels, Periods, Simulated, Sources
from lead_scoring_assets.settings.experiments import ExperimentPolicy
from lead_scoring_assets.settings.guardrails import Guardrails
from lead_scoring_assets.settings.models import Evaluation, Gate, Scoring, Training
from lead_scoring_assets.settings.monitoring import Business, Drift, Performance, Reports, Watching
from lead_scoring_assets.settings.retraining import Retraining
from lead_scoring_assets.settings.rollout import RolloutPolicy
from lead_scoring_assets.settings.serving import Serving
from lead_scoring_assets.settings.values import Section

_SYSTEM_COLUMNS = (*LEAD_KEYS, "period", "version", "source_file", "source_line")


class Pages(Section):
    """Where reports are served: on this machine only."""

    port: int = Field(3070, ge=1024, le=65535)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


class Mlflow(Section):
    """Where runs and models are recorded."""

    tracking_uri: str | None = None  # None: SQLite and local files under data/mlflow


class Settings(Section):
    """One installation's settings; every field is explained in the shipped `lead_scoring.yaml`."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    clock: Literal["replay", "system"] = "system"
    crm: Literal["bank", "simulated", "own"] = "own"
    currency: str = Field("EUR", pattern=r"^[A-Z]{3}$")
    periods: Periods
    sources: Sources = Sources()
    columns: Mapping[str, Column]
    activities: Activities = Activities()
    features: Mapping[str, Aggregate] = {}
    compute: Compute = Compute()
    bank: Bank = Bank()
    simulated: Simulated = Simulated()
    labels: Labels = Labels()
    training: Training = Training()
    evaluation: Evaluation = Evaluation()
    gate: Gate = Gate()
    scoring: Scoring = Scoring()
    drift: Drift = Drift()
    watching: Watching = Watching()
    performance: Performance = Performance()
    business: Business = Business()
    reports: Reports = Reports()
    retraining: Retraining = Retraining()
    rollout: RolloutPolicy = RolloutPolicy()
    serving: Serving = Serving()
    guardrails: Guardrails = Guardrails()
    experiments: ExperimentPolicy = ExperimentPolicy()
    alerts: Alerts = Alerts()
    mlflow: Mlflow = Mlflow()
    pages: Pages = Pages()

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if taken := sorted(name for name in self.columns if name.casefold() in _SYSTEM_COLUMNS):
            raise ValueError(f"columns {taken} are the system's own names; rename them in the export")
        folded = [name.casefold() for name in self.columns]
        if alike := sorted(name for name in self.columns if folded.count(name.casefold()) > 1):
            raise ValueError(f"columns {alike} differ in upper and lower case only; rename them in the export")
        if blank := sorted(name for name in self.columns if not name or name != name.strip()):
            raise ValueError(f"columns {blank} are empty or begin or end with a blank; write the name without")
        if not self.registry.features:
            raise ValueError("columns hold no feature: give at least one column `role: feature`")
        if strangers := [name for name in self.evaluation.segments if name not in self.columns]:
            raise ValueError(f"evaluation.segments names {strangers}, which columns does not hold")
        categories = [name for name, c in self.columns.items() if c.role == "feature" and c.kind == "category"]
        if strangers := [name for name in self.drift.segments if name not in categories]:
            raise ValueError(f"drift.segments names {strangers}; expected category features, of {categories}")
        for name, attribute in self.evaluation.fairness.items():
            column = self.columns.get(name)
            if column is None or column.role in ("identifier", "forbidden"):
                what = "columns does not hold" if column is None else f"has role {column.role}"
                raise ValueError(f"evaluation.fairness names {name!r}, which {what}; name a column known of every lead")
            if attribute.bands and column.kind not in ("integer", "number", "timestamp"):
                raise ValueError(f"evaluation.fairness.{name}.bands: only numbers have bands, found {column.kind}")
        computed = [name.casefold() for name in self.features]
        taken_names = {*folded, *_SYSTEM_COLUMNS}
        if both := sorted(n for n in self.features if n.casefold() in taken_names or computed.count(n.casefold()) > 1):
            raise ValueError(f"features {both} share their name with a column of the lead or each other; rename one")
        for name, aggregate in self.features.items():
            if not self.activities.types:
                raise ValueError(f"features.{name} counts activities, but activities.types names none")
            if strangers := [kind for kind in aggregate.types if kind not in self.activities.types]:
                raise ValueError(f"features.{name} counts {strangers}, which activities.types does not name")
        return self

    @cached_property
    def registry(self) -> Registry:
        return Registry(self.columns, self.activities.types, self.features)

    @property
    def calendar(self) -> PeriodCalendar:
        return self.periods.calendar

    @property
    def simulated_part(self) -> str:
        """What of the data is simulated, in a sentence for whoever looks at figures; empty when nothing is."""
        return {
            "bank": "Leads and outcomes are real; when an outcome became known is simulated.",
            "simulated": "Everything is SIMULATED: leads, activities, outcomes, delays and drift.",
            "own": "",
        }[self.crm]

    @property
    def simulated_mark(self) -> str:
        """For titles: says that leads are not real."""
        return " (SIMULATED)" if self.crm == "simulated" else ""
