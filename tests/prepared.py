"""The schema, made once for each process of the tests: some fifteen migrations take longer than most tests do.

A database with nothing in it gets what they came to; one that an older version made is migrated as ever.
"""

import sqlite3
from typing import Any

from sqlite_utils import Database

from astria_sync import schema, statefile


class _Prepared:
    """Stands where a state that is opened finds its migrations."""

    def __init__(self) -> None:
        self._made = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        schema.migrations.apply(Database(self._made))

    def apply(self, database: Database) -> None:
        if database.execute("SELECT 1 FROM sqlite_master").fetchone() is None:
            self._made.backup(database.conn)
        else:
            schema.migrations.apply(database)

    def __getattr__(self, name: str) -> Any:
        return getattr(schema.migrations, name)


def install() -> None:
    """From here on in this process."""
    if statefile.migrations is schema.migrations:
        statefile.migrations = _Prepared()  # type: ignore[misc, assignment]  # what it uses of the real ones
