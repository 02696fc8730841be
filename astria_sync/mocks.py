"""`rehearse = true` on a watch: the whole job on free mock tunes, so that nothing is ever spent.

Astria's branch `fast` makes a free mock of a tune, and prompts that are sent to it are free mocks too (astria-api.md, "Tunes"). So
every folder's tune is of that branch, and every prompt goes to one of those, never to the model that it would cost money at.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

from astria_sync.context import Context
from astria_sync.core.lifecycle import TuneState
from astria_sync.core.model import Prompt, Tune
from astria_sync.core.money import dollars
from astria_sync.core.prices import FREE_BRANCH
from astria_sync.core.wire import RemotePrompt, RemoteTune
from astria_sync.journal import Journal
from astria_sync.wording import REHEARSAL

MARK: Final = REHEARSAL  # in the variant of a prompt's row
STEM: Final = "-rehearsal"  # behind the name of what it makes
ANY_TUNE: Final = "*"  # what a prompt waits for that any tune would do
NONE_YET: Final = (
    "waits for an image folder: in a rehearsal every prompt goes to a free tune, and there is none yet"
)
NAMED: Final = "tune.toml: id names a tune that costs money to use, and this is a rehearsal; take `id` or `rehearse` out."
_RUNS_NONE: Final = "a pack costs money, so a rehearsal runs none"
NO_PACK: Final = "{path}: " + _RUNS_NONE + "; {name} is run without `rehearse`."
_COST: Final = "{what} of a rehearsal cost {price}, which nothing there should; the rehearsal in {root} rests until: astria-sync retry"
_SETTLED: Final = frozenset({TuneState.TRAINING, TuneState.READY, TuneState.EXPIRED, TuneState.DELETED})


def is_mock(params: Mapping[str, Any]) -> bool:
    """Whether a tune of these form fields is a free one."""
    return params.get("branch") == FREE_BRANCH


def wish(fingerprint: str) -> str:
    """The fingerprint of a request as it is rehearsed: another than that of the real one, which is asked for by itself."""
    return hashlib.sha256(f"{fingerprint} rehearsal".encode()).hexdigest()


def target(journal: Journal, workspace: str, folders: Sequence[int]) -> int | None:
    """A free tune that is ready: of the first of these folders that has one, else any; None if there is none."""
    free = (
        f"state = 'ready' AND json_extract(params, '$.branch') = '{FREE_BRANCH}' AND workspace = ? AND current = 1 "
        "AND source_id IN (SELECT id FROM sources WHERE missing_since IS NULL) ORDER BY id DESC"
    )
    tunes = {tune.source_id: tune.remote_id for tune in journal.tunes(free, [workspace])}
    return next((tunes[folder] for folder in folders if folder in tunes), next(iter(tunes.values()), None))


def trouble(journal: Journal, root: str) -> str:
    """Why nothing more is rehearsed in a root; "" if all is well."""
    return str(journal.get(f"mock:{root}", ""))


def check_cost(ctx: Context, row: Tune | Prompt, remote: RemoteTune | RemotePrompt) -> None:
    """Astria tells a price: a rehearsal that has one must not go on."""
    mock = MARK in row.variant if isinstance(row, Prompt) else is_mock(row.params)
    if not mock or not remote.cost_mc:
        return
    source = ctx.journal.source(row.source_id)
    watch = ctx.watches.get(source.root)
    if watch and watch.rehearse and not trouble(ctx.journal, source.root):
        what = f"{'prompt' if isinstance(row, Prompt) else 'tune'} {remote.id}"
        text = _COST.format(what=what, price=dollars(remote.cost_mc / 100_000), root=source.root)
        ctx.journal.put(f"mock:{source.root}", text)
        ctx.alarm(text)


def switch(ctx: Context) -> None:
    """Once a run: a root that is rehearsed from now on, or no more, is read anew, with tunes of the other kind.

    What either kind has made stays on record and is used again when it is switched back, so that nothing is paid twice.
    """
    journal = ctx.journal
    for root, watch in ctx.watches.items():
        if bool(journal.get(f"rehearse:{root}", False)) is watch.rehearse:
            continue
        journal.put(f"rehearse:{root}", watch.rehearse or None)
        alarms = [one for one in journal.get("alarms", []) if _RUNS_NONE not in one]
        journal.put("alarms", alarms or None)  # what still holds is said again
        for source in journal.sources("root = ?", [root]):
            journal.change("sources", source.id, stamp="")
            if source.kind == "folder":
                _exchange(journal, source.id, mock=watch.rehearse)


def _exchange(journal: Journal, folder: int, *, mock: bool) -> None:
    tunes = journal.tunes("source_id = ? AND spare_of IS NULL ORDER BY id DESC", [folder])
    now = next((tune for tune in tunes if tune.current), None)
    if now is None or now.state not in _SETTLED or "id" in now.params or is_mock(now.params) is mock:
        return
    journal.change("tunes", now.id, current=False)
    for tune in tunes:
        if tune.state in _SETTLED and "id" not in tune.params and is_mock(tune.params) is mock:
            journal.change("tunes", tune.id, current=True)
            return
