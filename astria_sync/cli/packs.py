"""`packs`: the account's packs and the gallery's, straight from Astria."""

import re
from typing import Any, Final

import click

from astria_sync.cli.common import (
    Invocation,
    command,
    group,
    json_option,
    pass_invocation,
    show,
    show_json,
    visible,
)
from astria_sync.cli.remote import is_, list_options, reached, show_list, workspace_option
from astria_sync.cli.tables import Column, Object, Table, cost, listed, show_object, word

_COLUMNS: Final = (
    Column("ID", 6, word("id"), whole=True),
    Column("SLUG", 28, word("slug"), whole=True),
    Column("TYPE", 8, word("model_type")),
    Column("TITLE", 20, word("title")),
)
_TEMPLATES: Final = (
    Column("ID", 9, word("id"), whole=True),
    Column("CLASS", 10, word("class_name")),
    Column("PICTURES", 8, word("num_images")),
    Column("COST", 7, lambda template: cost(template.get("cost_mc"))),
    Column("TEXT", 20, word("text")),
)


@group("packs list", "packs list --gallery", "packs get corporate-headshots")
def packs() -> None:
    """Packs, straight from Astria: collections of prompts that are run on a tune together."""


@command(
    "packs list",
    "packs list --public --listed",
    "packs list --gallery --all --json | jq -r '.[].slug'",
    of=packs,
    name="list",
)
@list_options(
    is_("public", "Only public ones, or your own."),
    is_("listed", "Only those that are listed, or are not."),
    click.option("--gallery", is_flag=True, help="The gallery's, instead of your own."),
    keyset=False,
)
@pass_invocation
def list_packs(invocation: Invocation, /, *, gallery: bool, **how: Any) -> None:
    """Packs, the newest first.

    With --json it is a list, one pack on a line, each as Astria gives it.
    """
    query = {key: how.pop(key) for key in ("public", "listed", "offset")}
    path = "/gallery/packs" if gallery else "/packs"
    show_list(invocation, path, _COLUMNS, query, keyset=False, **how)


@command("packs get corporate-headshots", "packs get 260 --json | jq .costs", of=packs, name="get")
@click.argument("pack", metavar="SLUG_OR_ID")
@workspace_option
@json_option
@pass_invocation
def get_pack(invocation: Invocation, pack: str, *, workspace: str | None, as_json: bool) -> None:
    """One pack: all that Astria tells of it, what it costs for each class, and its prompts."""
    if not re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,199}", pack):
        raise click.UsageError("A pack is named by its slug, such as corporate-headshots, or its id.")
    with reached(invocation, workspace) as account:
        found = account.thing(f"/p/{pack}", f"pack {pack}")
    if as_json:
        show_json(found)
        return
    show_object({key: value for key, value in found.items() if key not in {"costs", "template_prompts"}})
    _show_costs(found)
    templates = listed(found.get("template_prompts"))
    if templates:
        show()
        Table(_TEMPLATES).add(templates)


def _show_costs(pack: Object) -> None:
    costs = pack.get("costs")
    for name, one in costs.items() if isinstance(costs, dict) else ():
        known = one if isinstance(one, dict) else {}
        show(
            visible(
                f"costs for {name}: {cost(known.get('cost_mc')) or '-'}, {word('num_images')(known) or '-'} pictures"
            )
        )
