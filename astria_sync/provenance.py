"""What stands in a sidecar: everything needed to know where pictures came from and to make them again (docs/guide.md)."""

import json
from datetime import UTC, datetime
from typing import Any

import astria_sync
from astria_sync.core.account import FOLDER, fingerprint
from astria_sync.core.expiry import tunes_of
from astria_sync.core.model import Image, Prompt, Source
from astria_sync.each import wish_of
from astria_sync.journal import Journal
from astria_sync.mocks import MARK


def describe(journal: Journal, prompt: Prompt, images: list[Image]) -> dict[str, Any]:
    """Everything needed to know where the pictures came from and to make them again (docs/guide.md, "Sidecars").

    Of what no file of ours asked for (pulling.py) the times are Astria's own; adoption knows it by its `source`.
    """
    pulled = prompt.pulled
    source = None if pulled else journal.source(prompt.source_id)
    return {
        "version": 1,  # of this record's form
        "made_by": f"astria-sync {astria_sync.__version__}",  # the program that wrote it
        "id": prompt.remote_id,  # Astria's id of the prompt
        "page": prompt.url,  # where Astria shows it
        # true if no file of yours asked for it (`pull`); else it is not there
        **({"pulled": True} if pulled else {}),
        # the id of the prompt that it was made besides, if Astria made one order twice
        "duplicate_of": journal.value("SELECT remote_id FROM prompts WHERE id = ?", [prompt.spare_of]),
        "rehearsal": MARK in prompt.variant,  # true if it was made on a free mock tune
        # what asked for it: below; of what was pulled the output and `_account`
        "source": _asked_for(journal, prompt, source) if source else _of_account(prompt),
        "text": prompt.text,  # the words as they were sent, references resolved
        "tune_id": prompt.target,  # the tune or model that it was sent to
        "model": prompt.model or None,  # that model's name, if it has one
        # the workspace it was sent to; null for the personal scope
        "workspace_id": prompt.workspace or None,
        "seed": prompt.seed,  # with which the same can be made again
        "parameters": {**prompt.params},  # every other parameter as it was sent
        # of a pack's prompt: `id`, `slug`, `template` (the id of the pack's own prompt), `order_id`; else null
        **({} if pulled else {"pack": _pack(journal, prompt)}),
        # files that went along: for which `parameter`, and their `path`
        "files": [{"parameter": name, "path": path} for name, path in prompt.files],
        # the image folders whose tunes it used: `id`, `folder`, `content` (a hash of the pictures)
        "tunes": _tunes(journal, prompt, source.root) if source else [],
        "cost_mc": prompt.cost_mc,  # thousandths of a US cent, for all its pictures
        "cost_usd": prompt.cost_mc / 100_000,  # the same in US dollars
        # ISO 8601, UTC; null if another program sent it
        "sent_at": None if pulled else _iso(prompt.armed_at),
        # when Astria answered; of what was pulled, when it was made
        "accepted_at": prompt.answer.get("created_at") if pulled else _iso(prompt.bound_at),
        # when its pictures were seen; of what was pulled, Astria's own time
        "finished_at": prompt.answer.get("trained_at") if pulled else _iso(prompt.pictured_at),
        # when the last of its pictures was on disk
        "saved_at": _iso(max((image.saved_at or 0 for image in images), default=None)),
        "answer": dict(prompt.answer),  # what Astria said of it, without the pictures' addresses
        # of each picture `n`, `file`, `size` in bytes, `sha256`, `url` without its signature
        "images": _images(images),
    }


def _asked_for(journal: Journal, prompt: Prompt, source: Source) -> dict[str, Any]:
    return {
        "root": source.root,  # the watched folder
        "path": source.path,  # below it
        "sha256": prompt.script,  # of the file's bytes
        # the whole file
        "text": journal.value("SELECT text FROM texts WHERE hash = ?", [prompt.script]) or "",
        "variant": dict(prompt.variant),  # the values of `matrix` in this request
        "run": prompt.run,  # 1; `rerun` counts up
        "fingerprint": wish_of(prompt),  # a hash of what the file asked for, by which it is known again
    }


def _of_account(prompt: Prompt) -> dict[str, Any]:
    return {
        "root": prompt.output,
        "path": FOLDER,
        "sha256": "",
        "text": "",
        "variant": {},
        "run": 1,
        "fingerprint": fingerprint(prompt.remote_id or 0),
    }


def _images(images: list[Image]) -> list[dict[str, Any]]:
    return [
        {"n": one.n, "file": one.file, "size": one.size, "sha256": one.sha256, "url": one.identity}
        for one in images
    ]


def _pack(journal: Journal, prompt: Prompt) -> dict[str, Any] | None:
    """Which pack it is of, so that one that was run is not run again."""
    for run in journal.packs("id = ? AND pack_id IS NOT NULL", [prompt.pack_run]):
        return {"id": run.pack_id, "slug": run.called, "template": prompt.template, "order_id": run.order_id}
    return None


def _tunes(journal: Journal, prompt: Prompt, root: str) -> list[dict[str, Any]]:
    """The image folders of this root whose tunes it used, so that one that Astria has deleted is not bought again."""
    rows = journal.rows(
        "SELECT t.remote_id AS id, s.path AS folder, t.content FROM tunes t JOIN sources s ON s.id = t.source_id "
        "WHERE s.root = ? AND t.remote_id IN (SELECT value FROM json_each(?)) ORDER BY t.remote_id",
        [root, json.dumps(list(tunes_of(prompt.text, prompt.target)))],
    )
    return [dict(row) for row in rows]


def _iso(seconds: float | None) -> str | None:
    return (
        None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    )
