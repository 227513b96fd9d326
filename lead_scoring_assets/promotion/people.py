"""Who acts, and who asked for a run: a name, as the machine or the person tells it. Nobody is asked for a password."""

import getpass

REQUESTED_BY_TAG = "lead_scoring/by"
"""Tag of a Dagster run that a person asked for: their name."""


def person() -> str:
    """Who is logged in to this machine: who acts, unless another name is given."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return "unknown"
