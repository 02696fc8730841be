"""`plan`: what would be sent, and about what it costs."""

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import click

from astria_sync.cli.common import (
    Invocation,
    command,
    count,
    json_option,
    pass_invocation,
    show,
    show_json,
    visible,
)
from astria_sync.core.money import dollars
from astria_sync.wording import of_variant

if TYPE_CHECKING:
    from astria_sync.planned import Planned
    from astria_sync.rehearsal import Ask
    from astria_sync.settings import Settings

_UNPRICED = "price not known yet"
_TITLES = {
    "new": "WOULD BE SENT",
    "waiting": "WOULD WAIT",
    "held": "WOULD BE HELD BACK",
    "failed": "CANNOT BE SENT",
    "used": "USED AS THEY ARE",
    "recorded": "ALREADY MADE, AS A RECORD BESIDE ITS PICTURES TELLS",
}
_NO_REQUEST = {"used", "recorded"}
_SENT_NEVER = {"failed", *_NO_REQUEST}
_LONGEST = 100  # letters of one field
_PATIENCE = 10.0  # seconds


@command("plan", "--verbose plan                   every field and file", "plan --json | jq .estimate_usd")
@json_option
@pass_invocation
def plan(invocation: Invocation, *, as_json: bool) -> None:
    """What would be sent, to where, as which request, with an estimate of its price. Orders nothing.

    Looks at the folders as they are now, as if everything in them had settled. Prices are what the same cost lately.
    """
    from astria_sync import config
    from astria_sync.rehearsal import rehearse

    settings = invocation.settings()
    config.require_watches(settings)
    if problems := config.check_roots(settings):
        from astria_sync.errors import ConfigError

        raise ConfigError(*problems)
    with _asking(invocation, settings) as ask:
        planned = rehearse(settings, wall=time.time(), ask=ask)
    if as_json:
        show_json(_as_json(planned))
    else:
        _for_people(planned, verbose=invocation.verbose)


@contextmanager
def _asking(invocation: Invocation, settings: "Settings") -> Iterator["Ask"]:
    """Asks Astria what a pack holds and costs; without a token or a network that is not known."""
    with ExitStack() as stack:

        def ask(piece: Any) -> Any:
            from astria_sync.api import Api
            from astria_sync.packtasks import find_pack
            from astria_sync.secrets import find_token

            token = find_token(settings.astria, environ=invocation.environ, home=invocation.home)
            api = Api(
                settings.astria.base_url,
                lambda: token,
                timeout=min(_PATIENCE, settings.astria.timeout_seconds),
            )
            stack.callback(api.close)
            return find_pack(api, piece)

        yield ask


def _as_json(planned: Sequence["Planned"]) -> dict[str, Any]:
    known, unknown = _prices(planned)
    requests = [
        {
            "kind": one.kind,
            "path": one.path,
            "root": one.root,
            "state": one.state,
            "request": one.method_path,
            "fields": [list(field) for field in one.fields],
            "uploads": list(one.uploads),
            "reason": one.reason,
            "estimate_usd": one.estimate_usd,
        }
        | ({"variant": dict(one.variant)} if one.kind == "prompt" else {})
        for one in planned
        if one.state not in _NO_REQUEST
    ]
    others = {
        state: [
            {"path": one.path, "root": one.root, "reason": one.reason, "variant": dict(one.variant)}
            for one in planned
            if one.state == state
        ]
        for state in sorted(_NO_REQUEST)
    }
    return {"version": 1, "requests": requests, **others, "estimate_usd": known, "unpriced": unknown}


def _prices(planned: Sequence["Planned"]) -> tuple[float, int]:
    """What is to be paid as far as known, and for how many requests it is not."""
    going = [one.estimate_usd for one in planned if one.state not in _SENT_NEVER]
    return round(sum(price for price in going if price is not None), 5), going.count(None)


def _for_people(planned: Sequence["Planned"], *, verbose: bool) -> None:
    for state, title in _TITLES.items():
        group = [one for one in planned if one.state == state]
        if group:
            show(click.style(f"{title} ({len(group):,})", bold=True))
            for one in group:
                _one(one, verbose=verbose)
            show()
    going = [one for one in planned if one.state not in _SENT_NEVER]
    if not going:
        show("Nothing would be sent.")
        return
    known, unknown = _prices(planned)
    numbers = {kind: sum(one.kind == kind for one in going) for kind in ("tune", "pack", "prompt")}
    parts = [count(number, kind) for kind, number in numbers.items() if number]
    what = " and ".join([*([", ".join(parts[:-1])] if parts[1:] else []), parts[-1]])
    price = f"about {dollars(known)}" if known or not unknown else ""
    rest = f"{f'{unknown:,} of them ' if price else ''}{_UNPRICED}" if unknown else ""
    costs = ", and ".join(part for part in (price, rest) if part)
    held = sum(one.state == "held" for one in going)
    back = f" {held:,} of them would be held back." if held else ""
    show(f"{what}: {costs}.{back} Nothing was sent.")


def _one(one: "Planned", *, verbose: bool) -> None:
    path = one.root if one.path == "." else one.path
    variant = of_variant(one.variant)
    show(
        f"  {visible(path)}{'' if one.kind == 'prompt' else '/'}{visible(f' [{variant}]') if variant else ''}"
    )
    if one.reason:
        show(f"      {visible(' '.join(one.reason.split()))}")
    if one.state in _SENT_NEVER:
        return
    about = f"about {dollars(one.estimate_usd)}" if one.estimate_usd else "free"
    price = _UNPRICED if one.estimate_usd is None else about
    files = f", {count(len(one.uploads), 'file')}" if one.uploads else ""
    show(f"      {visible(one.method_path)}{files}, {price}")
    for name, value in one.fields:
        if verbose or (name == "prompt[text]" and value.strip()):
            show(f"        {_field(name, value, verbose=verbose)}")
    if verbose:
        for upload in one.uploads:
            show(f"        + {visible(upload)}")


def _field(name: str, value: str, *, verbose: bool) -> str:
    text = f"{name} = {value}"
    return visible(text if verbose or len(text) <= _LONGEST else text[: _LONGEST - 1] + "…")
