"""Tells of what happened, at the right moment: in the engine's thread, with what was told in the same transaction.

Who carries it to the person is messenger.py, and not before the commit. Nothing of it may stand in the way of the work.
"""

import logging
import sqlite3
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Final

from astria_sync import newsrows
from astria_sync.context import Context
from astria_sync.core.news import (
    BATCH,
    Item,
    Notice,
    Since,
    Told,
    allowed,
    compose,
    due,
    pictures_due,
    recent,
    stand,
    trouble_due,
)
from astria_sync.newsrows import Found
from astria_sync.trouble import concerns_the_state
from astria_sync.wording import Circumstances

log = logging.getLogger("astria_sync")

TOLD: Final = "told"  # in the state's `meta`
_LOOK: Final = 30.0  # seconds between looks at what lasts, if something happens at all


@dataclass(kw_only=True)
class News:
    """Looks at the events since the last notice, and at what lasts; O(1) as long as nothing has happened."""

    ctx: Context
    post: Callable[[Notice], None] | None = None  # takes a notice and never waits; None: nobody wants any
    strict: bool = False  # a test sees a defect
    _out: list[Notice] = field(default_factory=list, init=False)
    _told: Told | None = field(default=None, init=False)
    _since: Since = field(default_factory=Since, init=False)
    _seen: int = field(default=-1, init=False)  # the newest event that was looked at
    _lasting: dict[str, Item] = field(default_factory=dict, init=False)  # what lasts and is not told yet
    _look_at: float = field(default=0.0, init=False)

    def plan(self) -> None:
        """Last of all in a step. A defect here ends the telling, never the work."""
        notify = self.ctx.settings.notify
        if self.post is None:
            return
        try:
            if notify.desktop or notify.command:
                self._plan()
            elif self._told is not None or self._seen < 0:
                self.forget()
                self._seen = 0
                self.ctx.journal.put(TOLD, None)  # what happens until it is wanted again is not told then
        except Exception as error:
            if self.strict or _is_the_states(error):
                raise
            log.exception("a defect: nothing more is told by notifications in this run")
            self.post = None

    def next_due(self) -> float | None:
        """When a notice is to go out."""
        if self.post is None or self._told is None:
            return None
        return due(self._told, self._since, self.ctx.now)

    def send(self) -> None:
        """The step is committed."""
        if self._out and self.post:
            out, self._out = self._out, []
            for notice in out:
                self.post(notice)

    def forget(self) -> None:
        """The step was rolled back: nothing was told, and all since then is looked at again."""
        self._out.clear()
        self._told, self._since, self._lasting, self._look_at = None, Since(), {}, 0.0
        self._seen = -1

    def finish(self) -> None:
        """The run ends with nothing left to do: what is to be told is told now, if there may be a notice."""
        if self.post is None or self._told is None:
            return
        try:
            with self.ctx.journal.transaction():
                self._plan(over=True)
        except Exception as error:
            if self.strict:
                raise
            log.warning(
                "What has happened cannot be told (%s); the next run does.",
                error,
                exc_info=None if _is_the_states(error) else error,
            )
            return
        self.send()

    # In a step

    def _plan(self, *, over: bool = False) -> None:
        now = self.ctx.now
        newest = self.ctx.journal.value("SELECT max(id) FROM events") or 0
        told = self._told or self._remembered(newest)
        if newest != self._seen:
            self._take_in(newest)
        if now >= self._look_at or over:
            told = self._look(told, over=over)
        if not over:
            self._ask_what_runs()
        moment = due(told, self._since, now)
        if moment is not None and (moment <= now or (over and allowed(told, now))):
            told = self._tell(told, newest, over=over)
        if told != self._told:
            self._told = told
            self.ctx.journal.put(TOLD, asdict(told))

    def _remembered(self, newest: int) -> Told:
        """What was told before this run; of what had happened before anybody wanted to know, nothing is told."""
        try:
            stored = self.ctx.journal.get(TOLD)
            told = Told(**{**stored, "at": tuple(stored["at"])})
        except (TypeError, KeyError):  # nothing is stored, or by another version
            self._seen = newest
            return Told(troubles=newest, pictures=newest)
        self._seen = min(told.troubles, told.pictures)
        return told

    def _take_in(self, newest: int) -> None:
        now = self.ctx.now
        trouble, finished, around = newsrows.happened(self.ctx.journal, self._seen, newest)
        self._seen = newest
        if around:
            self._look_at = now
        if trouble and self._since.trouble is None:
            self._since = replace(self._since, trouble=now)
        first = now if finished and self._since.first is None else self._since.first
        self._since = replace(self._since, first=first, last=now, running=False)

    def _ask_what_runs(self) -> None:
        """Once it has been quiet for a while: to ask at each event would cost where thousands are fetched."""
        at = pictures_due(self._since)
        if at is not None and at <= self.ctx.now < (self._since.first or 0) + BATCH:
            self._since = replace(self._since, running=newsrows.is_running(self.ctx.journal))

    def _look(self, told: Told, *, over: bool) -> Told:
        """At what lasts."""
        self._look_at = self.ctx.now + _LOOK
        there = newsrows.lasting(self.ctx.journal, self._around)
        new, standing = stand(told.standing, there, self.ctx.now, over=over)
        self._lasting = {key: there[key] for key in new}
        if new and self._since.trouble is None:
            self._since = replace(self._since, trouble=self.ctx.now)
        return told if standing == told.standing else replace(told, standing=standing)

    def _tell(self, told: Told, newest: int, *, over: bool) -> Told:
        now, journal = self.ctx.now, self.ctx.journal
        trouble_at, pictures_at = trouble_due(self._since), pictures_due(self._since)
        nothing = Found(items=(), counts={})
        bad = good = nothing
        if trouble_at is not None and (over or trouble_at <= now):
            bad = newsrows.troubles(journal, told.troubles, newest, self._around)
            items = [*self._lasting.values(), *bad.items]
            bad = Found(
                items=items, counts=Counter(bad.counts) + Counter(one.about for one in self._lasting.values())
            )
            told = replace(told, standing={**told.standing, **dict.fromkeys(self._lasting, 0.0)})
            self._lasting, self._since = {}, replace(self._since, trouble=None)
        if pictures_at is not None and (over or pictures_at <= now):
            good = newsrows.finished(journal, told.pictures, newest)
            self._since = Since(trouble=self._since.trouble)
        if self._since.trouble is None:
            told = replace(told, troubles=newest)
        if self._since.first is None:
            told = replace(told, pictures=newest)
        items = [*bad.items, *good.items]
        if not items:
            return told
        notice = compose(
            items,
            {**bad.counts, **good.counts},
            at=self.ctx.wall,
            configuration=str(self.ctx.settings.file or ""),
        )
        self._out.append(notice)
        return replace(told, at=(*recent(told, now), now))

    @property
    def _around(self) -> Circumstances:
        return Circumstances(now=self.ctx.wall)


def _is_the_states(error: Exception) -> bool:
    """Whether the state cannot be used; a question that SQLite does not understand is a defect like any."""
    return concerns_the_state(error) and getattr(error, "sqlite_errorcode", None) != sqlite3.SQLITE_ERROR
