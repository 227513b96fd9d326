"""`lead_scoring.yaml` as typed, validated settings, and the folders of one installation (its home)."""

from lead_scoring_assets.settings.alerts import AlertMetric, Alerts, Channel, Retries, Routes, Threshold, Tier
from lead_scoring_assets.settings.data import Labels, Source
from lead_scoring_assets.settings.experiments import ExperimentPolicy
from lead_scoring_assets.settings.guardrails import Guardrails
from lead_scoring_assets.settings.home import SETTINGS_FILE, Home, find_home
from lead_scoring_assets.settings.models import EXPANDING_MONTHS, Evaluation, FairnessAttribute, Gate, Training, Tuning
from lead_scoring_assets.settings.monitoring import Business, Drift, DriftPolicy, NamedDays, Performance, Watching
from lead_scoring_assets.settings.reading import parse_settings
from lead_scoring_assets.settings.retraining import Retraining, RetrainingCause
from lead_scoring_assets.settings.rollout import RolloutPolicy
from lead_scoring_assets.settings.serving import Breaker, Limits, Serving, ServingLog, ShadowQueue, is_loopback
from lead_scoring_assets.settings.values import Algorithm
from lead_scoring_assets.settings.whole import Settings

__all__ = [
    "EXPANDING_MONTHS",
    "SETTINGS_FILE",
    "AlertMetric",
    "Alerts",
    "Algorithm",
    "Breaker",
    "Business",
    "Channel",
    "Drift",
    "DriftPolicy",
    "Evaluation",
    "ExperimentPolicy",
    "FairnessAttribute",
    "Gate",
    "Guardrails",
    "Home",
    "Labels",
    "Limits",
    "NamedDays",
    "Performance",
    "Retraining",
    "RetrainingCause",
    "Retries",
    "RolloutPolicy",
    "Routes",
    "Serving",
    "ServingLog",
    "Settings",
    "ShadowQueue",
    "Source",
    "Threshold",
    "Tier",
    "Training",
    "Tuning",
    "Watching",
    "find_home",
    "is_loopback",
    "parse_settings",
]
