"""What a person can ask for besides saving files: changes of the journal alone, so that they work with or without a daemon.

A running daemon carries them out in its own thread (they come over the control socket); without one, the command line takes
the daemon's lock and does the same.
"""

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from astria_sync import pulljob
from astria_sync.approving import let_go, nothing_failed, orders_of, retry_packs
from astria_sync.core.lifecycle import Event, PromptState, TuneState
from astria_sync.core.model import Prompt, Source, Tune
from astria_sync.errors import UsageError
from astria_sync.journal import Journal
from astria_sync.late import give_up
from astria_sync.stale import FAILED_PROMPTS
from astria_sync.wording import things

_AGAIN: Final = "to be tried again"
_COPIED: Final = (
    "subject_id",
    "fingerprint",
    "variant",
    "request",
    "script",
    "folder",
    "output",
    "stem",
    "num_images",
    "model",
)


@dataclass(frozen=True, kw_only=True)
class Commands:
    """Carries out one command; `roots` are the watched ones. Raises UsageError with a sentence for what makes no sense."""

    journal: Journal
    roots: Sequence[str]
    wall: float

    def __call__(self, name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Do `name`; the answer has `count` (things changed) and `message` (one sentence)."""
        known: Mapping[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
            "retry": self._retry,
            "rerun": self._rerun,
            "retrain": self._retrain,
            "approve": self._approve,
            "repair": self._repair,
            "pull": lambda asked: pulljob.ask(self.journal, asked, self.wall),
            "pause": lambda _: self._pause(paused=True),
            "resume": lambda _: self._pause(paused=False),
        }
        if name not in known:
            raise UsageError(f"There is no command {name}.")
        with self.journal.transaction():
            return known[name](arguments)

    # Which files are meant

    def _sources(self, paths: Sequence[str]) -> list[Source]:
        """The sources at or below these paths; everything if there are none. Each path must mean something."""
        if not paths:
            return self.journal.sources()
        found: dict[int, Source] = {}
        problems: list[str] = []
        for path in paths:
            here = self._at(path)
            if not here:
                problems.append(f"{path} is nothing that astria-sync knows of; see: astria-sync status --all")
            found |= {source.id: source for source in here}
        if problems:
            raise UsageError(*problems)
        return list(found.values())

    def _at(self, path: str) -> list[Source]:
        whole = os.path.abspath(os.path.expanduser(path))
        real = os.path.realpath(whole)
        for root in {source.root for source in self.journal.sources()} | set(self.roots):
            for one in (whole, real):
                if one == root or one.startswith(root.rstrip("/") + "/"):
                    relative = os.path.relpath(one, root)
                    below = "path = ? OR path GLOB ?" if relative != "." else "? = '.' OR ?"
                    pattern = _glob(relative) + "/*"
                    if rows := self.journal.sources(f"root = ? AND ({below})", [root, relative, pattern]):
                        return rows
        return []

    # The commands

    def _retry(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """What failed goes again, with the files as they are now."""
        sources = self._sources(arguments.get("paths", ()))
        count = sum(self._retry_source(source) for source in sources)
        resting = self.journal.get("gate:balance") is not None
        self.journal.put("gate:balance", None)
        self.journal.put("balance_at_402", None)
        for key in [row["key"] for row in self.journal.rows("SELECT key FROM meta WHERE key GLOB 'mock:*'")]:
            self.journal.put(key, None)
        if not count and not resting:
            return {"count": 0, "message": nothing_failed(self.journal, sources)}
        message = f"{things(count)} will be tried again." if count else "What rests for the balance goes on."
        return {"count": count, "message": message}

    def _retry_source(self, source: Source) -> int:
        """How many things of one source go again."""
        count = sum(self._retry_prompt(*one) for one in orders_of(self.journal, source))
        if source.missing_since is not None:  # there is nothing to make a tune of
            return count
        count += retry_packs(self.journal, source, self.wall)
        for tune in self.journal.tunes("source_id = ? AND state = 'failed' AND current = 1", [source.id]):
            count += 1
            if tune.remote_id is not None:
                self._new_tune(source, tune, _AGAIN)
                continue
            forgotten = {"armed_at": None, "watermark": None}
            give_up(self.journal, tune, self.wall)
            self.journal.move_tune(
                tune, Event.RETRY, self.wall, reason=_AGAIN, error="", attempt=0, lost=False, **forgotten
            )
            adoptable = source.adoptable if tune.armed_at is None else 0
            self.journal.change("sources", source.id, stamp="", adoptable=adoptable)
        if source.problem:
            self.journal.change("sources", source.id, stamp="")
        return count or bool(source.problem)

    def _retry_prompt(self, prompt: Prompt, source: Source) -> bool:
        if prompt.state is PromptState.DOWNLOADING:
            late = self.journal.images("prompt_id = ? AND state = 'wanted' AND attempt > 0", [prompt.id])
            for image in late:
                self.journal.change("images", image.id, next_at=0, attempt=0)
            return bool(late)
        # A pack is run once; who wants one of its prompts again writes it into a .prompt file.
        if source.missing_since is not None or prompt.spare_of is not None or prompt.pack_run is not None:
            return False
        if prompt.state is PromptState.DELETED or prompt.remote_id is not None:
            # Astria could not make it, or lost it before its pictures were here: it stays on record, and is asked for anew.
            lost = self.journal.prompts(f"id = ? AND id IN ({FAILED_PROMPTS} AND o.id = ?)", [prompt.id] * 2)
            for one in lost:
                self._once_more(one)
            return bool(lost)
        if prompt.state is not PromptState.FAILED:
            return False
        # What it refused was never made: the same row goes again.
        forgotten = {"armed_at": None, "watermark": None, "seed": None}
        if not prompt.fingerprint:  # the file itself could not be read: it is taken up again
            self.journal.change("sources", source.id, stamp="")
            return True
        if prompt.armed_at is not None:  # the one that failed must not be found and taken again
            self.journal.change("sources", source.id, adoptable=0)
        give_up(self.journal, prompt, self.wall)
        anew = {"attempt": 0, "next_at": 0, "lost": False, **forgotten}
        self.journal.move_prompt(prompt, Event.RETRY, self.wall, reason=_AGAIN, error="", **anew)
        self.journal.change("prompts", prompt.id, approved=True)
        return True

    def _rerun(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """One more generation of a prompt file, or of each in a folder."""
        paths = arguments.get("paths", ())
        if not paths:
            raise UsageError("Say which prompt: astria-sync rerun PATH.")
        count = 0
        for source in self._sources(paths):
            if source.kind != "prompt" or source.missing_since is not None:
                continue
            if _has_changed(source):
                raise UsageError(
                    f"{source.path} has changed since it was last read; what it asks for now is ordered by itself."
                )
            newest = self.journal.value(
                "SELECT script FROM prompts WHERE source_id = ? AND spare_of IS NULL "
                "ORDER BY current DESC, created_at DESC, id DESC",
                [source.id],
            )
            latest = self.journal.prompts(
                "source_id = ? AND script = ? AND id IN "
                "(SELECT max(id) FROM prompts WHERE spare_of IS NULL GROUP BY source_id, fingerprint)",
                [source.id, newest],
            )
            for prompt in latest:
                if prompt.armed_at is None:
                    raise UsageError(
                        f"{source.path} is {prompt.state} and was not sent yet; there is nothing to do again."
                    )
                self._once_more(prompt)
                count += 1
        if not count:
            raise UsageError(f"There is no prompt at {', '.join(paths)}.")
        return {"count": count, "message": f"{things(count, 'generation')} more ordered."}

    def _once_more(self, prompt: Prompt) -> None:
        top = self.journal.value(
            "SELECT max(run) FROM prompts WHERE source_id = ? AND fingerprint = ?",
            [prompt.source_id, prompt.fingerprint],
        )
        row = self.journal.add(
            "prompts",
            source_id=prompt.source_id,
            state=PromptState.WAITING,
            reason=_AGAIN,
            run=top + 1,
            approved=True,
            created_at=self.wall,
            updated_at=self.wall,
            **{name: getattr(prompt, name) for name in _COPIED},
        )
        self.journal.record(self.wall, "prompt", row, prompt.source_id, "rerun")

    def _retrain(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """A new tune of a folder as it is now; later prompts use it."""
        paths = arguments.get("paths", ())
        if not paths:
            raise UsageError("Say which folder: astria-sync retrain FOLDER.")
        count = 0
        for path in paths:
            exact = os.path.abspath(os.path.expanduser(path))
            folders = [
                s
                for s in self._at(path)
                if s.kind == "folder" and str(s.location) in {exact, os.path.realpath(exact)}
            ]
            tune = self.journal.current_tune(folders[0].id) if folders else None
            if tune is None:
                raise UsageError(f"{path} is no image folder that has a tune; see: astria-sync status --all")
            if tune.state in {TuneState.SETTLING, TuneState.QUEUED, TuneState.UPLOADING, TuneState.UNSURE}:
                raise UsageError(f"The tune of {path} is {tune.state}; wait until that is over.")
            if (named := folders[0].settings.get("id")) is not None:
                raise UsageError(
                    f"{path} uses tune {named} by `id` in tune.toml; take that out to make a new one."
                )
            self._new_tune(folders[0], tune, "a new tune was asked for")
            count += 1
        return {"count": count, "message": f"{things(count, 'new tune')} ordered."}

    def _new_tune(self, source: Source, old: Tune, reason: str) -> None:
        """Another tune of the folder, of its pictures as they are; the old one stays on record."""
        self.journal.change("tunes", old.id, current=False)
        row = self.journal.add(
            "tunes",
            source_id=source.id,
            state=TuneState.SETTLING,
            reason=reason,
            created_at=self.wall,
            updated_at=self.wall,
        )
        self.journal.record(self.wall, "tune", row, source.id, "retrain")
        self.journal.change("sources", source.id, stamp="", adoptable=0)

    def _approve(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Let go what is held back."""
        return let_go(self.journal, self._sources(arguments.get("paths", ())), self.wall)

    def _repair(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Fetch pictures again that are recorded but not there as they were saved (`verify --repair`)."""
        count = 0
        for image_id in arguments.get("images", ()):
            for image in self.journal.images("id = ? AND state = 'saved'", [image_id]):
                again = {"state": "wanted", "attempt": 0, "next_at": 0, "etag": "", "kept": 0}
                self.journal.change("images", image.id, **again)
                prompt = self.journal.prompt(image.prompt_id)
                if prompt.state is PromptState.DONE:
                    self.journal.move_prompt(prompt, Event.PICTURED, self.wall, reason="to be fetched again")
                count += 1
        return {"count": count, "message": f"{things(count, 'picture')} to be fetched again."}

    def _pause(self, *, paused: bool) -> dict[str, Any]:
        before = bool(self.journal.get("paused", False))
        self.journal.put("paused", paused or None)
        if before != paused:
            self.journal.record(self.wall, "daemon", None, None, "paused" if paused else "resumed")
        message = "Paused: nothing new is sent; downloads go on." if paused else "Resumed."
        return {"count": int(before != paused), "message": message}


def _has_changed(source: Source) -> bool:
    """Whether the file asks for something that was not read yet: one more of the version before is not what is meant."""
    try:
        with source.location.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() != source.content
    except OSError:
        return False  # it is gone, or a moment ago was


def _glob(path: str) -> str:
    """A path as a GLOB pattern that means only itself."""
    return "".join(f"[{c}]" if c in "*?[" else c for c in path)


def absolute(path: str) -> str:
    """A path as the daemon, which runs elsewhere, must be told it."""
    return str(Path(path).expanduser().absolute())
