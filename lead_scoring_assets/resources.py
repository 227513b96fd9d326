"""The installation as a Dagster resource. What it holds is built in `installation.py`."""

from functools import cached_property
from pathlib import Path

import dagster as dg

from lead_scoring_assets.installation import Installation
from lead_scoring_assets.settings import Home, find_home


class InstallationResource(dg.ConfigurableResource[Installation]):
    """Gives assets, checks and sensors the `Installation`. `root` empty: the home that the environment names."""

    root: str = ""

    def create_resource(self, context: dg.InitResourceContext) -> Installation:  # noqa: ARG002  # dagster's signature
        return self.opened

    @cached_property
    def opened(self) -> Installation:
        return Installation(Home(Path(self.root)) if self.root else find_home())
