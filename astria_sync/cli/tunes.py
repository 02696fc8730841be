"""`tunes`: the account's tunes, straight from Astria."""

import json
from collections.abc import Iterator
from typing import Any, Final

import click

from astria_sync.cli.common import Invocation, command, group, json_option, pass_invocation, show_json
from astria_sync.cli.remote import (
    ID,
    agreed,
    done,
    list_options,
    look_with,
    owned,
    reached,
    require_answer,
    say_whose,
    show_list,
    workspace_option,
)
from astria_sync.cli.tables import Column, Object, moment, show_object, word

_PICTURES: Final = ("orig_images",)


def _kind(tune: Object) -> str:
    return word("model_type")(tune) or "checkpoint"


def _ends(tune: Object) -> str:
    """When Astria deletes it."""
    if not tune.get("trained_at"):
        return "training"
    return "never" if tune.get("auto_extend") else moment("expires_at")(tune)


_COLUMNS: Final = (
    Column("ID", 9, word("id"), whole=True),
    Column("TYPE", 10, _kind),
    Column("CLASS", 10, word("name")),
    Column("MADE", 10, moment("created_at")),
    Column("EXPIRES", 10, _ends),
    Column("TITLE", 12, word("title")),
)


@group(
    "tunes list --name woman --limit 50",
    "tunes get 4076525",
    "tunes update 4076525 --auto-extend",
    "tunes delete 4076525",
)
def tunes() -> None:
    """The account's tunes, straight from Astria: references and fine-tuned models.

    A token is all that is needed. No folder is looked at, and nothing is ordered.
    """


@command(
    "tunes list --title jane",
    "tunes list --name woman --name man --model-type faceid",
    "tunes list --all --json | jq '.[].id'",
    of=tunes,
    name="list",
)
@list_options(
    click.option("--title", metavar="TEXT", help="Only those with this in their title."),
    click.option(
        "--name", "names", multiple=True, metavar="NOUN", help="Only of this class; may be repeated."
    ),
    click.option("--model-type", metavar="TYPE", help="Only of this type: faceid, lora or pti."),
    click.option("--branch", metavar="BRANCH", help="Only of this branch: flux1, sd15, sdxl1 or fast."),
    click.option("--gallery", is_flag=True, help="Public tunes, instead of your own."),
)
@pass_invocation
def list_tunes(invocation: Invocation, /, *, names: tuple[str, ...], gallery: bool, **how: Any) -> None:
    """Tunes, the newest first.

    With --json it is a list, one tune on a line, each as Astria gives it.
    """
    query = {key: how.pop(key) for key in ("title", "model_type", "branch", "before_id", "offset")}
    query["name[]"] = list(names) or None
    show_list(invocation, "/gallery/tunes" if gallery else "/tunes", _COLUMNS, query, **how)


@command("tunes get 4076525", "tunes get 4076525 --json | jq .trained_at", of=tunes, name="get")
@click.argument("tune_id", type=ID, metavar="ID")
@workspace_option
@json_option
@pass_invocation
def get_tune(invocation: Invocation, tune_id: int, *, workspace: str | None, as_json: bool) -> None:
    """One tune: all that Astria tells of it, and the addresses of its pictures, each on a line."""
    with reached(invocation, workspace) as account:
        found = account.thing(f"/tunes/{tune_id}", f"tune {tune_id}")
    if as_json:
        show_json(found)
    else:
        show_object(found, pictures=_PICTURES)


@command(
    'tunes update 4076525 --title "Jane, spring" --auto-extend',
    """tunes update 4076525 --characteristics '{"short_description": "satin brown dress"}'""",
    of=tunes,
    name="update",
)
@click.argument("tune_id", type=ID, metavar="ID")
@click.option("--title", metavar="TEXT", help="What it is called.")
@click.option("--name", metavar="NOUN", help="Its class noun: woman, dress, shoes …")
@click.option(
    "--auto-extend/--no-auto-extend",
    default=None,
    help="Whether Astria keeps it after its 30 days, at a price.",
)
@click.option(
    "--characteristics", metavar="JSON", help="A JSON object; it takes the place of what was there."
)
@workspace_option
@json_option
@pass_invocation
def update_tune(
    invocation: Invocation, /, tune_id: int, *, workspace: str | None, as_json: bool, **changes: Any
) -> None:
    """Change what a tune is called, what it is of, and whether it is kept.

    A tune.toml is not changed by this: what it says is told to Astria when it is edited.
    """
    fields = list(_fields(changes))
    if not fields:
        raise click.UsageError(
            "Say what: --title, --name, --auto-extend, --no-auto-extend or --characteristics."
        )
    with reached(invocation, workspace) as account:
        look = look_with(invocation, f"tunes get {tune_id}", workspace)
        what = f"tune {tune_id} was changed"
        answer = account.change("PATCH", f"/tunes/{tune_id}", fields, what=what, look=look)
    done(answer, f"Tune {tune_id} is changed.", as_json=as_json)


def _fields(changes: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """As Astria wants them; raises UsageError for what it could only refuse."""
    from astria_sync.core.wire import form

    characteristics = changes.pop("characteristics")
    for option in ("title", "name"):
        value = changes[option]
        if value is not None and (not value.strip() or not value.isprintable()):
            raise click.UsageError(f"--{option} must be one line of text.")
    yield from form("tune", changes)
    if characteristics is not None:
        try:
            good = isinstance(json.loads(characteristics), dict)
        except (ValueError, RecursionError):
            good = False
        if not good:
            raise click.UsageError(
                '--characteristics must be a JSON object, such as {"short_description": "…"}.'
            )
        yield "tune[characteristics]", characteristics


@command("tunes delete 4076525", "tunes delete 4076525 --yes", of=tunes, name="delete")
@click.argument("tune_id", type=ID, metavar="ID")
@click.option("--yes", is_flag=True, help="Do not ask.")
@workspace_option
@json_option
@pass_invocation
def delete_tune(
    invocation: Invocation, tune_id: int, *, yes: bool, workspace: str | None, as_json: bool
) -> int:
    """Delete a tune at Astria, for ever. What lies on this disk stays. In a terminal it asks first."""
    require_answer(yes=yes)
    with reached(invocation, workspace) as account:
        tune = account.thing(f"/tunes/{tune_id}", f"tune {tune_id}")
        if not yes and not agreed(_question(invocation, tune_id, tune)):
            return 1
        look = look_with(invocation, f"tunes get {tune_id}", workspace)
        what = f"tune {tune_id} was deleted"
        answer = account.change("DELETE", f"/tunes/{tune_id}", (), what=what, look=look)
    done(answer, f"Tune {tune_id} is deleted at Astria.", as_json=as_json)
    say_whose(invocation, "tune", tune_id)
    return 0


def _question(invocation: Invocation, tune_id: int, tune: Object) -> str:
    """What would be lost, and whose it is."""
    kind = f"{_kind(tune)} {word('name')(tune)}".strip()
    prompts = "" if tune.get("model_type") else "Its prompts and their pictures go with it."
    ours = owned(invocation, "tune", tune_id)
    question = f"Delete tune {tune_id}, {word('title')(tune)} ({kind}), at Astria for ever?"
    return " ".join(part for part in (ours, prompts, question) if part)
