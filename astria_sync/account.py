"""The account for a person at a terminal: reads are repeated politely, changes never; what went wrong is one sentence.

Answers are passed on as Astria gave them. The daemon does not come through here: its work outlives a process.
"""

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from astria_sync.api import Api
from astria_sync.core.pace import PAGE
from astria_sync.core.retry import Answer, NoAnswer, Verdict, backoff, judge_read, message
from astria_sync.core.whole import as_id
from astria_sync.core.wire import Field
from astria_sync.errors import AstriaSyncError, NotAuthorised

_ATTEMPTS: Final = 4
_FIRST_WAIT: Final = 1.0  # seconds; somebody is waiting
_LONGEST_WAIT: Final = 60.0


@dataclass(kw_only=True)
class Account:
    """Calls for one workspace, "" for the personal scope. All raise AstriaSyncError with what to tell the person."""

    api: Api
    base_url: str
    workspace: str = ""
    wait: Callable[[float], None] = time.sleep
    tell: Callable[[str], None] = lambda _: None  # that it takes a while, and why

    def get(self, path: str, what: str, **query: Any) -> Any:
        """What Astria has there; `what` is its name in a sentence."""
        return self._good(self._read(path, query), what).body

    def thing(self, path: str, what: str) -> Mapping[str, Any]:
        """The same, where it must be one object."""
        body = self.get(path, what)
        if not isinstance(body, dict):
            raise AstriaSyncError(
                f"Astria was asked for {what} and answered with something else; try again later."
            )
        return body

    def pages(
        self, path: str, what: str, query: Mapping[str, Any], *, most: int | None, keyset: bool
    ) -> Iterator[list[Any]]:
        """A list, page by page, `most` objects in all (None: to its end), none of them twice.

        With `keyset` it goes on below the lowest id, so that nothing that is made meanwhile moves it; else by counting.
        It ends where Astria shows nothing more, since a page may be shorter than asked for.
        """
        asked, seen, left = dict(query), set[int](), most
        while left is None or left > 0:
            page = self.get(path, what, limit=PAGE if left is None else min(PAGE, left), **asked)
            if not isinstance(page, list):
                raise AstriaSyncError("Astria was asked for a list and answered with something else.")
            if not page:
                return
            fresh = [one for one in page if _id(one) is None or _id(one) not in seen]
            if not fresh:
                raise AstriaSyncError(
                    "Astria shows the same page again and again; there may be more than this."
                )
            seen.update(known for one in fresh if (known := _id(one)) is not None)
            yield fresh[:left]
            left = None if left is None else left - len(fresh)
            if not keyset:
                asked["offset"] = int(asked.get("offset") or 0) + len(page)
            elif seen:
                asked["before_id"] = min(seen)
                asked.pop("offset", None)
            else:
                return  # without ids there is nothing to go on by

    def change(self, method: str, path: str, fields: Sequence[Field], *, what: str, look: str) -> Any:
        """Carry out a change, once; `what` it is, as in "tune 5 was deleted", and how to `look` whether it was."""
        for attempt in range(1, _ATTEMPTS + 1):
            result = self.api.send(method, path, fields, workspace=self.workspace)
            # Astria said that it did nothing, so it may be asked again.
            if not (isinstance(result, Answer) and result.status == 429 and self._patient(result, attempt)):
                break
        if isinstance(result, NoAnswer):
            if result.sent:
                raise AstriaSyncError(_unknown(what, result.why, look))
            raise AstriaSyncError(f"{self.base_url} cannot be reached ({result.why}); nothing was changed.")
        if 200 <= result.status < 300:
            return result.body
        if result.status in {408, 425} or not 400 <= result.status < 500:
            raise AstriaSyncError(_unknown(what, _said(result), look))
        raise self._refused(result, what.partition(" was ")[0])

    def _read(self, path: str, query: Mapping[str, Any]) -> Answer | NoAnswer:
        """A read, repeated while that may help and somebody can be expected to wait for it."""
        for attempt in range(1, _ATTEMPTS + 1):
            result = self.api.get(path, workspace=self.workspace, **query)
            passing = result.sent if isinstance(result, NoAnswer) else _passes(result)
            if not passing or not self._patient(result, attempt):
                break
        return result

    def _patient(self, result: Answer | NoAnswer, attempt: int) -> bool:
        """Wait before the next attempt; false if there is none, or none that is worth waiting for."""
        wait = result.retry_after if isinstance(result, Answer) else None
        if wait is None:
            chance = random.random()  # noqa: S311 - spreads attempts, guards nothing
            wait = backoff(attempt, base=_FIRST_WAIT, maximum=_LONGEST_WAIT, chance=chance)
        if attempt == _ATTEMPTS or wait > _LONGEST_WAIT:
            return False
        why = result.why if isinstance(result, NoAnswer) else _said(result)
        self.tell(f"Astria: {why}; it is asked again in {wait:.0f} s.")
        self.wait(wait)
        return True

    def _good(self, result: Answer | NoAnswer, what: str) -> Answer:
        if isinstance(result, NoAnswer):
            raise AstriaSyncError(f"{self.base_url} cannot be reached: {result.why}.")
        if judge_read(result) is not Verdict.OK:
            raise self._refused(result, what)
        return result

    def _refused(self, answer: Answer, what: str) -> AstriaSyncError:
        """Astria's words, and what can be done."""
        words = " ".join(message(answer).split()).rstrip(".")
        if answer.status == 401:
            source = self.api.token.source if self.api.token else "nowhere"
            return NotAuthorised(
                f"Astria does not accept the token from {source}: {words}; put a valid one there "
                "(astria.ai/users/edit#api)."
            )
        if answer.status == 403:
            where = f" in workspace {self.workspace}" if self.workspace else ""
            return NotAuthorised(f"Astria does not allow this{where}: {words}.")
        if answer.status in {404, 410}:
            where = f"workspace {self.workspace}" if self.workspace else "your personal scope"
            where = (
                "any workspace" if self.workspace == "all" else f"{where}; --workspace all looks everywhere"
            )
            return AstriaSyncError(f"Astria does not know {what} ({words}), not in {where}.")
        if answer.status == 429 or answer.status >= 500 or 200 <= answer.status < 400:
            again = "" if answer.retry_after is None else f" in {answer.retry_after:.0f} s"
            return AstriaSyncError(f"Astria is in trouble: {_said(answer)}; try again{again or ' later'}.")
        return AstriaSyncError(f"Astria refused it: {words}.")


def _passes(answer: Answer) -> bool:
    """Whether another attempt may have more luck. A redirect, say, is no passing trouble."""
    return (
        answer.status in {408, 425, 429}
        or answer.status >= 500
        or (200 <= answer.status < 300 and answer.body is None)
    )


def _said(answer: Answer) -> str:
    if 200 <= answer.status < 300:
        return "the answer is no JSON"
    words = " ".join(message(answer).split()).rstrip(".")[:200]
    return f"HTTP {answer.status}" if words == f"HTTP {answer.status}" else f"HTTP {answer.status}, {words}"


def _unknown(what: str, why: str, look: str) -> str:
    return f"It is not known whether {what} ({why}); look: {look}"


def _id(one: Any) -> int | None:
    return as_id(one.get("id")) if isinstance(one, dict) else None
