"""The tables, as numbered migrations: committed with their own record, never edited once released.

`sources` are what lies on disk (image folders and prompt files), `tunes` and `prompts` what was ordered for them,
`packs` the runs of Astria's packs on folders, `images` the pictures that came of it, `waits` which prompt needs which folder, `events` what happened, `given_up` and
`rereads` what may yet turn up at Astria, `meta` the rest.
Times are seconds since the epoch, wall clock; `next_at` is on the engine's clock (see clock.py), which starts from it.
"""

from collections.abc import Iterable
from typing import Final

from sqlite_utils import Database
from sqlite_utils.migrations import Migrations

from astria_sync.firstschema import FIRST
from astria_sync.packtables import PACKS


class _AtOnce(Migrations):
    """All that are pending in one transaction: who reads the state meanwhile sees it as it was, or with all tables and indexes."""

    def apply(self, db: Database, *, stop_before: str | Iterable[str] | None = None) -> None:
        """As the base class has it, which commits each by itself."""
        with db.atomic():
            super().apply(db, stop_before=stop_before)


migrations: Final = _AtOnce("astria_sync")


@migrations()
def m001_first(db: Database) -> None:
    """Everything that version 0.1 needs, and room for what was planned after it."""
    _apply(db, FIRST)


@migrations()
def m002_bytes_kept(db: Database) -> None:
    """How much of a part that was kept is durable: what lies behind it a power cut may have turned into anything."""
    db.execute("ALTER TABLE images ADD COLUMN kept INTEGER NOT NULL DEFAULT 0")


_DAY_LIMIT = """
ALTER TABLE tunes ADD COLUMN needs_mc INTEGER;
ALTER TABLE tunes ADD COLUMN past_limit INTEGER NOT NULL DEFAULT 0;
ALTER TABLE prompts ADD COLUMN needs_mc INTEGER;
ALTER TABLE prompts ADD COLUMN past_limit INTEGER NOT NULL DEFAULT 0;
CREATE INDEX tunes_needs ON tunes (needs_mc) WHERE needs_mc IS NOT NULL;
CREATE INDEX prompts_needs ON prompts (needs_mc) WHERE needs_mc IS NOT NULL;
CREATE INDEX tunes_bound ON tunes (bound_at, attempt, cost_mc);
CREATE INDEX prompts_bound ON prompts (bound_at, attempt, cost_mc);
CREATE INDEX tunes_priced ON tunes (model_type, base_tune_id)
    WHERE bound_at > 0 AND (cost_mc > 0 OR state = 'ready');
CREATE INDEX prompts_priced ON prompts (target) WHERE bound_at > 0 AND (cost_mc > 0 OR state = 'done');
CREATE INDEX prompts_like ON prompts (target, num_images, json_extract(params, '$.resolution'))
    WHERE bound_at > 0 AND (cost_mc > 0 OR state = 'done');
"""


@migrations()
def m003_day_limit(db: Database) -> None:
    """The day's limit.

    `needs_mc`: what the day must have left before a row may go that the limit holds back; NULL: it does not hold it.
    `past_limit`: a person let it go past the limit.
    """
    _apply(db, _DAY_LIMIT)


_SPARES = """
ALTER TABLE tunes ADD COLUMN spare_of INTEGER REFERENCES tunes (id) ON DELETE SET NULL;
ALTER TABLE tunes ADD COLUMN made_at REAL;
ALTER TABLE prompts ADD COLUMN spare_of INTEGER REFERENCES prompts (id) ON DELETE SET NULL;
CREATE INDEX tunes_spare ON tunes (spare_of) WHERE spare_of IS NOT NULL;
CREATE INDEX prompts_spare ON prompts (spare_of) WHERE spare_of IS NOT NULL;
CREATE INDEX tunes_key ON tunes (json_extract(params, '$.title'));
CREATE INDEX prompts_key ON prompts (
    seed || ' ' || replace(replace(replace(replace(text, ' ', ''), char(9), ''), char(10), ''), char(13), '')
) WHERE watermark IS NOT NULL;

CREATE TABLE given_up (                     -- orders that Astria may have carried out, and that nobody waits for
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('tune', 'prompt')),
    source_id INTEGER NOT NULL REFERENCES sources (id) ON DELETE CASCADE,
    workspace TEXT NOT NULL,
    key TEXT,                               -- what it is looked up by: a prompt's seed and words, a tune's title
    columns TEXT NOT NULL,                  -- its row as it was, JSON
    at REAL NOT NULL
);
CREATE INDEX given_up_key ON given_up (key);
CREATE INDEX given_up_source ON given_up (source_id);

CREATE TABLE rereads (                      -- lists that are to be read once more, for what appears late
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('tune', 'prompt')),
    workspace TEXT NOT NULL,
    down_to INTEGER NOT NULL,
    next_at REAL NOT NULL,
    urgent INTEGER NOT NULL DEFAULT 0       -- how many fruitless readings `run --once` waits for
);
"""


@migrations()
def m004_what_astria_made_besides(db: Database) -> None:
    """`spare_of`: Astria made it besides the one of that row, for one order. `made_at`: when, by Astria's clock."""
    _apply(db, _SPARES)


@migrations()
def m005_records_to_read(db: Database) -> None:
    """Whether a prompt is still to be looked for among the records beside the pictures (adopting.py)."""
    db.execute("ALTER TABLE prompts ADD COLUMN unread INTEGER NOT NULL DEFAULT 0")
    db.execute("CREATE INDEX prompts_unread ON prompts (unread, id) WHERE unread > 0")


@migrations()
def m006_packs(db: Database) -> None:
    """Runs of packs. `pack_run`: the tune or prompt was made by that run; `template`: of this prompt of the pack."""
    _apply(db, PACKS)


_PULLED = """
ALTER TABLE prompts ADD COLUMN pulled INTEGER NOT NULL DEFAULT 0;
ALTER TABLE images ADD COLUMN pulled INTEGER NOT NULL DEFAULT 0;
CREATE INDEX prompts_pulled ON prompts (state) WHERE pulled = 1;
CREATE INDEX images_fair ON images (pulled, deadline) WHERE state = 'wanted' AND attempt = 0;
CREATE TABLE account_tunes (                -- what pulled generations were made with; a title is '' if Astria does not show it
    remote_id INTEGER PRIMARY KEY, title TEXT NOT NULL, expires_at REAL,
    folder TEXT NOT NULL DEFAULT '', folded TEXT NOT NULL DEFAULT ''   -- where their pictures lie, whatever the title is later
);
CREATE UNIQUE INDEX account_tunes_folder ON account_tunes (folded) WHERE folded != '';
"""


@migrations()
def m007_pulled(db: Database) -> None:
    """`pulled`: made elsewhere (web page, other clients), and fetched by `pull`; no file of ours asked for it."""
    _apply(db, _PULLED)


@migrations()
def m008_local_packs(db: Database) -> None:
    """Orders of local packs are found by the image folder that they are for."""
    db.execute("CREATE INDEX prompts_subject ON prompts (subject_id) WHERE subject_id IS NOT NULL")


_DELETING = """
ALTER TABLE tunes ADD COLUMN delete_at REAL;
ALTER TABLE prompts ADD COLUMN delete_at REAL;
CREATE INDEX tunes_delete ON tunes (delete_at) WHERE delete_at IS NOT NULL;
CREATE INDEX prompts_delete ON prompts (delete_at) WHERE delete_at IS NOT NULL;
"""


@migrations()
def m009_deleting(db: Database) -> None:
    """`delete_at`: when Astria's object is deleted since its file is gone (deleting.py), on the engine's clock; -1: refused."""
    _apply(db, _DELETING)


_MONEY_AND_CROWDS = """
ALTER TABLE prompts ADD COLUMN crowd INTEGER NOT NULL DEFAULT 0;
UPDATE tunes SET bound_at = min(made_at, bound_at) WHERE attempt = 0 AND bound_at > 0 AND made_at > 0;
UPDATE prompts SET bound_at = min(CAST(strftime('%s', json_extract(answer, '$.created_at')) AS REAL), bound_at)
    WHERE attempt = 0 AND bound_at > 0 AND strftime('%s', json_extract(answer, '$.created_at')) IS NOT NULL;
"""


@migrations()
def m010_money_and_crowds(db: Database) -> None:
    """`crowd`: one of more new prompts at one go than `hold_above`, however long it waits for something else first.

    What was found in the account is money of the day on which Astria made it; `bound_at` was when it was found.
    """
    _apply(db, _MONEY_AND_CROWDS)


_HISTORY = """
ALTER TABLE events ADD COLUMN was TEXT NOT NULL DEFAULT '';
ALTER TABLE events ADD COLUMN state TEXT NOT NULL DEFAULT '';
ALTER TABLE events ADD COLUMN remote_id INTEGER;
ALTER TABLE events ADD COLUMN seconds REAL;
ALTER TABLE events ADD COLUMN cost_mc INTEGER;
ALTER TABLE events ADD COLUMN root TEXT NOT NULL DEFAULT '';
ALTER TABLE events ADD COLUMN path TEXT NOT NULL DEFAULT '';
CREATE INDEX events_place ON events (path) WHERE path != '';
UPDATE events SET path = substr(detail, 1, instr(detail, ' -> ') - 1), root = (SELECT root FROM sources WHERE id = source_id)
    WHERE event = 'moved' AND detail LIKE '% -> %' AND source_id IN (SELECT id FROM sources);
"""


@migrations()
def m012_history(db: Database) -> None:
    """What `log` tells: states, Astria's id, how long it took, money; `root`, `path`: where a file was that moved or is forgotten."""
    _apply(db, _HISTORY)


_LIVE = """
CREATE INDEX images_saved ON images (saved_at) WHERE state = 'saved';
CREATE INDEX sources_problem ON sources (id) WHERE problem != '';
"""


@migrations()
def m013_live(db: Database) -> None:
    """What the live view asks for once a second: the pictures that came last, and files that cannot be used."""
    _apply(db, _LIVE)


_CROWDS = """
ALTER TABLE prompts ADD COLUMN old INTEGER NOT NULL DEFAULT 0;
UPDATE prompts SET old = 1 WHERE (SELECT adoptable FROM sources WHERE id = source_id) = 1;
UPDATE prompts SET old = 2 WHERE (SELECT adoptable FROM sources WHERE id = source_id) = 2;
CREATE TRIGGER prompts_old_added AFTER INSERT ON prompts WHEN (SELECT adoptable FROM sources WHERE id = NEW.source_id) > 0
    BEGIN UPDATE prompts SET old = (SELECT adoptable FROM sources WHERE id = source_id) WHERE id = NEW.id; END;
CREATE TRIGGER prompts_old_moved AFTER UPDATE OF source_id ON prompts WHEN OLD.source_id != NEW.source_id
    BEGIN UPDATE prompts SET old = (SELECT adoptable FROM sources WHERE id = source_id) WHERE id = NEW.id; END;
CREATE TRIGGER prompts_old_told AFTER UPDATE OF adoptable ON sources WHEN OLD.adoptable != NEW.adoptable
    BEGIN UPDATE prompts SET old = NEW.adoptable WHERE source_id = NEW.id; END;
CREATE INDEX prompts_old ON prompts (state, old) WHERE old > 0 AND state = 'queued' AND sought = 0 AND armed_at IS NULL;
CREATE INDEX sources_content ON sources (content);
CREATE INDEX prompts_reason ON prompts (id) WHERE reason != '';
"""


@migrations()
def m015_crowds(db: Database) -> None:
    """What is asked at every step, or for every file, without reading a crowd of others.

    `old`: the `adoptable` of its source, which SQLite itself keeps the same: of ten thousand that wait to be sent, those few
    that are to be looked for at Astria first are found by an index.
    """
    _apply(db, _CROWDS)


_EVERY_STEP = """
CREATE INDEX prompts_incomplete ON prompts (next_at) WHERE state = 'downloading' AND complete = 0;
CREATE INDEX prompts_crowd ON prompts (state) WHERE crowd = 1 AND approved = 0 AND armed_at IS NULL;
"""


@migrations()
def m016_every_step(db: Database) -> None:
    """What is asked at every step, or for every file: of which prompts more pictures are to come, without reading all whose
    pictures are being fetched; which are too many at one go, without reading all that wait to be sent.
    """
    _apply(db, _EVERY_STEP)


def _apply(db: Database, statements: str) -> None:
    for statement in statements.split(";\n"):
        if statement.strip():
            db.execute(statement)
