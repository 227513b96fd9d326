"""Errors for people: what was expected, what was found, where, and what to do. No logic lives here."""


class LeadScoringError(Exception):
    """Base of every error this product raises on purpose; the CLI prints it without a traceback and exits with 2."""


class SettingsError(LeadScoringError):
    """`lead_scoring.yaml` holds a value that cannot be used."""


class SourceError(LeadScoringError):
    """A data source cannot be reached or is not what it claims to be (missing, wrong checksum, wrong format)."""


class SourceUnavailableError(SourceError):
    """A data source is simply not there: no copy, no mirror that has it, no network."""


class LakehouseError(LeadScoringError):
    """A table is missing, or is not in the state that the caller needs."""


class OvertakenError(LakehouseError):
    """Another process has taken in the same part of a source first; nothing was written, and nothing is missing."""


class LeakageError(LeadScoringError):
    """A column that is known only after the outcome was about to enter features or training."""


class TrainingError(LeadScoringError):
    """There is not enough, or not the right, data to train a model; the champion stays."""


class RetrainingError(LeadScoringError):
    """A training was asked for by hand without a reason, or cannot be done: no closed period, too little data."""


class ScoringError(LeadScoringError):
    """Leads cannot be scored: no model, or one that does not fit the features or gives what is no probability."""


class StorageError(LeadScoringError):
    """A file cannot be written or read: the disk is full, or the folder is not this process's to write."""


class RegistryError(LeadScoringError):
    """MLflow's store cannot be reached, is damaged, or refuses what it is asked; what is live does not depend on it."""


class PromotionError(LeadScoringError):
    """A model version cannot be taken to where it was sent: not from its stage, not by this person, or it does not load."""


class PredictionLogError(LeadScoringError):
    """The prediction log cannot be written or read; a request whose record is not kept is not answered."""


class ServingError(LeadScoringError):
    """The scoring API cannot start, or is asked for something that it does not do."""


class ExperimentError(LeadScoringError):
    """An experiment cannot be planned, started or ended as asked: a figure, its state, or another one in the way."""


class RolloutError(LeadScoringError):
    """A rollout cannot be started, approved or aborted as asked: its state, another one in the way, or not by this person."""
