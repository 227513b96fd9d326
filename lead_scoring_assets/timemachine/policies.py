"""Policies of retraining: each is a set of overrides of the product's own settings, so that what wins can be written down."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml
from pydantic import ValidationError

from lead_scoring_assets.errors import SettingsError
from lead_scoring_assets.settings import Settings

SECTIONS = ("retraining", "drift", "watching", "performance", "gate")
Overrides = Mapping[str, Mapping[str, Any]]

NEVER, AS_SET = "never", "as set"
# The calibrated alarm switched off: what remains is the bare threshold that the documents ask for.
_BARE: Mapping[str, Any] = {"false_discovery_rate": 0.999, "minimum_effect_psi": 1e-6}
_CALIBRATED = {"policy": "recommended"}
_NO_EARLY = {"calendar_early_days": 0}


@dataclass(frozen=True)
class Policy:
    """A name, a sentence, and what it sets; what it does not name stays as the home has it."""

    name: str
    told: str
    overrides: Overrides = field(default_factory=dict)

    def applied_to(self, settings: Settings) -> Settings:
        """The settings under this policy.

        Raises:
            SettingsError: a section that is no part of a policy, or a value that cannot be used.
        """
        if strangers := sorted(set(self.overrides) - set(SECTIONS)):
            raise SettingsError(
                f"policy {self.name!r} sets {', '.join(strangers)}, expected only {', '.join(SECTIONS)}: all policies train "
                "alike, so that they can be compared."
            )
        changed = {}
        for section, values in self.overrides.items():
            now = getattr(settings, section)
            try:
                changed[section] = type(now).model_validate({**now.model_dump(), **values})
            except (ValidationError, TypeError) as problem:
                raise SettingsError(f"policy {self.name!r} cannot be used: {section}: {problem}") from None
        return settings.model_copy(update=changed)

    def changes(self, settings: Settings) -> dict[str, dict[str, Any]]:
        """What differs under this policy, by section; empty: the settings are this policy."""
        after = self.applied_to(settings)
        return {
            section: differing
            for section, values in self.overrides.items()
            if (
                differing := {
                    name: getattr(getattr(after, section), name)
                    for name in values
                    if getattr(getattr(after, section), name) != getattr(getattr(settings, section), name)
                }
            )
        }


def _calendar(months: int) -> Overrides:
    return {"retraining": {"causes": ("calendar",), "calendar_months": months, **_NO_EARLY}}


def _psi(threshold: float, windows: int = 1) -> Overrides:
    limits = {"psi_warning": min(0.1, threshold), "psi_drift": threshold}
    return {
        "retraining": {"causes": ("drift",), "drift_windows": windows},
        "drift": {**_BARE, **limits},
        "watching": _CALIBRATED,
    }


def _documents(preset: str, *causes: str) -> Overrides:
    return {"retraining": {"causes": causes, "drift_windows": 1}, "watching": {"policy": preset}}


_ALARM = {"false_discovery_rate": 0.01, "minimum_effect_psi": 0.02, "psi_warning": 0.02, "psi_drift": 0.02}

CATALOGUE: tuple[Policy, ...] = (
    Policy(NEVER, "the first model stays for good", {"retraining": {"causes": ()}}),
    Policy(AS_SET, "the causes and thresholds that lead_scoring.yaml holds now"),
    Policy("yearly", "every twelve months", _calendar(12)),
    Policy("half-yearly", "every six months", _calendar(6)),
    Policy("quarterly", "every three months", _calendar(3)),
    Policy("monthly", "every month", _calendar(1)),
    Policy(
        "weekly, then monthly",
        "each week for 90 days after going live, then each month",
        {
            "retraining": {
                "causes": ("calendar",),
                "calendar_months": 1,
                "calendar_early_days": 90,
                "calendar_early_every_days": 7,
            }
        },
    ),
    Policy("labels", "after 5,000 new labels", {"retraining": {"causes": ("label_volume",), "new_labels": 5_000}}),
    Policy("PSI 0.1", "when any feature's PSI reaches 0.1, whatever chance gives", _psi(0.1)),
    Policy("PSI 0.2", "when any feature's PSI reaches 0.2, whatever chance gives", _psi(0.2)),
    Policy("PSI 0.25 twice", "when any feature's PSI reaches 0.25 in two periods in a row", _psi(0.25, 2)),
    Policy("PSI 0.5", "when any feature's PSI reaches 0.5, whatever chance gives", _psi(0.5)),
    Policy(
        "alarm",
        "when the calibrated alarm rings: PSI above 0.02 is established at a false discovery rate of 1 %",
        {"retraining": {"causes": ("drift",), "drift_windows": 1}, "drift": _ALARM, "watching": _CALIBRATED},
    ),
    Policy(
        "doc_000",
        "when a feature's PSI or Jensen-Shannon distance passes 0.2, or 5 percentage points more of it are missing",
        _documents("doc_000", "drift"),
    ),
    Policy(
        "doc_001",
        "when a feature's PSI passes 0.25 or its KL 0.1, or p of KS or chi-square is below 5 %",
        _documents("doc_001", "drift"),
    ),
    Policy(
        "doc_003",
        "when PSI passes 0.2, KS 0.1 (features or scores), p of chi-square is below 5 %, or the mean score moves by 10 %",
        _documents("doc_003", "drift", "prediction_drift"),
    ),
    Policy(
        "scores",
        "when the live model's scores are clearly spread otherwise than on its holdout",
        {"retraining": {"causes": ("prediction_drift",), "drift_windows": 1}, "watching": _CALIBRATED},
    ),
    Policy(
        "outcomes",
        "when outcomes clearly follow otherwise from what is known of a lead than on the live model's holdout",
        {"retraining": {"causes": ("concept_drift",)}},
    ),
    Policy(
        "performance",
        "when the matured AUC is clearly below its promise, by more than 5 %",
        {"retraining": {"causes": ("performance",)}, "performance": {"maximum_relative_auc_drop": 0.05}},
    ),
    Policy(
        "performance or half-yearly",
        "when the matured AUC has clearly fallen by more than 5 %, and every six months",
        {
            "retraining": {"causes": ("performance", "calendar"), "calendar_months": 6, **_NO_EARLY},
            "performance": {"maximum_relative_auc_drop": 0.05},
        },
    ),
    Policy(
        "alarm or performance",
        "when the calibrated alarm rings, or the matured AUC has clearly fallen by more than 5 %",
        {
            "retraining": {"causes": ("drift", "performance"), "drift_windows": 1},
            "drift": _ALARM,
            "watching": _CALIBRATED,
            "performance": {"maximum_relative_auc_drop": 0.05},
        },
    ),
)
"""What needs least comes first, which is what is there already: where nothing can be told apart, the earlier one is advised."""


def chosen(names: Sequence[str], own: Sequence[Policy] = ()) -> list[Policy]:
    """The policies of these names, in the catalogue's order, and `never`, with which all are compared; no name: all of them.

    Raises:
        SettingsError: no policy has that name.
    """
    known = [*CATALOGUE, *own]
    if strangers := [name for name in names if name not in {policy.name for policy in known}]:
        raise SettingsError(
            f"there is no policy {', '.join(strangers)}: expected one of {'; '.join(policy.name for policy in known)}."
        )
    return [policy for policy in known if not names or policy.name in names or policy.name == NEVER]


def parse_policies(text: str, where: str) -> list[Policy]:
    """Policies of one's own: YAML with a name for each, and what it sets.

    Raises:
        SettingsError: it is no such YAML.
    """
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError as problem:
        raise SettingsError(f"{where} is not valid YAML: {problem}. Mend the line it names.") from None
    example = "mine: {retraining: {causes: [drift]}, drift: {psi_drift: 0.15}}"
    if not isinstance(found, dict) or not all(isinstance(value, dict) for value in found.values()):
        raise SettingsError(f"{where} must hold a name and settings for each policy, such as `{example}`.")
    taken = {policy.name for policy in CATALOGUE}
    if both := [str(name) for name in found if str(name) in taken]:
        raise SettingsError(f"{where} names {', '.join(both)}, which the catalogue holds already: choose another name.")
    for name, sections in found.items():
        if wrong := [section for section, values in sections.items() if not isinstance(values, dict)]:
            raise SettingsError(f"{where}: {name}.{wrong[0]} must hold settings, such as `{example}`.")
    return [Policy(str(name), f"from {where}", sections) for name, sections in found.items()]
