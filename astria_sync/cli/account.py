"""`whoami`, `workspaces` and `models`: whose account it is, and what there is to work with."""

import time
from typing import TYPE_CHECKING, Any, Final

from astria_sync.cli.common import (
    Invocation,
    command,
    group,
    json_option,
    pass_invocation,
    say,
    show,
    show_json,
    visible,
)
from astria_sync.cli.remote import PERSONAL, reached
from astria_sync.cli.tables import Column, Table, show_object, word

if TYPE_CHECKING:
    from astria_sync.modelnames import Known, Unknown
    from astria_sync.settings import Models, Settings

_WORKSPACES: Final = (
    Column("ID", 9, word("id"), whole=True),
    Column("SLUG", 28, word("slug"), whole=True),
    Column("TITLE", 20, word("title")),
)
_MODELS: Final = (
    Column("NAME", 24, word("name"), whole=True),
    Column("TUNE", 9, word("tune"), whole=True),
    Column("KNOWN FROM", 13, word("origin")),
    Column("RESOLUTIONS", 12, word("resolutions")),
)


@command("whoami", "whoami --json | jq .usd_balance_mc")
@json_option
@pass_invocation
def whoami(invocation: Invocation, *, as_json: bool) -> None:
    """Whose token it is, where it was found, and the balance."""
    with reached(invocation, PERSONAL) as account:
        found = account.thing("/users", "the account")
        source = account.api.token.source if account.api.token else ""
    if as_json:
        show_json(found)
    else:
        workspace = invocation.settings(any_model=True).astria.workspace_id or PERSONAL
        show_object({**found, "token": f"from {source}", "workspace": workspace})


@group("workspaces list")
def workspaces() -> None:
    """The account's workspaces, straight from Astria."""


@command("workspaces list", "workspaces list --json | jq '.[].id'", of=workspaces, name="list")
@json_option
@pass_invocation
def list_workspaces(invocation: Invocation, *, as_json: bool) -> None:
    """The workspaces: the ID is what `workspace_id` and --workspace take."""
    with reached(invocation, PERSONAL) as account:  # whoever named a wrong one looks here for the right one
        found = account.get("/workspaces.json", "the workspaces")
    if as_json:
        show_json(found)
    elif isinstance(found, list) and found:
        Table(_WORKSPACES).add(found)
    else:
        say("Astria shows none; you work in your personal scope.")


@command("models", "models --json | jq -r '.models | keys[]'")
@json_option
@pass_invocation
def models(invocation: Invocation, *, as_json: bool) -> None:
    """The names that prompts can be sent to, and which resolutions they have.

    Asks Astria, which needs no token, and remembers the answer for other commands and the daemon. Without a network it
    tells what was known last. --json is Astria's own answer, which knows nothing of the names in your configuration.
    """
    from astria_sync import modelnames

    settings = invocation.settings(any_model=True)
    found = _ask(settings)
    if isinstance(found, modelnames.Unknown):
        known = modelnames.load(settings.state, settings.astria.base_url)
        since = time.strftime("%Y-%m-%d %H:%M", time.localtime(known.at)) if known else ""
        say(
            f"Astria cannot be asked ({found.why}); "
            + (f"this is what it said on {since}." if known else "these are the names that are built in.")
        )
    else:
        known = found
        if found.left_out:
            say(f"{found.left_out} of the models that Astria lists cannot be used and are left out.")
    if as_json:
        show_json(known.answer if known else _built_in())
    else:
        _show(settings.models, known)


def _ask(settings: "Settings") -> "Known | Unknown":
    from astria_sync import modelnames
    from astria_sync.api import Api

    astria = settings.astria
    api = Api(astria.base_url, lambda: None, timeout=astria.timeout_seconds)
    try:
        return modelnames.ask(api.get, settings.state, astria.base_url, wall=time.time())
    finally:
        api.close()


def _built_in() -> dict[str, Any]:
    """In the shape of Astria's answer."""
    from astria_sync.settings import BUILTIN_MODELS, Models

    return {
        "default": Models.default,
        "models": {name: {"tune_id": tune_id} for name, tune_id in BUILTIN_MODELS.items()},
    }


def _show(configured: "Models", known: "Known | None") -> None:
    """Every name as it counts here, and who gave it its meaning."""
    from dataclasses import replace

    names = replace(configured, catalog=known.catalog) if known else configured
    rows = []
    for name, tune_id in sorted(names.ids.items()):
        own, theirs = name in names.own, name in names.catalog.ids
        resolutions = " ".join(names.catalog.resolutions.get(tune_id, ()))
        origin = "configuration" if own else "Astria" if theirs else "built in"
        rows.append({"name": name, "tune": tune_id, "origin": origin, "resolutions": resolutions})
    Table(_MODELS).add(rows)
    show()
    show(visible(f"Prompts that name none go to: {names.default}"))
    if names.id_of(names.default) is None:
        say(
            f'"{names.default}", the default of your configuration, is none of these; {names.meant(names.default)}'
        )
    if names.catalog.videos:
        show(visible(f"For video_model: {', '.join(names.catalog.videos)}"))
