"""`lead_scoring.yaml` as typed, validated settings, and the folders of one installation (its home)."""

import os
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args
from zoneinfo import ZoneInfo

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from lead_scoring_assets.contracts.aggregates import Aggregate
from lead_scoring_assets.contracts.columns import LEAD_KEYS, Column, Entity, Registry
from lead_scoring_assets.errors import LeadScoringError, SettingsError
from lead_scoring_assets.periods import Cadence, PeriodCalendar

SETTINGS_FILE = "lead_scoring.yaml"
EXPANDING_MONTHS = 120
_SYSTEM_COLUMNS = (*LEAD_KEYS, "period", "version", "source_file", "source_line")


def _day(value: object) -> object:
    """Only a day as people write it: a bare number would be read as seconds since 1970."""
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(value)  # type: ignore[arg-type]  # what is no text is refused as well
    except (TypeError, ValueError):
        raise ValueError("expected a day such as 2008-05-01") from None


# Strict, because YAML's `yes` would otherwise count as 1.
Count = Annotated[int, Field(gt=0, strict=True)]
Seed = Annotated[int, Field(ge=0, strict=True)]
Days = Annotated[int, Field(ge=0, le=3_660, strict=True)]
Amount = Annotated[float, Field(gt=0, strict=True)]
Share = Annotated[float, Field(ge=0, le=1, strict=True)]
Algorithm = Literal["xgboost", "lightgbm", "logistic"]
Day = Annotated[date, BeforeValidator(_day)]


class _Section(BaseModel):
    """Frozen, and a key that nobody reads is an error rather than silence."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Periods(_Section):
    """The slices of time, and the days between which they lie."""

    cadence: Cadence = "month"
    start: Day
    end: Day | None = None
    history_until: str | None = None

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.end is not None and self.end <= self.start:
            raise ValueError(f"end {self.end} must be after start {self.start}")
        try:
            calendar = self.calendar
            until = None if self.history_until is None else calendar.period(self.history_until)
        except LeadScoringError as problem:
            raise ValueError(str(problem)) from None
        if until is not None and not (
            calendar.start <= until.start and (calendar.end is None or until.end <= calendar.end)
        ):
            raise ValueError(f"history_until {until} must lie between start {self.start} and end {self.end}")
        return self

    @cached_property
    def calendar(self) -> PeriodCalendar:
        def instant(day: date) -> datetime:
            return datetime.combine(day, time(), tzinfo=UTC)

        return PeriodCalendar(self.cadence, instant(self.start), instant(self.end) if self.end else None)


class SimulatedDelay(_Section):
    """How long the bank's outcomes take to become known: a stated log-normal, because the data does not say."""

    median_days_converted: Amount = 9.0
    median_days_lost: Amount = 14.0
    sigma: Amount = 0.6
    share_lost_reported: Share = 0.6
    seed: Seed = 222


class Bank(_Section):
    """The shipped example: where its file comes from."""

    mirror: Path | None = None
    simulated_delay: SimulatedDelay = SimulatedDelay()


class Planted(_Section):
    """A change of the simulated world: the first day on which it holds, and how strong it is."""

    start: Day
    strength: Annotated[float, Field(ge=0, strict=True)]


PlantedName = Literal[
    "ad_campaign",
    "fee_change",
    "student_surge",
    "slower_outcomes",
    "fewer_reps",
    "phone_missing",
    "industry_missing",
]


class Simulated(_Section):
    """The simulated free zone: how large it is, and what changes are planted in it. It starts at `periods.start`."""

    seed: Seed = 222
    leads_a_month: Count = 2_000
    activities_a_lead: Annotated[float, Field(ge=0, le=200, strict=True)] = 10.0
    contacts_a_working_day: Count | None = None  # None: seven in ten of the leads that come
    patience_days: int = Field(10, ge=1, le=60, strict=True)
    unprioritised_share: Share = 0.1
    seasonality: bool = True
    planted: Mapping[PlantedName, Planted] = {}


class Source(_Section):
    """How one entity (leads, activities or outcomes) comes: in files that land, or from a query; and under which names.

    `sql`: a SELECT that DuckDB can run (over files, or an attached database). What it gives for a period is written
    into the landing folder once, and read from there. `rename`: their column → ours. `values`: our column → their
    value → ours.
    """

    sql: str | None = None
    rename: Mapping[str, str] = {}
    values: Mapping[str, Mapping[str, str]] = {}
    delimiter: str = Field(",", min_length=1, max_length=1)
    encoding: Literal["utf-8", "utf-16", "cp1252", "cp1256"] = "utf-8"
    time_format: str | None = None  # None: ISO 8601; else as strptime takes it, such as %d/%m/%Y %H:%M

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        ours = list(self.rename.values())
        if twice := sorted({name for name in ours if ours.count(name) > 1}):
            raise ValueError(f"rename gives {twice} more than once; each of our columns comes from one of theirs")
        if self.delimiter in '"\r\n\0':
            raise ValueError(f"delimiter {self.delimiter!r} cannot stand between cells; write it like ',' or ';'")
        return self


class Sources(_Section):
    """Where leads, activities and outcomes come from, and how their files are written."""

    landing: str | None = None  # None: data/landing; else a folder, or s3://…, gs://…, abfs://…
    time_zone: str = "UTC"  # of times that are written without one
    leads: Source = Source()
    activities: Source = Source()
    outcomes: Source = Source()

    @model_validator(mode="after")
    def _known_zone(self) -> Self:
        try:
            ZoneInfo(self.time_zone)
        except (KeyError, ValueError, OSError):
            raise ValueError(f"time_zone {self.time_zone!r} is unknown; write it like Asia/Dubai or UTC") from None
        return self

    def of(self, entity: Entity) -> Source:
        return {"leads": self.leads, "activities": self.activities, "outcomes": self.outcomes}[entity]


class Activities(_Section):
    """The kinds of activities that are recorded; none: there are no activities."""

    types: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        if len(set(self.types)) < len(self.types) or any(not kind or kind != kind.strip() for kind in self.types):
            raise ValueError(f"types must be distinct names without outer blanks, found {list(self.types)}")
        return self


class Compute(_Section):
    """Which engine computes the features of a partition. Spark is reached from an environment of its own."""

    engine: Literal["duckdb", "spark"] = "duckdb"
    spark_python: Path | None = None  # None: .venv-spark beside the package, which `make spark` makes
    spark_remote: str = Field("sc://127.0.0.1:50051", pattern=r"^sc://\S+$")


class Labels(_Section):
    """When a lead without an outcome counts as not converted, and how long after that a correction still counts."""

    conversion_window_days: Count = 30
    corrections_days: Count = 90


class Tuning(_Section):
    """How many recipes are tried by cross-validation over time, and for how long at most."""

    trials: Count = 50
    budget_seconds: Count = 900
    folds: int = Field(5, ge=2, le=20, strict=True)


class Training(_Section):
    """How much data a model needs, and how it is trained."""

    window_months: Count | None = 6  # None: everything that has matured, up to EXPANDING_MONTHS
    minimum_rows: Count = 10_000
    minimum_positives: Count = 100
    minimum_holdout_rows: Count = 500
    minimum_holdout_positives: Count = 20
    algorithms: tuple[Algorithm, ...] = Field(("xgboost", "lightgbm", "logistic"), min_length=1)
    rounds: Count = 120
    parameters: Mapping[str, float | int | str] = {}  # XGBoost's: the first recipe that is tried
    class_weight: Literal["none", "balanced"] = "none"
    tuning: Tuning = Tuning()
    seed: Seed = 42

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        if len(set(self.algorithms)) < len(self.algorithms):
            raise ValueError(f"algorithms must be distinct, found {list(self.algorithms)}")
        return self


class FairnessAttribute(_Section):
    """A lead column by whose groups fairness is told. `bands`: borders of the groups of a number; none: its quartiles."""

    bands: tuple[float, ...] = ()

    @model_validator(mode="after")
    def _rising(self) -> Self:
        if list(self.bands) != sorted(set(self.bands)):
            raise ValueError(f"bands must rise, found {list(self.bands)}")
        return self


class Evaluation(_Section):
    """How models are judged: on which shares of the best leads, at which capacity, in which segments, how fairly."""

    bootstrap_samples: int = Field(1_000, ge=100, le=20_000, strict=True)
    top_shares: tuple[Annotated[float, Field(gt=0, lt=1, strict=True)], ...] = (0.05, 0.1, 0.2)
    capacity_share: Annotated[float, Field(gt=0, le=1, strict=True)] = 0.2  # of the leads, how many are worked
    value_per_conversion: Amount = 1.0  # in `currency`, where outcomes hold no deal value
    training_cost: Annotated[float, Field(ge=0, strict=True)] = 1.0  # in `currency`: machines, and who looks at it
    segments: tuple[str, ...] = ()  # columns of the registry
    fairness: Mapping[str, FairnessAttribute] = {}  # besides columns with role sensitive; may be features as well
    group_thresholds: bool = Field(False, strict=True)  # tell what a threshold for each group would change
    minimum_group_rows: Count = 100
    maximum_fairness_gap: Share = 0.10
    minimum_fairness_ratio: Share = 0.80


class Gate(_Section):
    """What a candidate must reach, how it is compared with the champion and the best so far, and who has the last word."""

    mode: Literal["improve", "refresh"] = "improve"
    minimum_auc: Share = 0.75
    minimum_precision_at_10_percent: Share = 0.5
    maximum_brier: Share = 0.25
    improvement: Share = 0.02  # improve: at least so much more AUC, and its interval above zero
    refresh_margin: Share = 0.01  # refresh: the interval of the difference not further below zero than this
    approval: Literal["automatic", "manual"] = "automatic"
    traceable: Literal["required", "recorded"] = "required"  # that a commit holds exactly the code that trained it


class Scoring(_Section):
    """The lowest probability of each bucket."""

    buckets: Mapping[str, Share] = {"Hot": 0.8, "Warm": 0.5, "Cool": 0.3}

    @model_validator(mode="after")
    def _falling(self) -> Self:
        limits = list(self.buckets.values())
        if not limits or limits != sorted(set(limits), reverse=True) or not all(0 < limit < 1 for limit in limits):
            raise ValueError(f"buckets need falling limits between 0 and 1, highest first, found {dict(self.buckets)}")
        return self


class Drift(_Section):
    """From which strength on a change of the data is told."""

    minimum_rows: Count = 200
    psi_warning: Amount = 0.10
    psi_drift: Amount = 0.25
    false_discovery_rate: Share = Field(0.01, gt=0, lt=1)
    minimum_effect_psi: Amount = 0.02
    window_periods: Count = 1  # so many periods are judged together, the newest last; for periods of few leads
    segments: tuple[str, ...] = ()  # category features: drift is told within each of their groups as well

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.psi_warning > self.psi_drift:
            raise ValueError(f"psi_warning {self.psi_warning:g} must not be above psi_drift {self.psi_drift:g}")
        return self


DriftPolicy = Literal["recommended", "doc_000", "doc_001", "doc_003"]


class Watching(_Section):
    """Which policy of thresholds acts; and of scores, promises, outcomes and arrivals, from which change on it counts.

    The levels are those of `drift`: `false_discovery_rate` is the chance of an alarm without cause, for each family.
    """

    policy: DriftPolicy = "recommended"
    score_mean_shift: Share = Field(0.10, gt=0)  # of the mean score, as a share of what it was
    score_ks_warning: Share = Field(0.10, gt=0)
    score_ks_drift: Share = Field(0.20, gt=0)
    constant_score_share: Share = Field(0.95, gt=0.5)  # that so many leads have one score is never chance
    promise_gap: Share = Field(0.20, gt=0)  # conversions more or fewer than promised, as a share of the promise
    slope_gap: Share = Field(0.25, gt=0, lt=1)  # of the log odds: 1 is as promised, below 1 too sure
    log_odds_gap: Amount = 0.25  # standard deviation over groups of how far their log odds moved
    rejected_share: Share = Field(0.01, gt=0)
    share_rise_pp: Amount = 5.0  # of nulls, duplicates, late leads; percentage points over earlier periods
    critical_share: Share = Field(0.10, gt=0)  # a rise counts as critical where the share is above this as well
    history_periods: int = Field(12, ge=4, le=366, strict=True)  # earlier periods that are compared with

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.score_ks_warning > self.score_ks_drift:
            raise ValueError(
                f"score_ks_warning {self.score_ks_warning:g} must not be above score_ks_drift {self.score_ks_drift:g}"
            )
        return self


class Performance(_Section):
    """How much matured data a judgement needs, and when the champion has become too weak."""

    minimum_rows: Count = 100
    minimum_positives: Count = 20
    minimum_auc: Share = 0.75
    minimum_recall: Share | None = None  # of the conversions, how many the capacity reaches; None: not judged
    maximum_relative_auc_drop: Share = Field(0.05, gt=0, lt=1)
    maximum_conversion_drop: Share = Field(0.10, gt=0, lt=1)  # against the cohorts that matured in the reference
    reference_days: Count = 180  # how far back matured leads say what is usual: conversions, delays, calibration


class NamedDays(_Section):
    """Days on which people behave otherwise, such as a holiday or a fair: first and last day, both included."""

    name: str = Field(min_length=1)
    first: Day
    last: Day

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.last < self.first:
            raise ValueError(f"last {self.last} must not be before first {self.first}")
        return self


class Business(_Section):
    """What business figures are compared with, and how many leads one needs."""

    minimum_leads: Count = 30  # of a bucket; below that a figure is told as insufficient data
    baseline_conversion_rate: Share | None = Field(None, gt=0)  # None: that of the first `baseline_periods`
    baseline_periods: Count = 3
    conversion_goal: Amount = 0.15  # more conversions than the baseline, as a share of it
    trend_periods: int = Field(12, ge=4, le=120, strict=True)
    calendar: tuple[NamedDays, ...] = ()  # told beside the figures of the cohorts that they fall into


class Reports(_Section):
    """Which pages of the drift report hold Evidently's part, which costs many seconds of computing and 4 MB each."""

    evidently: Literal["newest", "all", "never"] = "newest"  # newest: the period that closed last when it is made


RetrainingCause = Literal["drift", "concept_drift", "prediction_drift", "performance", "label_volume", "calendar"]


class Retraining(_Section):
    """Which causes ask for a training, and what holds one back: cooldown, and back-off after rejected candidates."""

    causes: tuple[RetrainingCause, ...] = get_args(RetrainingCause)
    drift_windows: Count = 2  # so many periods in a row
    drift_growth: Amount = 0.25  # since a candidate was rejected, as a share of what it was then
    new_labels: Count = 5_000
    calendar_months: Count = 1
    calendar_early_days: Days = 90  # after the first champion went live; 0: calendar_months from the start
    calendar_early_every_days: Count = 7
    cooldown_days: Days = 7
    backoff_days: Days = 14  # after one rejected candidate; twice as long after each further one in a row
    backoff_days_at_most: Days = 56
    urgent_causes: tuple[RetrainingCause, ...] = ()  # do not wait for the back-off
    sensor_interval_seconds: Count = 30

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len(set(self.causes)) < len(self.causes):
            raise ValueError(f"causes must be distinct, found {list(self.causes)}")
        if strangers := [cause for cause in self.urgent_causes if cause not in self.causes]:
            raise ValueError(f"urgent_causes names {strangers}, which causes does not hold")
        if self.backoff_days_at_most < self.backoff_days:
            raise ValueError(
                f"backoff_days_at_most {self.backoff_days_at_most} must not be below backoff_days {self.backoff_days}"
            )
        return self


ChannelKind = Literal["slack", "pagerduty", "webhook", "email", "apprise"]


class Channel(_Section):
    """A way to reach people. `secret` names the environment variable that holds its address or key; never the secret."""

    kind: ChannelKind
    secret: str
    room: str = Field("#ml-alerts", pattern=r"^[#@][^\s#@]+$")  # slack: as people write it, with its # or @
    server: str = Field("https://events.pagerduty.com", pattern=r"^https?://\S+[^/\s]$")  # pagerduty: or its EU one

    @model_validator(mode="after")
    def _secret_is_a_name(self) -> Self:
        # Checked here and not in the field, because a field's error shows what was found: that might be the secret.
        if not re.fullmatch(r"[A-Z][A-Z0-9_]*", self.secret):
            raise ValueError("secret must be the name of an environment variable such as SLACK_WEBHOOK_URL")
        return self


class Threshold(_Section):
    """From which value on a metric is an alert, and of which level; below `minimum_n` cases it is none."""

    info: Amount | None = None
    warning: Amount | None = None
    critical: Amount | None = None
    minimum_n: Count = 1

    @model_validator(mode="after")
    def _rising(self) -> Self:
        limits = [limit for limit in (self.info, self.warning, self.critical) if limit is not None]
        if not limits or limits != sorted(set(limits)):
            raise ValueError(f"info, warning and critical must rise and hold at least one limit, found {limits}")
        return self


AlertMetric = Literal["data_drift_psi", "prediction_drift_ks", "conversion_rate_drop", "error_rate", "latency_p95_ms"]
_THRESHOLDS: Mapping[AlertMetric, Threshold] = {
    "data_drift_psi": Threshold(info=0.10, warning=0.20, critical=0.50),
    "prediction_drift_ks": Threshold(warning=0.10),
    "conversion_rate_drop": Threshold(warning=0.10, critical=0.20, minimum_n=100),
    "error_rate": Threshold(warning=0.01, critical=0.05, minimum_n=500),
    "latency_p95_ms": Threshold(warning=200.0, critical=500.0, minimum_n=100),
}


class Routes(_Section):
    """Which channels are told of an alert of each level, and of a model that goes live."""

    info: tuple[str, ...] = ()
    warning: tuple[str, ...] = ()
    critical: tuple[str, ...] = ()
    deployment: tuple[str, ...] = ()


class Tier(_Section):
    """Who else is told when nobody has acknowledged a critical alert after so long."""

    after_minutes: Count
    channels: tuple[str, ...] = Field(min_length=1)


class Retries(_Section):
    """When a channel that failed is tried again: doubling from the first wait to the longest, until a notice is too old."""

    first_seconds: Count = 30
    longest_seconds: Count = 3_600
    expires_hours: Count = 24


class Alerts(_Section):
    """Who is told of what, and how often. Without channels nothing leaves the machine."""

    dashboard_url: str | None = None  # None: the pages; where the link in every message leads
    channels: Mapping[str, Channel] = {}
    routes: Routes = Routes()
    escalation: tuple[Tier, ...] = ()
    cooldown_minutes: int = Field(30, ge=0, strict=True)
    messages_an_hour: int = Field(20, ge=1, strict=True)  # of each channel; more are told in one message
    timeout_seconds: Amount = 10.0
    retries: Retries = Retries()
    thresholds: Mapping[AlertMetric, Threshold] = _THRESHOLDS

    @model_validator(mode="after")
    def _known_channels(self) -> Self:
        named = {name for route in self.routes.model_dump().values() for name in route}
        named |= {name for tier in self.escalation for name in tier.channels}
        if strangers := sorted(named - set(self.channels)):
            raise ValueError(f"routes and escalation name {strangers}, which channels does not hold")
        waits = [tier.after_minutes for tier in self.escalation]
        if waits != sorted(set(waits)):
            raise ValueError(f"escalation needs rising after_minutes, found {waits}")
        return self

    def threshold(self, metric: AlertMetric) -> Threshold:
        return self.thresholds.get(metric, _THRESHOLDS[metric])


class Pages(_Section):
    """Where reports are served: on this machine only."""

    port: int = Field(3070, ge=1024, le=65535)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


class Mlflow(_Section):
    """Where runs and models are recorded."""

    tracking_uri: str | None = None  # None: SQLite and local files under data/mlflow


class Settings(_Section):
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


class _Loader(yaml.SafeLoader):
    """YAML without surprises: a key given twice is an error, a date stays text, so that a wrong one can be named."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"key {key.value!r} is given twice", key.start_mark)
            if isinstance(key, yaml.ScalarNode):
                seen.add(key.value)
        return super().construct_mapping(node, deep)


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":timestamp")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def parse_settings(text: str, where: str) -> Settings:
    """Settings from YAML text.

    Raises:
        SettingsError: one line per fault, each naming the key, the value found and what is expected.
    """
    try:
        raw: Any = yaml.load(text, Loader=_Loader)  # noqa: S506  # a SafeLoader
    except (yaml.YAMLError, ValueError) as problem:
        raise SettingsError(f"{where} is not valid YAML: {problem}. Mend the line it names.") from None
    if not isinstance(raw, dict):
        raise SettingsError(f"{where} must hold keys and values, found {type(raw).__name__}; see the shipped example.")
    try:
        return Settings.model_validate(raw)
    except ValidationError as problem:
        raise SettingsError(
            f"{where} cannot be used:\n" + "\n".join(_explain(error) for error in problem.errors())
        ) from None


def _explain(error: Any) -> str:
    key = ".".join(str(part) for part in error["loc"]) or "(the whole file)"
    if error["type"] == "extra_forbidden":
        return f"  {key}: no such setting (found {error['input']!r}). Remove it, or check the spelling."
    if error["type"] == "missing":
        return f"  {key}: is required and missing. Add it; the shipped lead_scoring.yaml shows how."
    if error["type"] == "string_type" and isinstance(error["input"], bool):
        return f"  {key}: expected text, found {error['input']!r} (YAML reads a bare yes or no so). Put it in quotes."
    found = "" if isinstance(error["input"], dict) else f", found {error['input']!r}"
    return f"  {key}: {error['msg'].removeprefix('Value error, ')}{found}. Correct this value."


class Home:
    """The folders of one installation: everything that is written lies under `data/`."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self.data = self.root / "data"
        self.landing = self.data / "landing"
        self.lakehouse = self.data / "lakehouse"
        self.reports = self.data / "reports"
        self.downloads = self.data / "downloads"
        self.mlflow = self.data / "mlflow"
        self.snapshots = self.data / "snapshots"
        self.truth = self.data / "truth"
        self.clock_file = self.data / "clock.json"
        self.pointer = self.data / "current_home"

    @cached_property
    def settings(self) -> Settings:
        path = self.root / SETTINGS_FILE
        if not path.is_file():
            raise SettingsError(
                f"no {SETTINGS_FILE} in {self.root}. Run from the project's folder, or set LEAD_SCORING_HOME to it."
            )
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError as problem:
            raise SettingsError(f"{path} is not UTF-8 text ({problem}). Save it as UTF-8.") from None
        return parse_settings(text, str(path))

    def lock(self, name: str) -> Path:
        """The file that whoever does `name` holds meanwhile."""
        return self.data / "locks" / f"{name}.lock"

    @property
    def mirror(self) -> Path | None:
        """Folder that stands in for the network: the environment's word goes before the settings file's."""
        named = os.environ.get("LEAD_SCORING_MIRROR")
        mirror = Path(named) if named else self.settings.bank.mirror
        return None if mirror is None else (self.root / mirror.expanduser())


def find_home() -> Home:
    """The installation in use: LEAD_SCORING_HOME, else DAGSTER_HOME, else the current folder; or the one inside it that
    its `data/current_home` names.

    Raises:
        SettingsError: `data/current_home` names a folder that is no home.
    """
    named = (os.environ.get(variable) for variable in ("LEAD_SCORING_HOME", "DAGSTER_HOME"))
    home = Home(Path(next((name for name in named if name), ".")))
    if not home.pointer.is_file():
        return home
    inner = home.root / home.pointer.read_text(encoding="utf-8").strip()
    if not (inner / SETTINGS_FILE).is_file():
        raise SettingsError(
            f"{home.pointer} names {inner}, expected a folder with {SETTINGS_FILE} there, found none. Delete "
            f"{home.pointer} to work in {home.root} again."
        )
    return Home(inner)
