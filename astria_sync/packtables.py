"""The table of packs, in SQL: a part of schema.py's migrations, never edited once released."""

from typing import Final

PACKS: Final = """
CREATE TABLE packs (
    id INTEGER PRIMARY KEY,
    source_id INTEGER NOT NULL REFERENCES sources (id) ON DELETE CASCADE,
    tune_id INTEGER REFERENCES tunes (id) ON DELETE SET NULL,  -- the row of the tune that it runs on
    name TEXT NOT NULL,                     -- slug or id, as tune.toml has it
    slug TEXT NOT NULL DEFAULT '',
    pack_id INTEGER,                        -- Astria's id of the pack
    current INTEGER NOT NULL DEFAULT 1,     -- 0: tune.toml does not name it any more
    state TEXT NOT NULL,
    reason TEXT NOT NULL DEFAULT '',
    error TEXT NOT NULL DEFAULT '',
    workspace TEXT NOT NULL DEFAULT '',
    output TEXT NOT NULL DEFAULT '',        -- where its pictures go, absolute
    on_pictures INTEGER NOT NULL DEFAULT 0, -- it went out with the pictures and made the tune as well
    facts TEXT NOT NULL DEFAULT '{}',       -- what Astria said of the pack, JSON
    asked TEXT NOT NULL DEFAULT '',         -- hash of the folder as it was when it was last judged
    expected INTEGER NOT NULL DEFAULT 0,    -- prompts that are to come of it
    num_images INTEGER NOT NULL DEFAULT 0,  -- pictures
    price_mc INTEGER,                       -- what it costs; NULL: not told
    order_id INTEGER,
    prompt_ids TEXT NOT NULL DEFAULT '[]',  -- as the answer named them, JSON
    watermark INTEGER,                      -- highest prompt id seen before the first attempt
    attempt INTEGER NOT NULL DEFAULT 0,
    looks INTEGER NOT NULL DEFAULT 0,
    lost INTEGER NOT NULL DEFAULT 0,
    sought INTEGER NOT NULL DEFAULT 0,      -- was looked for among what the account had before this state was
    next_at REAL NOT NULL DEFAULT 0,
    approved INTEGER NOT NULL DEFAULT 0,
    needs_mc INTEGER,
    past_limit INTEGER NOT NULL DEFAULT 0,
    armed_at REAL,
    bound_at REAL,
    heard_at REAL NOT NULL DEFAULT 0,       -- when a prompt of it last appeared, on the engine's clock
    created_at REAL NOT NULL,
    updated_at REAL NOT NULL
);
CREATE INDEX packs_source ON packs (source_id, current);
CREATE INDEX packs_state ON packs (state, next_at);
CREATE INDEX packs_tune ON packs (tune_id);
ALTER TABLE tunes ADD COLUMN pack_run INTEGER REFERENCES packs (id) ON DELETE SET NULL;
ALTER TABLE prompts ADD COLUMN pack_run INTEGER REFERENCES packs (id) ON DELETE SET NULL;
ALTER TABLE prompts ADD COLUMN template INTEGER;
CREATE INDEX tunes_pack ON tunes (pack_run) WHERE pack_run IS NOT NULL;
CREATE INDEX prompts_pack ON prompts (pack_run) WHERE pack_run IS NOT NULL;
"""
