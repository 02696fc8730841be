"""The state: rows in and out. With statefile.py, which opens it, and schema.py the only one that touches SQLite for writing.

One connection, one thread. Everything a step of the engine decides is one transaction (`transaction`), and nothing goes
out before it is committed. WAL with synchronous=FULL: with NORMAL a commit is not on disk when a payment follows it.
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlite_utils import Database

from astria_sync.core.happening import Happening, moved
from astria_sync.core.lifecycle import Event, advance_pack, advance_prompt, advance_tune
from astria_sync.core.model import Image, Prompt, Source, Tune
from astria_sync.core.packrow import Pack
from astria_sync.errors import StateUnusable
from astria_sync.facts import Facts
from astria_sync.rows import NEW_EVENT, Row, event_row, next_deadline, read, write
from astria_sync.statefile import Place, open_database
from astria_sync.trouble import explained, is_passing


class Journal(Facts):
    """Sources, tunes, prompts, images and events, as rows of model.py."""

    def __init__(self, database: Database, place: Place | None = None) -> None:
        """Take over a database whose schema is current, and which lies at `place`; `open_journal` makes one."""
        # Told what is durable, never else.
        self.on_commit: Callable[[Sequence[Happening]], None] | None = None
        self._happened: list[Happening] = []  # in the transaction under way
        super().__init__()
        self._use(database, place)

    def _use(self, database: Database, place: Place | None) -> None:
        self._db = database
        self._conn = database.conn
        self._conn.row_factory = sqlite3.Row
        self._place = place
        self._forget_texts()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing, within another one too. Immediate: a deferred one that reads first can fail at its first write.

        Raises StateGoneError if the file is not at its place any more: what is committed to it would be forgotten.
        """
        told = len(self._happened)
        if self._conn.in_transaction:
            # Always one name, where sqlite-utils draws one each time: three statements that nobody asks again, each step, push
            # those that are asked again out of what is kept prepared. The innermost of a name is meant.
            self._conn.execute("SAVEPOINT within")
            try:
                yield
            except BaseException:
                if self._conn.in_transaction:  # some errors end all of it
                    self._conn.execute("ROLLBACK TO within")
                    self._conn.execute("RELEASE within")
                del self._happened[told:]
                self._forget_texts()
                raise
            self._conn.execute("RELEASE within")
            return
        self._conn.execute("BEGIN IMMEDIATE")
        try:
            self._begun()
            yield
            if self._place:
                self._place.check(self._conn)
            self._conn.execute("COMMIT")
        except BaseException:
            self._db.rollback()
            self._happened.clear()
            self._forget_texts()
            raise
        if self._place:
            self._place.written(self._conn)
        happened, self._happened = self._happened, []
        if happened and self.on_commit:
            self.on_commit(happened)

    def close(self) -> None:
        """Checkpoint and close; the state is then one file."""
        if self._place:
            self._place.close(self._db)
        else:
            self._db.close()

    @property
    def in_place(self) -> bool:
        """Whether the file at its place is the one that is open; one in memory always is."""
        return self._place is None or self._place.is_there

    def put_back(self) -> Path | None:
        """Put the state back to its place and go on with it there; under which name that is kept which lay there, if anything."""
        assert self._place is not None
        old, place = self._db, self._place
        aside = place.put_back(self._conn)
        database = open_database(place.path)
        self._use(database, Place(place.path, database.conn))
        old.close()
        place.released()
        return aside

    # Reading

    def _all(self, kind: type[Row], where: str, values: Sequence[Any] = (), index: str = "") -> list[Row]:
        table = f"{kind.__name__.lower()}s {index and f'INDEXED BY {index}'}"
        rows = self._conn.execute(f"SELECT * FROM {table} WHERE {where}", values)
        return [read(kind, row) for row in rows]

    def _one(self, kind: type[Row], where: str, values: Sequence[Any]) -> Row | None:
        return next(iter(self._all(kind, where + " LIMIT 1", values)), None)

    def value(self, sql: str, values: Sequence[Any] = ()) -> Any:
        """The first column of the first row, or None."""
        row = self._conn.execute(sql, values).fetchone()
        return None if row is None else row[0]

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[sqlite3.Row]:
        """Whatever a question of one's own answers."""
        return list(self._conn.execute(sql, values))

    def sources(self, where: str = "1", values: Sequence[Any] = ()) -> list[Source]:
        """Image folders and prompt files."""
        return self._all(Source, where, values)

    def tunes(self, where: str = "1", values: Sequence[Any] = ()) -> list[Tune]:
        """Orders for tunes."""
        return self._all(Tune, where, values)

    def prompts(self, where: str = "1", values: Sequence[Any] = ()) -> list[Prompt]:
        """Orders for pictures."""
        return self._all(Prompt, where, values)

    def packs(self, where: str = "1", values: Sequence[Any] = ()) -> list[Pack]:
        """Runs of packs."""
        return self._all(Pack, where, values)

    def images(self, where: str = "1", values: Sequence[Any] = ()) -> list[Image]:
        """Pictures, by prompt and number."""
        return self._all(Image, where + " ORDER BY prompt_id, n", values)

    def first_images(self, where: str, values: Sequence[Any], *, index: str, order: str) -> list[Image]:
        """So many pictures as the last of `values` says, the first ones in the order of an index."""
        return self._all(Image, f"{where} ORDER BY {order} LIMIT ?", values, index)

    def source(self, source_id: int) -> Source:
        """One source; KeyError if there is none."""
        return self._need(self._one(Source, "id = ?", [source_id]), source_id)

    def source_at(self, root: str, path: str, kind: str) -> Source | None:
        """What is known at this place."""
        return self._one(Source, "root = ? AND path = ? AND kind = ?", [root, path, kind])

    def tune(self, row_id: int) -> Tune:
        """One tune; KeyError if there is none."""
        return self._need(self._one(Tune, "id = ?", [row_id]), row_id)

    def prompt(self, row_id: int) -> Prompt:
        """One prompt; KeyError if there is none."""
        return self._need(self._one(Prompt, "id = ?", [row_id]), row_id)

    def pack(self, row_id: int) -> Pack:
        """The run of one pack; KeyError if there is none."""
        return self._need(self._one(Pack, "id = ?", [row_id]), row_id)

    def image(self, row_id: int) -> Image:
        """One picture; KeyError if there is none."""
        return self._need(self._one(Image, "id = ?", [row_id]), row_id)

    def current_tune(self, source_id: int) -> Tune | None:
        """The tune that prompts of this folder use."""
        return self._one(Tune, "source_id = ? AND current = 1 ORDER BY id DESC", [source_id])

    @staticmethod
    def _need(row: Row | None, row_id: int) -> Row:
        if row is None:
            raise KeyError(row_id)
        return row

    # Writing

    def add(self, table: str, **values: Any) -> int:
        """A new row; its id."""
        written = write(values)
        marks = ", ".join("?" * len(written))
        sql = f"INSERT INTO {table} ({', '.join(written)}) VALUES ({marks})"
        return int(self._conn.execute(sql, [*written.values()]).lastrowid or 0)

    def change(self, table: str, row_id: int, **values: Any) -> None:
        """Set columns of a row without a change of state."""
        written = write(values)
        columns = ", ".join(f"{name} = ?" for name in written)
        self._conn.execute(f"UPDATE {table} SET {columns} WHERE id = ?", [*written.values(), row_id])

    def change_each(self, table: str, column: str, where: str, values: Iterable[tuple[Any, ...]]) -> int:
        """Set one column of many rows, each to its own, which comes before what `where` asks for; how many rows there were."""
        return self._conn.executemany(f"UPDATE {table} SET {column} = ? WHERE {where}", values).rowcount

    def drop(self, table: str, row_id: int) -> None:
        """Remove a row and what hangs on it."""
        self._conn.execute(f"DELETE FROM {table} WHERE id = ?", [row_id])

    def move_tune(self, tune: Tune, event: Event, at: float, **values: Any) -> Tune:
        """Let `event` happen to a tune: the table's next state, the columns given, and a line in its history."""
        state = advance_tune(tune.state, event)
        self.change("tunes", tune.id, state=state, updated_at=at, **values)
        after = self.tune(tune.id)
        self.note(moved(tune, after, event, at))
        return after

    def move_prompt(self, prompt: Prompt, event: Event, at: float, **values: Any) -> Prompt:
        """Let `event` happen to a prompt: the table's next state, the columns given, and a line in its history."""
        state = advance_prompt(prompt.state, event)
        self.change("prompts", prompt.id, state=state, updated_at=at, **values)
        after = self.prompt(prompt.id)
        self.note(moved(prompt, after, event, at))
        return after

    def move_pack(self, pack: Pack, event: Event, at: float, **values: Any) -> Pack:
        """Let `event` happen to the run of a pack, likewise."""
        state = advance_pack(pack.state, event)
        self.change("packs", pack.id, state=state, updated_at=at, **values)
        after = self.pack(pack.id)
        self.note(moved(pack, after, event, at))
        return after

    def note(self, one: Happening) -> None:
        """A line for `astria-sync log`, and, once it is committed, for the log; of one without an event only that."""
        if self.on_commit:
            self._happened.append(one)
        if one.event:
            self._conn.execute(NEW_EVENT, event_row(one))

    def record(
        self, at: float, kind: str, item: int | None, source: int | None, event: str, detail: str = ""
    ) -> None:
        """The same in short, of what a person asked for."""
        one = Happening(at=at, kind=kind, item_id=item, source_id=source, event=event, detail=detail)
        self.note(replace(one, level="info"))

    def forget_source(self, source: Source, heir: int | None = None) -> None:
        """Drop a source; its history becomes that of its heir, or stays under the place where the file was."""
        root, path = ("", "") if heir else (source.root, source.path)
        where = "UPDATE events SET source_id = ?, root = ?, path = ? WHERE source_id = ?"
        self._conn.execute(where, [heir, root, path, source.id])
        self._happened = [
            replace(one, source_id=heir, root=root, path=path) if one.source_id == source.id else one
            for one in self._happened
        ]
        self.drop("sources", source.id)

    def set_waits(self, prompt_id: int, needs: Iterable[str]) -> None:
        """Which folders' names this prompt waits for, folded; none: it waits for nothing."""
        self._conn.execute("DELETE FROM waits WHERE prompt_id = ?", [prompt_id])
        self._conn.executemany(
            "INSERT OR IGNORE INTO waits VALUES (?, ?)", [(prompt_id, need) for need in needs]
        )

    def keep_text(self, text_hash: str, text: str) -> None:
        """A prompt file's whole text, once for all its requests, for their sidecars."""
        self._conn.execute("INSERT OR IGNORE INTO texts VALUES (?, ?)", [text_hash, text])

    def change_all(self, table: str, what: str, where: str, *values: Any) -> None:
        """Set columns of every row that fits, without a change of state."""
        self._conn.execute(f"UPDATE {table} SET {what} WHERE {where}", values)

    def erase(self, sql: str, values: Sequence[Any]) -> int:
        """Delete what a question of one's own names; how many rows."""
        return self._conn.execute(sql, values).rowcount

    def next_deadline(self, now: float, asked: Iterable[str] = ()) -> float | None:
        """When the next row is due that is not due already: what is, waits for a free place, whose Outcome wakes the loop; as
        does the list that running rows of these tables are `asked` for by.
        """
        found: float | None = self.value(next_deadline(frozenset(asked)), [now])
        return found


def open_journal(path: Path | None, *, now: float) -> Journal:
    """Open or make the state; None for one in memory. Raises StateTooNew, StateDamaged, StateUnusable (statefile.py)."""
    database = open_database(path)
    journal = Journal(database, None if path is None else Place(path, database.conn))
    try:
        with journal.transaction():
            if journal.get("created_at") is None:
                journal.put("created_at", now)
    except BaseException as error:
        database.close()
        if path is not None and isinstance(error, sqlite3.Error) and is_passing(error):
            raise StateUnusable(explained(path, error)) from error
        raise
    return journal
