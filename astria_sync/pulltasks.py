"""What a thread does for `pull`: one page of a list, and the titles of tunes that no list of the account has."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from astria_sync.api import Api
from astria_sync.core.account import Pulled, PullPage, ends, title_of
from astria_sync.core.catalog import read_catalog
from astria_sync.core.retry import Answer, NoAnswer, Verdict, judge_read, the_object
from astria_sync.core.wire import read_tune

_NOT_SHOWN: Final = {Verdict.GONE, Verdict.REFUSED}


def page(api: Api, piece: PullPage, objects: Sequence[Any], unread: float | None) -> Pulled:
    """What it shows. With the first page of tunes come the names of Astria's own models, if it tells them."""
    if piece.kind == "tune":
        tunes = [(one.id, title_of(one), ends(one)) for one in objects]
        if piece.before_id is None:
            answer = api.get("/cli/models")
            catalog, _ = read_catalog(answer.body if isinstance(answer, Answer) else None)
            tunes += [(tune_id, name, None) for name, tune_id in (catalog.ids if catalog else {}).items()]
        return Pulled(objects=tuple(objects), tunes=tuple(tunes), unread=unread)
    wanted = {one.tune_id for one in objects if one.tune_id is not None and not one.user_error}
    found, failure = _titles(api, piece.workspace, sorted(wanted - piece.known))
    return Pulled(
        objects=() if failure else tuple(objects), tunes=tuple(found), failure=failure, unread=unread
    )


def _titles(
    api: Api, workspace: str, ids: Iterable[int]
) -> tuple[list[tuple[int, str, float | None]], Answer | NoAnswer | None]:
    """Of tunes of others, and of those that are gone: each is asked for once. What was told before it failed is told."""
    found: list[tuple[int, str, float | None]] = []
    for tune_id in ids:
        result = api.get(f"/tunes/{tune_id}", workspace=workspace)
        verdict = judge_read(result)
        body = the_object(result.body) if isinstance(result, Answer) else None
        tune = read_tune(body) if verdict is Verdict.OK and body else None
        if tune is not None:
            found.append((tune_id, title_of(tune), ends(tune)))
        elif verdict in _NOT_SHOWN or (isinstance(result, Answer) and result.status == 403):
            found.append((tune_id, "", None))
        else:
            return found, result
    return found, None
