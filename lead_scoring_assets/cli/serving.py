"""The verbs of the scoring API: serve, keys."""

from typing import TYPE_CHECKING

import click
from rich.table import Table

from lead_scoring_assets.cli.console import answer_whole, answers, escaped, open_installation, remarks

if TYPE_CHECKING:
    from lead_scoring_assets.serving.keys import Scope


@click.command(
    epilog="Examples: lead-scoring serve   ·   lead-scoring serve --port 8080 --workers 2   ·   "
    'curl -H "Content-Type: application/json" -d @lead.json http://127.0.0.1:8000/predict'
)
@click.option("--host", metavar="ADDRESS", help="Where to listen (default: as lead_scoring.yaml says, 127.0.0.1).")
@click.option("--port", type=click.IntRange(0, 65_535), help="Default: as lead_scoring.yaml says, 8000.")
@click.option("--workers", type=click.IntRange(1, 64), help="Server processes that share the port.")
def serve(host: str | None, port: int | None, workers: int | None) -> None:
    """Answer leads over HTTP by the model that is live, until Ctrl-C.

    What goes live, or is rolled back, is served within moments, without a restart, and no request is dropped for it.
    """
    from lead_scoring_assets.errors import ServingError
    from lead_scoring_assets.serving import supervising
    from lead_scoring_assets.settings import is_loopback

    installation = open_installation()
    settings = installation.settings.serving
    host = host or settings.host
    try:
        is_loopback(host)
    except ValueError:
        raise ServingError(f"--host must be an address such as 127.0.0.1 or 0.0.0.0, found {host!r}.") from None
    port = settings.port if port is None else port
    code = supervising.serve(
        installation, host, port, workers or settings.workers, lambda words: remarks.print(escaped(words))
    )
    raise SystemExit(code)


@click.group(
    epilog='Examples: lead-scoring keys create "CRM of Dubai" --scope score --scope feedback   ·   lead-scoring keys list'
)
def keys() -> None:
    """Keys of the scoring API: who may ask what. Servers follow within a moment, without a restart."""


@keys.command()
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    type=click.Choice(["score", "feedback", "admin"]),
    multiple=True,
    required=True,
    help="What it may ask: score (predictions, explanations), feedback (outcomes), admin (all, and the metrics).",
)
def create(name: str, scopes: "tuple[Scope, ...]") -> None:
    """Make a key called NAME and print it; it is kept nowhere, only its hash is."""
    from lead_scoring_assets.serving.keys import FILE, create_key

    click.echo(create_key(open_installation().home.serving / FILE, name, scopes))
    remarks.print(f"keep it now, it cannot be shown again. {escaped(name)} may ask: {', '.join(scopes)}.")


@keys.command()
@click.argument("name")
@click.option("--at-once", is_flag=True, help="The secret before stops working now, not at the next rotation.")
def rotate(name: str, at_once: bool) -> None:
    """Give NAME a new secret and print the key; the one before works until the next rotation."""
    from lead_scoring_assets.serving.keys import FILE, rotate_key

    click.echo(rotate_key(open_installation().home.serving / FILE, name, at_once=at_once))
    told = "works no more" if at_once else "works until you rotate again"
    remarks.print(f"keep it now, it cannot be shown again. The one before {told}.")


@keys.command()
@click.argument("name")
def revoke(name: str) -> None:
    """Take the key NAME away."""
    from lead_scoring_assets.serving.keys import FILE, revoke_key

    revoke_key(open_installation().home.serving / FILE, name)
    answers.print(f"{escaped(name)} is revoked.")


@keys.command("list")
def list_() -> None:
    """Every key: its name, what it may ask, and whether an earlier secret still works."""
    from lead_scoring_assets.serving.keys import FILE, read_keys

    ring = read_keys(open_installation().home.serving / FILE)
    if not len(ring):
        remarks.print("no keys: the API is open to everybody on this machine, and does not serve others.")
        return
    table = Table("key", "may ask", "earlier secret")
    for key in ring.keys:
        table.add_row(escaped(key.name), ", ".join(key.scopes), "works" if key.previous else "none")
    answer_whole(table)
