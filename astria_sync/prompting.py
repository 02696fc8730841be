"""From prompt files to orders for pictures: which requests a file asks for, and whether each can be sent now."""

import hashlib
import os
import stat
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from astria_sync import parameters, promptfile, scan
from astria_sync.context import Context
from astria_sync.core.lifecycle import UNSENT_PROMPTS, Event, PromptState
from astria_sync.core.model import FileSight, Prompt, Source
from astria_sync.core.naming import output_folder, safe_component
from astria_sync.core.references import Index, Subject, resolve
from astria_sync.errors import FileProblem
from astria_sync.folders import TuneFiles, parent
from astria_sync.intake import Intake
from astria_sync.promptfile import PromptFile, PromptRequest
from astria_sync.tunefile import TuneSettings
from astria_sync.validate import nearest

# Rows of one burst: a file dropped with hundreds of others must not slip out before the others are seen.
BURST_SECONDS = 600.0
_HERE = "source_id IN (SELECT id FROM sources WHERE missing_since IS NULL)"
HELD = "more than {limit} new prompts at one go; `astria-sync approve` lets them go"


@dataclass(frozen=True, kw_only=True)
class Ready:
    """A request that can go out as it is."""

    target: int
    model: str
    text: str
    params: Mapping[str, Any]
    files: tuple[tuple[str, str], ...]  # form parameter, path
    num_images: int


@dataclass(frozen=True, kw_only=True)
class Blocked:
    """One that cannot: it waits for folders (`needs`), or the person must change something (`problem`)."""

    needs: tuple[str, ...] = ()
    reason: str = ""
    problem: str = ""


@dataclass(kw_only=True)
class Prompting:
    """Owns the rows of `prompts` until they are sent."""

    ctx: Context
    files: TuneFiles
    intake: Intake
    _index: Index | None = field(default=None, init=False)
    _changed: set[str] = field(default_factory=set, init=False)  # folded names whose folder or tune changed

    _again: bool = field(default=False, init=False)
    _waiting: bool = field(
        default=True, init=False
    )  # look at everything that waits, once (at the start, after commands)

    # Taking up a file

    def take_prompt(self, source: Source, sight: FileSight) -> bool:
        """A prompt file stands still: read it and bring its orders in line. False if it changed under our hands."""
        read = _read_still(source.location, sight)
        if read is None:
            return False
        content = hashlib.sha256(read).hexdigest()
        if not source.content and (
            old := self.intake.moved_from(source, content, inode=sight.inode, mtime_ns=sight.mtime_ns)
        ):
            source = old
        edited = source.content not in {"", content}  # what it asks for now was never asked for before
        self.ctx.journal.change(
            "sources",
            source.id,
            content=content,
            inode=sight.inode,
            mtime_ns=sight.mtime_ns,
            problem="",
            adoptable=source.adoptable and not edited,
        )
        self.intake.settled(source, sight.stamp)
        try:
            parsed = promptfile.parse(read, name=source.name)
        except FileProblem as error:
            self._refuse(source, error.problems)
        else:
            self._order(self.ctx.journal.source(source.id), parsed, read, content)
        return True

    def _refuse(self, source: Source, problems: tuple[str, ...]) -> None:
        """The file says nothing that could be sent; one failed row shows it."""
        journal, wall = self.ctx.journal, self.ctx.wall
        journal.change("sources", source.id, problem="\n".join(problems), updated_at=wall)
        unsent = self._unsent(source)
        for extra in unsent[1:]:
            journal.drop("prompts", extra.id)
        row = unsent[0] if unsent else journal.prompt(self.intake.add_prompt_row(source.id))
        journal.set_waits(row.id, ())
        journal.change("prompts", row.id, fingerprint="")
        journal.move_prompt(row, Event.INVALID, wall, reason=problems[0], error="")

    def _unsent(self, source: Source) -> list[Prompt]:
        rows = self.ctx.journal.prompts("source_id = ? AND armed_at IS NULL ORDER BY id", [source.id])
        return [row for row in rows if row.state in UNSENT_PROMPTS or row.state is PromptState.FAILED]

    def _order(self, source: Source, parsed: PromptFile, data: bytes, script: str) -> None:
        """One row for each request that the file asks for and has none; rows of older versions, if unsent, go."""
        journal = self.ctx.journal
        wanted = {request.fingerprint: request for request in parsed.requests}
        for row in self._unsent(source):
            if row.fingerprint not in wanted:
                journal.drop("prompts", row.id)
        have = {
            row[0] for row in journal.rows("SELECT fingerprint FROM prompts WHERE source_id = ?", [source.id])
        }
        missing = [request for fingerprint, request in wanted.items() if fingerprint not in have]
        if missing:
            journal.keep_text(script, data.decode("utf-8-sig"))
        for request in missing:
            row_id = self.intake.add_prompt_row(source.id)
            self._fill(row_id, source, request, script)
            self.evaluate(journal.prompt(row_id))

    def _fill(self, row: int, source: Source, request: PromptRequest, script: str) -> None:
        folder = parent(source.path)
        stem = Path(source.path).stem
        self.ctx.journal.change(
            "prompts",
            row,
            fingerprint=request.fingerprint,
            variant=dict(request.variant),
            request={
                key: value for key, value in asdict(request).items() if key not in {"fingerprint", "variant"}
            },
            script=script,
            folder=str(output_folder(folder, stem)),
            output=str(self.ctx.watches[source.root].output),
            stem=safe_component(stem),
        )

    # Can it go?

    def evaluate(self, prompt: Prompt) -> Ready | None:
        """Decide where a row that is not sent stands now: queued, waiting with a reason, or failed with one."""
        journal, wall = self.ctx.journal, self.ctx.wall
        found = self.judge(prompt)
        if isinstance(found, Ready):
            journal.set_waits(prompt.id, ())
            if prompt.state is not PromptState.QUEUED:
                journal.move_prompt(
                    prompt,
                    Event.SETTLED,
                    wall,
                    reason="",
                    error="",
                    num_images=found.num_images,
                    target=found.target,
                    model=found.model,
                )
            return found
        if found.problem:
            journal.set_waits(prompt.id, ())
            if prompt.state is not PromptState.FAILED or prompt.reason != found.problem:
                journal.move_prompt(prompt, Event.INVALID, wall, reason=found.problem, error="")
            return None
        journal.set_waits(prompt.id, {_fold_last(need) for need in found.needs})
        if prompt.state is not PromptState.WAITING or prompt.reason != found.reason:
            journal.move_prompt(prompt, Event.WAITS, wall, reason=found.reason)
        return None

    def judge(self, prompt: Prompt) -> Ready | Blocked:
        """The request as it would be sent now, or what stands in its way. Changes nothing."""
        source = self.ctx.journal.source(prompt.source_id)
        request = PromptRequest(fingerprint=prompt.fingerprint, variant=prompt.variant, **prompt.request)
        try:
            settings = self.files.merged(source.root, parent(source.path))
        except FileProblem as error:
            return Blocked(problem=error.problems[0])
        subject = self._subject(source)
        target = self._target(request, settings, subject)
        if isinstance(target, Blocked):
            return target
        target_id, model, needed = target
        resolution = resolve(request.text, subject=subject, index=self.index(), extra_needs=needed)
        if resolution.problems:
            return Blocked(problem=resolution.problems[0])
        asked = parameters.overlay(settings.prompt, {**request.params, **request.files})
        text = _text_to_check(request.text, resolution.text, subject)
        if problems := parameters.limits(asked, text, model_name=model):
            return Blocked(problem=problems[0])
        plain, media = parameters.split_files(asked)
        files: list[tuple[str, str]] = []
        for name, written in ((name, path) for name, paths in media.items() for path in paths):
            found = self._media(source, name, written)
            if isinstance(found, Blocked):
                return found
            files.append((name, found))
        if resolution.text is None:
            return Blocked(needs=resolution.waits, reason="waits for " + ", ".join(resolution.reasons))
        if target_id is None:
            return Blocked(needs=(subject.name if subject else "",), reason="its tune is not there yet")
        return Ready(
            target=target_id,
            model=model,
            text=resolution.text,
            params={**plain, **request.extra},
            files=tuple(files),
            num_images=int(plain.get("num_images") or 1),
        )

    def _subject(self, source: Source) -> Subject | None:
        """The image folder that the prompt lies in."""
        folder = self.ctx.journal.source_at(source.root, parent(source.path), "folder")
        if folder is None or folder.missing_since is not None:
            return None
        return self._as_subject(folder) if folder.is_image_folder or not folder.stamp else None

    def _target(
        self, request: PromptRequest, settings: TuneSettings, subject: Subject | None
    ) -> tuple[int | None, str, tuple[Subject, ...]] | Blocked:
        """Where it is sent: the tune id, the model's name for the limits, the folders that must be ready for it."""
        models = self.ctx.settings.models
        wanted = request.model or settings.prompt_model
        if wanted is None and subject is not None:
            if not subject.is_reference:
                return subject.tune_id, "", (subject,)
            wanted = str(self._base_of(subject))
        elif wanted is None:
            wanted = models.default
        if (known := models.id_of(wanted)) is not None:
            return known, models.name_of(known) or "", ()
        found = self.index().find(wanted)
        if len(found) > 1:
            places = ", ".join(sorted(one.path for one in found))
            return Blocked(
                problem=f"model: {wanted} fits {len(found)} folders ({places}); say which by its path."
            )
        if not found:
            return Blocked(problem=self._unknown_model(wanted))
        if found[0].is_reference:
            return Blocked(
                problem=f"model: {wanted} is a reference ({found[0].model_type}), not a checkpoint; "
                f"mention it in the text as <{wanted}> and name a model, or none."
            )
        return found[0].tune_id, "", (found[0],)

    def _unknown_model(self, wanted: str) -> str:
        names = sorted({*self.ctx.settings.models.ids, *(one.name for one in self._subjects())})
        near = nearest(wanted, names)
        meant = f"did you mean {near}?" if near else f"known are {', '.join(names[:12])}."
        return f"model: {wanted} is no model's name, no tune id and no image folder; {meant}"

    def _base_of(self, subject: Subject) -> int | str:
        tune = self.ctx.journal.current_tune(subject.key)
        models = self.ctx.settings.models
        base = tune.base_tune_id if tune and tune.base_tune_id else None
        return base if base is not None else models.default

    def _media(self, source: Source, name: str, written: str) -> str | Blocked:
        """A file that goes along: beside the prompt, inside the root, and there."""
        root = os.path.realpath(source.root)
        path = source.location.parent / written
        real = os.path.realpath(path)
        if Path(written).is_absolute() or not real.startswith(root + os.sep):
            return Blocked(
                problem=f"{name}: {written} lies outside the watched folder; put it inside, or give a URL."
            )
        if not os.path.isfile(real):
            return Blocked(
                problem=f"{name}: {written} is not there; put the file beside the prompt, or correct its name."
            )
        return real

    # Folders by name

    def index(self) -> Index:
        """All image folders, for looking names up."""
        if self._index is None:
            self._index = Index(self._subjects())
        return self._index

    def _subjects(self) -> list[Subject]:
        rows = self.ctx.journal.sources(
            "kind = 'folder' AND missing_since IS NULL AND (is_image_folder = 1 OR stamp = '')"
        )
        return [self._as_subject(row) for row in rows]

    def _as_subject(self, folder: Source) -> Subject:
        tune = self.ctx.journal.current_tune(folder.id)
        return Subject(
            key=folder.id,
            root=folder.root,
            path=folder.path,
            tune_id=tune.remote_id if tune else None,
            ready=tune is not None and tune.state == "ready",
            model_type=tune.model_type
            if tune and tune.bound_at
            else folder.settings.get("model_type", "faceid"),
            class_noun=tune.class_noun if tune and tune.bound_at else folder.settings.get("name") or "",
            state=tune.state if tune else "settling",
        )

    def folders_changed(self, *names: str) -> None:
        """A folder appeared, went, or its tune moved on: prompts that wait for it are looked at again."""
        self._index = None
        self._again = True
        self._changed.update(_fold_last(name) for name in names)

    def plan(self) -> None:
        """Look again at what waits for folders that changed, and hold back what is too much at one go."""
        if self._again:
            self._again = False
            self._failed_here()
        if self._waiting and self.ctx.walked >= set(self.ctx.watches):
            self._waiting = False
            for prompt in self.ctx.journal.prompts(f"state = 'waiting' AND {_HERE}"):
                self.evaluate(prompt)
        if self._changed:
            marks = ",".join("?" * len(self._changed))
            changed, self._changed = list(self._changed), set()
            for prompt in self.ctx.journal.prompts(
                f"state = 'waiting' AND id IN (SELECT prompt_id FROM waits WHERE needs IN ({marks}))",
                changed,
            ):
                self.evaluate(prompt)
        self._hold()

    @property
    def restless(self) -> bool:
        """Whether the next plan has something to look at."""
        return self._again or bool(self._changed)

    def look_again(self, *, waiting: bool = False) -> None:
        """A full look: what could not go for a reason on our side may go now (a file that was missing is there)."""
        self._again = True
        self._waiting = self._waiting or waiting

    def _failed_here(self) -> None:
        for prompt in self.ctx.journal.prompts(
            f"armed_at IS NULL AND state = 'failed' AND fingerprint != '' AND {_HERE}"
        ):
            self.evaluate(prompt)

    def _hold(self) -> None:
        """`hold_above`: an unpacked archive waits for a person."""
        limit = self.ctx.settings.limits.hold_above
        where = "approved = 0 AND armed_at IS NULL AND run = 1 AND created_at > ? AND state IN ({states})"
        since = [self.ctx.wall - BURST_SECONDS]
        burst = where.format(states="'settling', 'waiting', 'queued', 'held'")
        count = self.ctx.journal.value(f"SELECT count(*) FROM prompts WHERE {burst}", since)
        if count <= limit:
            return
        for prompt in self.ctx.journal.prompts(where.format(states="'queued'"), since):
            self.ctx.journal.move_prompt(prompt, Event.HELD, self.ctx.wall, reason=HELD.format(limit=limit))


def _fold_last(name: str) -> str:
    """What a wait is found by: the last part of a name or path, folded."""
    return name.rstrip("/").rpartition("/")[2].casefold()


def _text_to_check(written: str, resolved: str | None, subject: Subject | None) -> str:
    """The text for the limits: as sent, or as written while a mention is open; a mention put in front is no text."""
    if not written.strip():
        return ""
    if resolved is not None:
        return resolved
    return written.replace("<1>", subject.name) if subject and subject.is_reference else written


def _read_still(path: Path, sight: FileSight) -> bytes | None:
    """The file's bytes if it is what the scan saw, before and after reading; None if it changed."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        before = os.fstat(descriptor)
        if not stat.S_ISREG(before.st_mode) or scan.stamp_of([(path.name, before)]) != sight.stamp:
            return None
        data = file.read(promptfile.MAX_BYTES + 1)
        return data if scan.stamp_of([(path.name, os.fstat(descriptor))]) == sight.stamp else None
