"""The folders of one installation, and which installation is in use."""

import os
from functools import cached_property
from pathlib import Path

from lead_scoring_assets.errors import SettingsError
from lead_scoring_assets.settings.reading import parse_settings
from lead_scoring_assets.settings.whole import Settings

SETTINGS_FILE = "lead_scoring.yaml"


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
        self.serving = self.data / "serving"
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
