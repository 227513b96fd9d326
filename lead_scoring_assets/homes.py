"""Making a home: a folder with its own settings, Dagster configuration and data."""

from pathlib import Path

from lead_scoring_assets.errors import LeadScoringError
from lead_scoring_assets.files import write_atomically
from lead_scoring_assets.settings import SETTINGS_FILE

_REPOSITORY = Path(__file__).resolve().parents[1]
_DAGSTER_FILES = ("dagster.yaml", "workspace.yaml")


def new_home(folder: Path, settings: str) -> Path:
    """Write `settings` (YAML) and Dagster's two files into `folder`, made when missing; its absolute path.

    Raises:
        LeadScoringError: there are settings already, or this installation has lost its own Dagster files.
    """
    folder = folder.resolve()
    if (folder / SETTINGS_FILE).exists():
        raise LeadScoringError(
            f"{folder / SETTINGS_FILE} exists already, expected none: it would be overwritten. Choose another folder, or "
            "move the file away."
        )
    if missing := [name for name in _DAGSTER_FILES if not (_REPOSITORY / name).is_file()]:
        raise LeadScoringError(
            f"{', '.join(missing)} expected in {_REPOSITORY}, found nothing. Run from a clone of the project."
        )
    (folder / "data").mkdir(parents=True, exist_ok=True)
    for name in _DAGSTER_FILES:
        write_atomically(folder / name, (_REPOSITORY / name).read_bytes())
    # Last: what has settings is a home.
    write_atomically(folder / SETTINGS_FILE, settings.encode())
    return folder
