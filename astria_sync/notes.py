"""Error files: `NAME.prompt.error.txt` beside a prompt, `tune.error.txt` in a folder; gone as soon as the trouble is."""

import hashlib
import json
import os
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from astria_sync.context import Context
from astria_sync.core.lifecycle import TuneState
from astria_sync.core.model import Prompt, Source, Tune
from astria_sync.core.plain import advised, visible_lines
from astria_sync.core.pseudoroots import is_account
from astria_sync.disk import leads_out
from astria_sync.scan import TUNE_ERROR
from astria_sync.stale import FAILED_PROMPTS
from astria_sync.wording import of_variant

_TRIES_AGAIN: Final = "astria-sync tries again as soon as the file changes, or on: astria-sync retry {path}"
_RETRAIN: Final = "A new one is made of the pictures here on: astria-sync retrain {path}\nPrompts that need it wait, and go on with the new one."
_NAMED: Final = (
    "Name another by `id` in tune.toml; or take `id` out, and a tune of the pictures here is made on retrain."
)
_FAILED: Final = (
    "SELECT source_id FROM prompts WHERE state IN ('failed', 'deleted') "
    "UNION ALL SELECT source_id FROM tunes WHERE state IN ('failed', 'deleted') AND current = 1 "
    "UNION ALL SELECT source_id FROM packs WHERE state = 'failed'"
)
_MAY_TELL: Final = (
    "(note != '' OR problem != '' OR kind = 'folder' "
    "OR EXISTS (SELECT 1 FROM prompts WHERE source_id = sources.id AND state IN ('failed', 'deleted')))"
)
_SHOWN: Final = 20  # failed requests of one matrix that are spelled out


@dataclass(kw_only=True)
class Notes:
    """Brings the error files in line with the rows that changed in this step."""

    ctx: Context
    _last_event: int | None = field(default=None, init=False)  # None: nothing is known of what was told
    _written: set[int] = field(default_factory=set, init=False)  # sources whose file was touched in this step
    _doubtful: set[int] = field(default_factory=set, init=False)  # … in a step that was rolled back
    _late: set[int] = field(default_factory=set, init=False)  # sources whose file could not be written
    _looked: set[int] = field(
        default_factory=set, init=False
    )  # sources whose file was looked for in this run

    def plan(self) -> None:
        """Look at the sources that something happened to since the last time; at first at all with something to tell."""
        self._written.clear()
        newest = self.ctx.journal.value("SELECT max(id) FROM events") or 0
        if newest == self._last_event:
            return
        if self._last_event is None:
            sources = self.ctx.journal.sources(
                f"note != '' OR problem != '' OR id IN ({_FAILED}) OR id IN ({','.join('?' * len(self._doubtful))})",
                [*self._doubtful],
            )
        else:
            sources = self._happened(self._last_event)
        self._last_event = newest
        for source in sources:
            self.update(source)
        self._doubtful.clear()

    def _happened(self, since: int) -> list[Source]:
        """The sources of these events of which an error file may be to be written or removed: for most there is nothing to tell,
        and their file was looked for already.
        """
        rows = self.ctx.journal.rows("SELECT source_id FROM events WHERE id > ?", [since])
        ids = {row["source_id"] for row in rows} - {None}
        if not ids:
            return []
        looked = (ids & self._looked) - self._doubtful
        values = [json.dumps([*(ids - looked)]), json.dumps([*looked])]
        return self.ctx.journal.sources(
            f"id IN (SELECT value FROM json_each(?)) OR (id IN (SELECT value FROM json_each(?)) AND {_MAY_TELL})",
            values,
        )

    def again(self) -> None:
        """Try once more where a file could not be written or removed: its disk may be full or away."""
        late, self._late = self._late, set()
        for source in (
            self.ctx.journal.sources(f"id IN ({','.join('?' * len(late))})", [*late]) if late else ()
        ):
            self.update(source)

    def forget(self) -> None:
        """A step was rolled back: the files may be ahead of the rows."""
        self._last_event = None
        self._looked.clear()
        self._doubtful |= self._written

    def update(self, source: Source) -> None:
        """Write, rewrite or remove one source's error file."""
        if is_account(source.root):
            return  # there is no file
        text = "" if source.missing_since is not None else self._text(source)
        text = advised(text, self.ctx.settings.itself)
        digest = hashlib.blake2b(text.encode(), digest_size=8).hexdigest() if text else ""
        path = error_file(source)
        if source.id not in self._looked:
            # A crash between the file and the commit leaves one that the row does not know, or none that it knows; the row itself
            # may be new again, and its file well by now.
            self._looked.add(source.id)
            if os.path.lexists(path) != bool(source.note):
                self._doubtful.add(source.id)
        if digest == source.note and source.id not in self._doubtful:
            return
        if not os.path.lexists(source.location):
            self._late.add(
                source.id
            )  # renamed a moment ago, or its disk is away: writing would make the folder anew
            return
        if leads_out(path.parent, source.root):
            return  # its folder has become a link to elsewhere
        try:
            if text:
                self.ctx.write_file(path, text.encode())
            else:
                self.ctx.remove_file(path)
        except OSError as error:
            self.ctx.say("warning", f"{path} cannot be written ({error.strerror})")
            self._late.add(source.id)
            return
        self._written.add(source.id)
        self.ctx.journal.change("sources", source.id, note=digest)

    def _text(self, source: Source) -> str:
        failures = [*self._tune(source), *self._packs(source)] if source.kind == "folder" else []
        failures += self._prompts(source)  # of a folder: those of its packs
        failures = list(dict.fromkeys(failures))
        if source.problem:
            failures = [source.problem]
        if not failures:
            return ""
        shown = source.path if source.path != "." else source.root
        parts = [f"{shown} could not be used.", *failures[:_SHOWN]]
        if len(failures) > _SHOWN:
            parts.append(f"… and {len(failures) - _SHOWN} more; see: astria-sync status {_quoted(source)}")
        if not self._lost_tune(source) or len(failures) > 1:
            parts.append(_TRIES_AGAIN.format(path=_quoted(source)))
        return visible_lines("\n\n".join(parts)) + "\n"

    def _tune(self, source: Source) -> list[str]:
        if tune := self._lost_tune(source):
            then = _NAMED if "id" in tune.params else _RETRAIN.format(path=_quoted(source))
            return [f"{tune.reason.rstrip('.')}.\n{then}"]
        tune = self.ctx.journal.current_tune(source.id)
        return [_told(tune.reason, tune.error)] if tune and tune.state is TuneState.FAILED else []

    def _lost_tune(self, source: Source) -> Tune | None:
        tune = self.ctx.journal.current_tune(source.id) if source.kind == "folder" else None
        return tune if tune and tune.state is TuneState.DELETED else None

    def _packs(self, source: Source) -> list[str]:
        failed = "source_id = ? AND state = 'failed' AND current = 1 ORDER BY id"
        return [_told(pack.reason, pack.error) for pack in self.ctx.journal.packs(failed, [source.id])]

    def _prompts(self, source: Source) -> list[str]:
        failed = f"id IN ({FAILED_PROMPTS} AND o.source_id = ?) ORDER BY id"
        rows = self.ctx.journal.prompts(failed, [source.id])
        return [_of_pack(row, _told(row.reason, row.error, row)) for row in rows]


def error_file(source: Source) -> Path:
    """Where a source's error file lies."""
    return error_place(source.kind, source.location)


def error_place(kind: str, location: Path) -> Path:
    """Where the error file of a folder or prompt file at `location` lies."""
    return location / TUNE_ERROR if kind == "folder" else location.with_name(location.name + ".error.txt")


def _told(reason: str, error: str, row: Prompt | None = None) -> str:
    variant = of_variant(row.variant) if row else ""
    told = reason + (f":\n{error}" if error else "")
    return f"[{variant}] {told}" if variant else told


def _of_pack(row: Prompt, told: str) -> str:
    """A pack's prompt has no file: its words say which it is."""
    return told if row.pack_run is None else f"{row.stem}, prompt {row.remote_id}: {told}\n{row.text}"


def _quoted(source: Source) -> str:
    """As it can be pasted into a shell, whatever the file is called."""
    return shlex.quote(str(source.location))
