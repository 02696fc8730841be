"""`simulator`: the stand-in for Astria alone."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from astria_sync.cli.common import command, count, json_option, say, show, show_json
from astria_sync.core.money import dollars
from astria_sync.errors import UsageError

_SECONDS = click.FloatRange(min=0)


@command(
    "simulator",
    "simulator --port 8765 --train-seconds 60",
    "simulator --idempotency --balance 0.50",
)
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Of the API [default: a free one].")
@click.option("--pictures-port", type=click.IntRange(0, 65535), default=0, help="Of the pictures.")
@click.option("--pictures-url", metavar="URL", help="Of another server that has the pictures.")
@click.option(
    "--train-seconds", type=_SECONDS, default=10.0, show_default=True, help="Until a tune is trained."
)
@click.option(
    "--generate-seconds", type=_SECONDS, default=3.0, show_default=True, help="Until pictures are there."
)
@click.option(
    "--speed",
    type=click.FloatRange(min=0, min_open=True),
    default=1.0,
    help="Of its clock, for 30-day expiry.",
)
@click.option("--balance", type=float, default=100.0, show_default=True, help="US dollars in the account.")
@click.option("--idempotency", is_flag=True, help="As an account with idempotency on.")
@click.option(
    "--rate-limit", type=click.FloatRange(min=0, min_open=True), help="Requests a second before 429."
)
@click.option("--link-seconds", type=_SECONDS, help="How long links to pictures are good for.")
@click.option("--trickle", is_flag=True, help="Pictures of a prompt appear one after the other.")
@click.option(
    "--picture-px", type=click.IntRange(16, 4096), default=512, show_default=True, help="Size of pictures."
)
@click.option("--seed", type=int, default=0, help="For all that is random in it.")
@json_option
def simulator(*, balance: float, as_json: bool, **options: Any) -> None:
    """A stand-in for Astria on this machine, until Ctrl-C; its address and a token are on the first line of its output.

    That line is for a shell: `export ASTRIA_BASE_URL=… ASTRIA_AUTH_TOKEN=…`, and astria-sync there talks to it. Nothing
    leaves this machine and nothing costs. Prompts with the word FAIL_USER_ERROR fail.
    """
    from astria_sync.simulator import Options, Simulator

    stop = threading.Event()
    settings = Options(balance_usd=balance, **options)
    try:
        stand_in = Simulator(settings)
    except OSError as error:
        busy = " or ".join(str(port) for port in (options["port"], options["pictures_port"]) if port)
        raise UsageError(f"Port {busy} cannot be used ({error.strerror}); choose another, or none.") from None
    with _signalled(stop), stand_in as running:
        if as_json:
            show_json(
                {"base_url": running.base_url, "token": running.token, "pictures_url": running.pictures_url}
            )
        else:
            show(f"export ASTRIA_BASE_URL={running.base_url} ASTRIA_AUTH_TOKEN={running.token}")
            say(
                "The simulator runs until Ctrl-C. Paste that line into another terminal; "
                "then astria-sync there talks to it."
            )
        stop.wait()
        say(f"The simulator ends; it made {_made(running)}.")


@contextmanager
def _signalled(stop: threading.Event) -> Iterator[None]:
    """Set `stop` when a signal comes, from before the first line is printed."""
    before = {
        number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _made(running: Any) -> str:
    ledger = running.ledger
    tunes, prompts = len(ledger.created_tunes()), len(ledger.created_prompts())
    return f"{count(tunes, 'tune')} and {count(prompts, 'prompt')}, for {dollars(ledger.spent_mc() / 100_000)} of no money"
