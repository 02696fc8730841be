"""`prompts`: the account's prompts and their pictures, straight from Astria."""

from typing import Any, Final

import click

from astria_sync.cli.common import Invocation, command, group, json_option, pass_invocation, show_json
from astria_sync.cli.remote import (
    ID,
    agreed,
    by_id,
    done,
    is_,
    list_options,
    look_with,
    owned,
    reached,
    require_answer,
    say_whose,
    show_list,
    workspace_option,
)
from astria_sync.cli.tables import Column, Object, cost, listed, moment, show_object, word
from astria_sync.core.whole import as_id, as_int
from astria_sync.errors import AstriaSyncError

_PICTURES: Final = ("images",)
_FILTERS: Final = (
    "text",
    "pack_id",
    "base_pack_id",
    "user_id",
    "tune_id",
    "order_id",
    "orig_prompt_id",
    "liked",
    "today",
    "is_video",
    "is_api",
    "before_id",
    "offset",
)


def _made(prompt: Object) -> str:
    """How many pictures there are, of how many."""
    if prompt.get("user_error"):
        return "failed"
    there, wanted = len(listed(prompt.get("images"))), as_int(prompt.get("num_images"))
    return f"{there}" if wanted is None or there >= wanted else f"{there} of {wanted}"


_COLUMNS: Final = (
    Column("ID", 9, word("id"), whole=True),
    Column("MADE", 16, moment("created_at", hours=True)),
    Column("PICTURES", 8, _made),
    Column("COST", 7, lambda prompt: cost(prompt.get("cost_mc"))),
    Column("TEXT", 20, word("text")),
)


@group(
    "prompts list --today",
    "prompts list --tune-id 4076525 --all --json > prompts.json",
    "prompts get 30000015",
    "prompts delete 30000015",
)
def prompts() -> None:
    """The account's prompts and their pictures, straight from Astria, whoever ordered them.

    A token is all that is needed. No folder is looked at, and nothing is ordered.
    """


@command(
    "prompts list --text hiking --liked",
    "prompts list --all --json | jq -r '.[].images[]'",
    of=prompts,
    name="list",
)
@list_options(
    click.option("--text", metavar="TEXT", help="Only those with this in their text."),
    by_id("tune_id", "Only those that were sent to this tune."),
    by_id("pack_id", "Only those of this pack."),
    by_id("base_pack_id", "Only those that were made by running this pack."),
    by_id("order_id", "Only those of this order, one run of a pack."),
    by_id("orig_prompt_id", "Only copies of this prompt, or what was made of this template."),
    by_id("user_id", "Only those of this user."),
    is_("liked", "Only those that are liked, or are not."),
    is_("today", "Only those of today, or older ones."),
    is_("is_video", "Only videos, or only pictures."),
    is_("is_api", "Only what came through the API, or did not."),
)
@pass_invocation
def list_prompts(invocation: Invocation, /, **how: Any) -> None:
    """Prompts, the newest first.

    With --json it is a list, one prompt on a line, each as Astria gives it.
    """
    query = {key: how.pop(key) for key in _FILTERS}
    show_list(invocation, "/prompts", _COLUMNS, query, **how)


@command(
    "prompts get 30000015",
    "prompts get 30000015 | grep ^http | xargs -n 1 curl -O",
    of=prompts,
    name="get",
)
@click.argument("prompt_id", type=ID, metavar="ID")
@workspace_option
@json_option
@pass_invocation
def get_prompt(invocation: Invocation, prompt_id: int, *, workspace: str | None, as_json: bool) -> None:
    """One prompt: all that Astria tells of it, and the addresses of its pictures, each on a line."""
    with reached(invocation, workspace) as account:
        found = account.thing(f"/prompts/{prompt_id}", f"prompt {prompt_id}")
    if as_json:
        show_json(found)
    else:
        show_object(found, pictures=_PICTURES)


@command("prompts delete 30000015", "prompts delete 30000015 --yes", of=prompts, name="delete")
@click.argument("prompt_id", type=ID, metavar="ID")
@click.option("--yes", is_flag=True, help="Do not ask.")
@workspace_option
@json_option
@pass_invocation
def delete_prompt(
    invocation: Invocation, prompt_id: int, *, yes: bool, workspace: str | None, as_json: bool
) -> int:
    """Delete a prompt and its pictures at Astria, for ever. What lies on this disk stays. In a terminal it asks first."""
    require_answer(yes=yes)
    with reached(invocation, workspace) as account:
        prompt = account.thing(f"/prompts/{prompt_id}", f"prompt {prompt_id}")
        tune_id = as_id(prompt.get("tune_id"))
        if tune_id is None:
            raise AstriaSyncError(
                f"Astria does not say which tune prompt {prompt_id} is of; it is not deleted."
            )
        if not yes and not agreed(_question(invocation, prompt_id, prompt)):
            return 1
        look = look_with(invocation, f"prompts get {prompt_id}", workspace)
        what = f"prompt {prompt_id} was deleted"
        path = f"/tunes/{tune_id}/prompts/{prompt_id}"
        answer = account.change("DELETE", path, (), what=what, look=look)
    done(answer, f"Prompt {prompt_id} is deleted at Astria.", as_json=as_json)
    say_whose(invocation, "prompt", prompt_id)
    return 0


def _question(invocation: Invocation, prompt_id: int, prompt: Object) -> str:
    """What would be lost, and whose it is."""
    text = word("text")(prompt)
    short = text if len(text) <= 60 else text[:59] + "…"
    there = len(listed(prompt.get("images")))
    pictures = f"its {there} pictures" if there != 1 else "its picture"
    question = f"Delete prompt {prompt_id}, “{short}”, and {pictures} at Astria for ever?"
    ours = owned(invocation, "prompt", prompt_id)
    return f"{ours} {question}".strip()
