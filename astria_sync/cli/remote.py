"""What the commands about the account share: the way to Astria, options, lists, the question before something is deleted."""

import shlex
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from astria_sync.cli.common import Invocation, is_terminal, json_option, say, show, show_json, visible
from astria_sync.cli.tables import Column, Table
from astria_sync.core import plain
from astria_sync.errors import AstriaSyncError, UsageError

if TYPE_CHECKING:
    from astria_sync.account import Account
    from astria_sync.owned import Owner

_Command = TypeVar("_Command", bound=Callable[..., Any])
_USUAL: Final = 20  # of a list
_LARGEST_ID: Final = 10**15
PERSONAL: Final = "personal"


class _Id(click.ParamType[int]):
    """A number of Astria's; what is none is told before anything is asked."""

    name = "id"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        text = str(value)
        if not (text.isascii() and text.isdecimal() and 0 < int(text[:20]) <= _LARGEST_ID):
            self.fail(f"{text[:40]!r} is no id; an id is a number that Astria gave.", param, ctx)
        return int(text)


ID: Final = _Id()


@contextmanager
def reached(invocation: Invocation, workspace: str | None = None) -> Iterator["Account"]:
    """The account that the token is of. Needs no configuration; raises NotAuthorised if there is no token."""
    from astria_sync.account import Account
    from astria_sync.api import Api
    from astria_sync.secrets import require_token

    astria = invocation.settings(any_model=True).astria
    token = require_token(astria, environ=invocation.environ, home=invocation.home)
    scope = astria.workspace_id or "" if workspace is None else workspace
    api = Api(astria.base_url, lambda: token, timeout=astria.timeout_seconds)
    try:
        yield Account(
            api=api,
            base_url=astria.base_url,
            workspace="" if scope == PERSONAL else scope,
            wait=time.sleep,
            tell=say,
        )
    finally:
        api.close()


def _workspace(_context: click.Context, _option: click.Parameter, value: str | None) -> str | None:
    if (
        value is None
        or value in {"all", PERSONAL}
        or (value.isdecimal() and value.isascii() and 0 < len(value) < 16)
    ):
        return value
    raise click.BadParameter('it is the number of a workspace, "all" or "personal".')


def workspace_option(function: _Command) -> _Command:
    """`--workspace`."""
    return click.option(
        "--workspace",
        metavar="ID",
        callback=_workspace,
        help='The workspace; "all", or "personal" for your own scope [default: the configuration\'s].',
    )(function)


def list_options(*filters: Callable[[Any], Any], keyset: bool = True) -> Callable[[_Command], _Command]:
    """The options of a list: its filters, how much of it, where, and `--json`."""
    before = [click.option("--before-id", type=ID, metavar="ID", help="Only those with lower ids.")]
    options = [
        *filters,
        click.option(
            "--limit", type=click.IntRange(1), metavar="N", help=f"At most so many [default: {_USUAL}]."
        ),
        click.option("--all", "everything", is_flag=True, help="All of them, however many pages that takes."),
        *(before if keyset else ()),
        click.option("--offset", type=click.IntRange(0), metavar="N", help="Leave out the first so many."),
        workspace_option,
        json_option,
    ]

    def decorate(function: _Command) -> _Command:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


def is_(name: str, text: str) -> Callable[[Any], Any]:
    """A filter that is true, false, or not asked for."""
    option = name.replace("_", "-")
    return click.option(f"--{option}/--no-{option}", name, default=None, help=text)


def by_id(name: str, text: str) -> Callable[[Any], Any]:
    """A filter by an id."""
    return click.option(f"--{name.replace('_', '-')}", name, type=ID, metavar="ID", help=text)


def show_list(
    invocation: Invocation,
    path: str,
    columns: Sequence[Column],
    query: Mapping[str, Any],
    *,
    limit: int | None,
    everything: bool,
    workspace: str | None,
    as_json: bool,
    keyset: bool = True,
) -> None:
    """A list as it comes: for programs a JSON list with one object on a line, for people a table."""
    if limit is not None and everything:
        raise click.UsageError("Give --limit or --all, not both.")
    most = None if everything else limit or _USUAL
    count = 0
    table = Table(columns)
    with reached(invocation, workspace) as account:
        try:
            for page in account.pages(path, "this list", query, most=most, keyset=keyset):
                if as_json:
                    lines = ",\n".join(plain.visible_json(one, indent=None) for one in page)
                    click.echo(f"{',' if count else '['}\n{lines}", nl=False)
                else:
                    table.add(page)
                count += len(page)
        except AstriaSyncError:
            if as_json and count:
                show()  # and no end of the list: whoever reads it must not take it for whole
            raise
    if as_json:
        show("\n]" if count else "[]")
    elif not count:
        elsewhere = workspace != "all" and not path.startswith("/gallery")
        say("Astria shows none" + ("; --workspace all looks everywhere." if elsewhere else "."))
    if count == most and limit is None:
        say(f"These are the first {count}; --limit N or --all shows more, if there are more.")


def agreed(question: str) -> bool:
    """Whether the person wants it."""
    if click.confirm(visible(question), default=False, err=True):
        return True
    say("Nothing was deleted.")
    return False


def require_answer(*, yes: bool) -> None:
    """Refuse to delete before anything is done, if nobody can be asked."""
    if not yes and not is_terminal():
        raise UsageError("Nobody is there to be asked whether it is to be deleted; give --yes if it is.")


def owned(invocation: Invocation, kind: str, remote_id: int) -> str:
    """A sentence about the file or folder here that owns it; "" if none does."""
    try:
        found = _owner(invocation, kind, remote_id)
    except AstriaSyncError as error:
        return f"Whether a file or folder here owns it is not known: {error.problems[0]}"
    if found is None:
        return ""
    if kind == "tune":
        return f"It is the tune of the folder {found.path}, whose prompts use it."
    return f"It was ordered by {found.path}; {found.saved} of its {found.wanted} pictures are here."


def say_whose(invocation: Invocation, kind: str, remote_id: int) -> None:
    """After it was deleted, asked or not: which file or folder here has lost it, and what to do."""
    try:
        found = _owner(invocation, kind, remote_id)
    except AstriaSyncError:
        return  # an account without a configuration, most likely; whoever was asked has read of it
    if found is None:
        return
    place = shlex.quote(str(found.path))
    if kind == "tune":
        say(f"It was the tune of {found.path}; for a new one: {invocation.itself()} retrain {place}")
    else:
        say(f"It was ordered by {found.path}; to make it once more: {invocation.itself()} rerun {place}")


def _owner(invocation: Invocation, kind: str, remote_id: int) -> "Owner | None":
    from astria_sync.owned import owner

    return owner(invocation.settings(any_model=True).state, kind, remote_id)


def look_with(invocation: Invocation, words: str, workspace: str | None) -> str:
    """A command as one can type it to look what became of something."""
    return f"{invocation.itself()} {words}" + (f" --workspace {workspace}" if workspace else "")


def done(answer: Any, words: str, *, as_json: bool) -> None:
    """What was done: Astria's answer for programs, a sentence for people."""
    if as_json:
        show_json(answer)
    else:
        say(words)
