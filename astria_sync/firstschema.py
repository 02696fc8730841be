"""The tables of version 0.1, as migration m001 makes them; schema.py says what they are. Never edited."""

from typing import Final

FIRST: Final = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

CREATE TABLE sources (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('folder', 'prompt')),
    root TEXT NOT NULL,            -- the watched root, absolute
    path TEXT NOT NULL,            -- relative to it, with slashes; '.' is the root
    inode INTEGER NOT NULL DEFAULT 0,
    mtime_ns INTEGER NOT NULL DEFAULT 0,
    stamp TEXT NOT NULL DEFAULT '',         -- what stood still when it was last read; '' before that
    content TEXT NOT NULL DEFAULT '',       -- hash of what was read: a prompt's bytes, a folder's pictures
    is_image_folder INTEGER NOT NULL DEFAULT 0,
    pictures INTEGER NOT NULL DEFAULT 0,
    adoptable INTEGER NOT NULL DEFAULT 0,   -- look at Astria before paying: 2 older than this state, 1 than this run
    problem TEXT NOT NULL DEFAULT '',       -- why it cannot be used as it is
    settings TEXT NOT NULL DEFAULT '{}',    -- a folder's merged tune.toml, JSON
    note TEXT NOT NULL DEFAULT '',          -- hash of the error file that lies beside it
    missing_since REAL,
    created_at REAL NOT NULL,
    updated_at REAL NOT NULL,
    UNIQUE (root, path, kind)
);
CREATE INDEX sources_inode ON sources (kind, inode);
CREATE INDEX sources_missing ON sources (kind, content) WHERE missing_since IS NOT NULL;

CREATE TABLE tunes (
    id INTEGER PRIMARY KEY,
    source_id INTEGER NOT NULL REFERENCES sources (id) ON DELETE CASCADE,
    current INTEGER NOT NULL DEFAULT 1,     -- 0 once `retrain` has made a newer one
    state TEXT NOT NULL,
    reason TEXT NOT NULL DEFAULT '',
    error TEXT NOT NULL DEFAULT '',         -- Astria's own words
    remote_id INTEGER,
    workspace TEXT NOT NULL DEFAULT '',
    title TEXT NOT NULL DEFAULT '',
    class_noun TEXT NOT NULL DEFAULT '',
    model_type TEXT NOT NULL DEFAULT '',
    base_tune_id INTEGER,
    params TEXT NOT NULL DEFAULT '{}',      -- form fields as sent, JSON
    content TEXT NOT NULL DEFAULT '',       -- the folder's hash when it was sent
    pictures INTEGER NOT NULL DEFAULT 0,
    captions INTEGER NOT NULL DEFAULT 0,    -- text files sent along, which Astria may count as images
    changed INTEGER NOT NULL DEFAULT 0,     -- the folder has changed since
    patched TEXT NOT NULL DEFAULT '{}',     -- what Astria was last told by PATCH or POST, JSON
    patch TEXT NOT NULL DEFAULT '{}',       -- what it is still to be told, JSON
    watermark INTEGER,                      -- highest tune id seen before the first attempt
    attempt INTEGER NOT NULL DEFAULT 0,
    looks INTEGER NOT NULL DEFAULT 0,       -- clean looks that did not find an unsure request
    lost INTEGER NOT NULL DEFAULT 0,        -- it was unsure once: Astria may have heard of it
    absent INTEGER NOT NULL DEFAULT 0,      -- times in a row that Astria did not show it although it should
    next_at REAL NOT NULL DEFAULT 0,
    armed_at REAL,
    bound_at REAL,
    ready_at REAL,
    expires_at REAL,
    cost_mc INTEGER NOT NULL DEFAULT 0,     -- thousandths of a US cent
    url TEXT NOT NULL DEFAULT '',
    created_at REAL NOT NULL,
    updated_at REAL NOT NULL
);
CREATE INDEX tunes_source ON tunes (source_id, current);
CREATE INDEX tunes_state ON tunes (state, next_at);
CREATE INDEX tunes_remote ON tunes (remote_id) WHERE remote_id IS NOT NULL;

CREATE TABLE prompts (
    id INTEGER PRIMARY KEY,
    source_id INTEGER NOT NULL REFERENCES sources (id) ON DELETE CASCADE,
    subject_id INTEGER REFERENCES sources (id) ON DELETE SET NULL,  -- the image folder that <1> means
    fingerprint TEXT NOT NULL DEFAULT '',   -- what the file itself asks for in this request
    variant TEXT NOT NULL DEFAULT '{}',     -- matrix: name -> value, JSON
    run INTEGER NOT NULL DEFAULT 1,         -- `rerun` counts up
    current INTEGER NOT NULL DEFAULT 1,     -- 0 once the file asks for something else
    state TEXT NOT NULL,
    reason TEXT NOT NULL DEFAULT '',
    error TEXT NOT NULL DEFAULT '',
    remote_id INTEGER,
    workspace TEXT NOT NULL DEFAULT '',
    request TEXT NOT NULL DEFAULT '{}',     -- what the file asks for, before references are resolved, JSON
    script TEXT NOT NULL DEFAULT '',        -- hash of the file's whole text, in `texts`
    target INTEGER,                         -- the tune id that it is sent to
    model TEXT NOT NULL DEFAULT '',         -- the name by which the target was chosen
    text TEXT NOT NULL DEFAULT '',          -- as sent
    params TEXT NOT NULL DEFAULT '{}',      -- form fields as sent, JSON
    files TEXT NOT NULL DEFAULT '[]',       -- media sent along, JSON
    seed INTEGER,
    complete INTEGER NOT NULL DEFAULT 0,    -- every picture that will come is listed
    num_images INTEGER NOT NULL DEFAULT 1,
    watermark INTEGER,
    attempt INTEGER NOT NULL DEFAULT 0,
    looks INTEGER NOT NULL DEFAULT 0,
    lost INTEGER NOT NULL DEFAULT 0,
    absent INTEGER NOT NULL DEFAULT 0,
    sought INTEGER NOT NULL DEFAULT 0,      -- was looked for among what the account had before this state was
    next_at REAL NOT NULL DEFAULT 0,
    folder TEXT NOT NULL DEFAULT '',        -- where its pictures go, relative to the output
    output TEXT NOT NULL DEFAULT '',        -- the output folder, absolute
    stem TEXT NOT NULL DEFAULT '',
    approved INTEGER NOT NULL DEFAULT 0,    -- a person let it go past `hold_above`
    armed_at REAL,
    bound_at REAL,
    pictured_at REAL,
    done_at REAL,
    cost_mc INTEGER NOT NULL DEFAULT 0,
    url TEXT NOT NULL DEFAULT '',
    answer TEXT NOT NULL DEFAULT '{}',      -- what Astria last said of it, without its pictures' addresses, JSON
    created_at REAL NOT NULL,
    updated_at REAL NOT NULL
);
CREATE INDEX prompts_source ON prompts (source_id, fingerprint);
CREATE INDEX prompts_state ON prompts (state, next_at);
CREATE UNIQUE INDEX prompts_remote ON prompts (remote_id) WHERE remote_id IS NOT NULL;

CREATE TABLE images (
    id INTEGER PRIMARY KEY,
    prompt_id INTEGER NOT NULL REFERENCES prompts (id) ON DELETE CASCADE,
    n INTEGER NOT NULL,
    state TEXT NOT NULL DEFAULT 'wanted' CHECK (state IN ('wanted', 'saved', 'gone')),
    url TEXT NOT NULL,
    identity TEXT NOT NULL,                 -- the URL without its signature: what makes it the same picture
    file TEXT NOT NULL DEFAULT '',          -- relative to the prompt's output
    size INTEGER NOT NULL DEFAULT 0,
    sha256 TEXT NOT NULL DEFAULT '',
    etag TEXT NOT NULL DEFAULT '',
    reason TEXT NOT NULL DEFAULT '',
    attempt INTEGER NOT NULL DEFAULT 0,
    next_at REAL NOT NULL DEFAULT 0,
    deadline REAL NOT NULL DEFAULT 0,       -- when Astria deletes it
    saved_at REAL,
    UNIQUE (prompt_id, n)
);
CREATE INDEX images_wanted ON images (deadline) WHERE state = 'wanted';
CREATE INDEX images_next ON images (next_at) WHERE state = 'wanted';

CREATE TABLE texts (hash TEXT PRIMARY KEY, text TEXT NOT NULL) WITHOUT ROWID;

CREATE TABLE waits (
    prompt_id INTEGER NOT NULL REFERENCES prompts (id) ON DELETE CASCADE,
    needs TEXT NOT NULL,                    -- the name as written, folded
    PRIMARY KEY (prompt_id, needs)
) WITHOUT ROWID;
CREATE INDEX waits_needs ON waits (needs);

CREATE TABLE events (
    id INTEGER PRIMARY KEY,
    at REAL NOT NULL,
    source_id INTEGER,
    kind TEXT NOT NULL,                     -- tune, prompt, source, image, daemon
    item_id INTEGER,
    event TEXT NOT NULL,
    detail TEXT NOT NULL DEFAULT ''
);
CREATE INDEX events_source ON events (source_id);
"""
