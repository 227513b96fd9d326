"""`lead_scoring.yaml` as typed, validated settings, and the folders of one installation (its home)."""

from lead_scoring_assets.settings.alerts import AlertMetric, Alerts, Channel, Retries, Routes, Threshold, Tier
from lead_scoring_assets.settings.data import Labels, Source
from lead_scoring_assets.settings.home import SETTINGS_FILE, Home, find_home
from lead_scoring_assets.settings.models import EXPANDING_MONTHS, Evaluation, FairnessAttribute, Gate, Training, Tuning
from lead_scoring_assets.settings.monitoring import Business, Drift, DriftPolicy, NamedDays, Performance, Watching
from lead_scoring_assets.settings.reading import parse_settings
from lead_scoring_assets.settings.retraining import Retraining, RetrainingCause
from lead_scoring_assets.settings.values import Algorithm
from lead_scoring_assets.settings.whole import Settings

__all__ = [
    "EXPANDING_MONTHS",
    "SETTINGS_FILE",
    "AlertMetric",
    "Alerts",
    "Algorithm",
    "Business",
    "Channel",
    "Drift",
    "DriftPolicy",
    "Evaluation",
    "FairnessAttribute",
    "Gate",
    "Home",
    "Labels",
    "NamedDays",
    "Performance",
    "Retraining",
    "RetrainingCause",
    "Retries",
    "Routes",
    "Settings",
    "Source",
    "Threshold",
    "Tier",
    "Training",
    "Tuning",
    "Watching",
    "find_home",
    "parse_settings",
]
