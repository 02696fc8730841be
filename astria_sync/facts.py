"""Small facts of the state, the table `meta`: read from memory as long as nobody else can have written them.

A step asks for some twenty of them, and the same ones as the step before.
"""

import json
import sqlite3
from typing import Any


class Facts:
    """The part of the journal that owns `meta`. Texts are remembered, not values: what one was given and changes is its own."""

    _conn: sqlite3.Connection

    def __init__(self) -> None:
        """Nothing is remembered at first."""
        self._texts: dict[str, str | None] = {}
        self._version: int | None = None  # SQLite's count of what other connections committed

    def _begun(self) -> None:
        """A transaction holds the lock for writing: what others committed before is seen now, and nothing more will come."""
        version = int(self._conn.execute("PRAGMA data_version").fetchone()[0])
        if version != self._version:
            self._forget_texts()
            self._version = version

    def _forget_texts(self) -> None:
        """What was written was rolled back, or it is another connection: read everything again."""
        self._texts.clear()
        self._version = None

    def get(self, key: str, default: Any = None) -> Any:
        """A value of `meta`."""
        if key in self._texts and self._conn.in_transaction:
            text = self._texts[key]
        else:
            row = self._conn.execute("SELECT value FROM meta WHERE key = ?", [key]).fetchone()
            text = None if row is None else row[0]
            if self._conn.in_transaction:
                self._texts[key] = text
        return default if text is None else json.loads(text)

    def put(self, key: str, value: Any) -> None:
        """Set a value of `meta`; None removes it."""
        self._texts.pop(key, None)
        text = None if value is None else json.dumps(value)
        if text is None:
            self._conn.execute("DELETE FROM meta WHERE key = ?", [key])
        else:
            self._conn.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", [key, text])
        if self._conn.in_transaction:  # if it is rolled back, all is forgotten
            self._texts[key] = text

    def raise_mark(self, kind: str, workspace: str, remote_id: int) -> None:
        """Remember the highest id of this kind ever seen, the watermark of requests to come."""
        key = f"mark:{kind}:{workspace}"
        if remote_id > self.get(key, 0):
            self.put(key, remote_id)

    def mark(self, kind: str, workspace: str) -> int:
        """The highest id seen, 0 if none."""
        return int(self.get(f"mark:{kind}:{workspace}", 0))
