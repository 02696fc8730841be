"""Finished pictures: which there are, which are to be fetched next, and the sidecar that closes a prompt."""

import json
import math
import sqlite3
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from astria_sync.context import Context
from astria_sync.core import work
from astria_sync.core.expiry import KEPT, deleted_at
from astria_sync.core.lifecycle import Event, PromptState
from astria_sync.core.model import Image, Prompt
from astria_sync.core.naming import picture_name, sidecar_name
from astria_sync.core.pictures import numbered
from astria_sync.core.wire import RemotePrompt, as_time
from astria_sync.expiring import ends_of_tunes
from astria_sync.provenance import describe
from astria_sync.room import Room
from astria_sync.turns import Turns

_CLEAN_POLLS: Final = 3  # fewer pictures than asked for: so often in a row the list must not grow
_QUIET_POLLS: Final = 20  # times poll_seconds without a new picture
_ENOUGH: Final = 4  # attempts, for what was pulled and should not be there any more
_PLACES: Final = (
    "SELECT id, output, folder, stem, remote_id FROM prompts WHERE id IN (SELECT value FROM json_each(?))"
)
# A picture's prompt, and whether that one waits for other pictures too.
_OF: Final = (
    "SELECT p.id, p.source_id, p.remote_id, EXISTS ("
    "SELECT 1 FROM images o WHERE o.prompt_id = p.id AND o.state = 'wanted' AND o.id != i.id) AS waits "
    "FROM images i JOIN prompts p ON p.id = i.prompt_id WHERE i.id = ?"
)
_PATIENCE: Final = 600.0  # seconds since the first picture, where Astria does not say that it is done


@dataclass(kw_only=True)
class Fetching:
    """Owns `images`, and prompts from their first picture to done."""

    ctx: Context
    room: Room
    turns: Turns = field(init=False)
    _heard: dict[int, float] = field(default_factory=dict, init=False)  # when a prompt last had a new picture
    _again_at: float = field(default=0.0, init=False)  # when a sidecar is to be tried again

    def __post_init__(self) -> None:
        """Whose turn it is, is a question of its own."""
        self.turns = Turns(ctx=self.ctx)

    # What there is

    def pictured(self, prompt: Prompt, remote: RemotePrompt) -> None:
        """Astria lists pictures of this prompt: note new ones, and new addresses of old ones."""
        journal, now = self.ctx.journal, self.ctx.now
        known = {image.n: image for image in journal.images("prompt_id = ?", [prompt.id])}
        listed = numbered(remote.images, {image.identity: n for n, image in known.items()})
        made_at = remote.created_at or prompt.bound_at or self.ctx.wall
        deadline = deleted_at(made_at, ends_of_tunes(journal.rows, prompt.text, prompt.target))
        new = 0
        for n, (url, identity) in listed.items():
            image = known.get(n)
            if image is None:
                new += 1
                journal.add(
                    "images",
                    prompt_id=prompt.id,
                    n=n,
                    url=url,
                    identity=identity,
                    next_at=now,
                    deadline=deadline,
                    pulled=prompt.pulled,
                )
            elif image.state == "wanted" and image.url != url:
                journal.change("images", image.id, url=url, next_at=now)
            if image is not None and image.state == "wanted" and image.deadline != deadline:
                journal.change("images", image.id, deadline=deadline)  # a tune was extended, or not
        if prompt.state is PromptState.GENERATING or (new and prompt.state is PromptState.DONE):
            prompt = self._move(
                prompt, Event.PICTURED, pictured_at=prompt.pictured_at or self.ctx.wall, looks=0
            )
        self._completeness(prompt, remote, new=bool(new), count=len(known) + new)

    def _completeness(self, prompt: Prompt, remote: RemotePrompt, *, new: bool, count: int) -> None:
        """Pictures may appear one after the other: ask on until all are there, or nothing has come for long enough."""
        expected = 1 if "video_model" in prompt.params else prompt.num_images
        looks = 0 if new else prompt.looks + 1
        if new or prompt.id not in self._heard:
            self._heard[prompt.id] = self.ctx.now
        quiet = self.ctx.now - self._heard[prompt.id]
        # That a prompt is "trained" does not say that its last picture is listed (astria-api.md is silent on it).
        patience = _QUIET_POLLS * self.ctx.settings.timing.poll_seconds if remote.trained else _PATIENCE
        complete = count >= expected or (looks >= _CLEAN_POLLS and quiet > patience)
        if prompt.pulled and remote.trained and remote.created_at is not None:
            # Made long ago: no more will come.
            complete |= self.ctx.wall - remote.created_at > _PATIENCE
        self.ctx.journal.change("prompts", prompt.id, looks=looks, complete=complete)
        if complete:
            self._heard.pop(prompt.id, None)
            if count < expected and not prompt.pulled:
                self.ctx.alarm(
                    f"{prompt.stem} (prompt {prompt.remote_id}): Astria made {count} of {expected} pictures."
                )
        if complete and not prompt.complete:
            self.close(prompt.id)

    # What to fetch

    def plan(self) -> None:
        """Sidecars that are due again, and downloads, as far as there are places (turns.py)."""
        if self.room.recovered():
            # Pictures that could not be had without the disk are not left waiting.
            self.ctx.journal.change_all("images", "next_at = 0", "state = 'wanted'")
            self.ctx.journal.change_all("prompts", "next_at = 0", "state = 'downloading' AND complete = 1")
            self._again_at = 0.0
        if self._again_at <= self.ctx.now:
            self.unrecorded()
        if self.ctx.stopping:
            return
        free = self.ctx.free(work.Lane.DOWNLOADS)
        if not free or not (images := self.turns.next(free)):
            return
        # Of the prompts, which have fifty columns, only what names a file, and of all at once.
        prompts = json.dumps([image.prompt_id for image in images])
        places = {row["id"]: row for row in self.ctx.journal.rows(_PLACES, [prompts])}
        for image in images:
            self._fetch(image, places[image.prompt_id])

    def _fetch(self, image: Image, of: sqlite3.Row) -> None:
        """Start a download into the place that its prompt names; later, if there is none or no address."""
        if image.pulled and not self.room.takes(of["output"]):
            later = self.ctx.now + self.ctx.backoff(1)
            self.ctx.journal.change("images", image.id, next_at=later)
            return
        if not image.url:  # it was taken up from a record
            attempt = image.attempt + 1
            later = self.ctx.now + self.ctx.backoff(attempt)
            self.ctx.journal.change("images", image.id, attempt=attempt, next_at=later)
            self._ask_anew(self.ctx.journal.prompt(image.prompt_id))
            return
        output = Path(of["output"])
        piece = work.Download(
            image_id=image.id,
            url=image.url,
            folder=output / of["folder"],
            output=output,
            # What it is, its bytes tell.
            stem=picture_name(of["stem"], of["remote_id"] or 0, image.n, ""),
            resume_etag=image.etag,
            resume_at=image.kept,
            mount=self.room.mount(of["output"]),
            half=self.turns.half(image.id),
        )
        self.ctx.start(("download", image.id), piece)

    # What came back

    def downloaded(self, piece: work.Download, result: work.Saved | work.NotSaved) -> None:
        """A download ended."""
        found = self.ctx.journal.rows(_OF, [piece.image_id])
        if not found:
            return  # a file of ours has taken the generation over meanwhile
        if isinstance(result, work.NotSaved):
            self._not_saved(self.ctx.journal.image(piece.image_id), result)
            return
        (of,) = found
        values = {
            "file": result.file,
            "size": result.size,
            "sha256": result.sha256,
            "etag": "",
            "kept": 0,
            "reason": "",
        }
        self.ctx.journal.change("images", piece.image_id, state="saved", saved_at=self.ctx.wall, **values)
        of_it = {"remote_id": of["remote_id"]}
        self.ctx.event("image", piece.image_id, of["source_id"], "saved", result.file, **of_it)
        if not of["waits"]:
            self.close(of["id"])

    def _not_saved(self, image: Image, result: work.NotSaved) -> None:
        """Why, and when it is tried again; or that it cannot be had any more."""
        journal = self.ctx.journal
        attempt = 1 if result.moved else image.attempt + 1
        wait = self.ctx.backoff(attempt)
        journal.change(
            "images",
            image.id,
            attempt=attempt,
            next_at=self.ctx.now + wait,
            etag=result.etag,
            kept=result.kept,
            reason=result.why,
        )
        prompt = journal.prompt(image.prompt_id)
        journal.change("prompts", prompt.id, reason=f"picture {image.n}: {result.why}; it is tried again")
        told = f"picture {image.n} of prompt {prompt.remote_id}: {result.why}; it is tried again"
        self.ctx.say("warning", told, source=prompt.source_id, remote_id=prompt.remote_id)
        if result.local:
            self.room.takes(prompt.output)  # what is wrong with it is told, and noticed when it is over
        if result.expired and attempt >= _ENOUGH and self._is_over(prompt):
            journal.change("images", image.id, state="gone", reason=f"its 30 days are over; {result.why}")
            self.close(prompt.id)
        elif result.expired:
            self._ask_anew(prompt)

    def _is_over(self, prompt: Prompt) -> bool:
        """Whether nobody need ask any more for pictures that were pulled: Astria still lists them, its 30 days are over."""
        made = as_time(prompt.answer.get("created_at"))
        return prompt.pulled and made is not None and made + KEPT < self.ctx.wall

    def _ask_anew(self, prompt: Prompt) -> None:
        """For addresses that are good."""
        if prompt.remote_id is not None:
            fetch = work.FetchOne(
                kind="prompt", row_id=prompt.id, workspace=prompt.workspace, remote_id=prompt.remote_id
            )
            self.ctx.start(("fetch", "prompt", prompt.id), fetch)

    def gone(self, prompt: Prompt) -> None:
        """Astria does not have the prompt any more: pictures that are not here yet, and cannot be had, are lost."""
        journal = self.ctx.journal
        for image in journal.images("prompt_id = ? AND state = 'wanted' AND attempt > 0", [prompt.id]):
            journal.change("images", image.id, state="gone", reason="Astria has deleted it")
        journal.change("prompts", prompt.id, complete=True)
        self.close(prompt.id)

    def close(self, prompt_id: int) -> None:
        """If every picture is on disk, write the sidecar, which makes the prompt done."""
        wanted = "SELECT 1 FROM images WHERE prompt_id = ? AND state = 'wanted' LIMIT 1"
        if self.ctx.journal.value(wanted, [prompt_id]) is not None:
            return
        prompt = self.ctx.journal.prompt(prompt_id)
        if not prompt.complete or prompt.state is not PromptState.DOWNLOADING:
            return
        images = self.ctx.journal.images("prompt_id = ?", [prompt_id])
        if any(image.state == "gone" for image in images):
            lost = sum(image.state == "gone" for image in images)
            self._move(
                prompt,
                Event.GONE,
                reason=f"{lost} of {len(images)} pictures were deleted by Astria before they were here",
            )
            return
        assert prompt.remote_id is not None
        path = Path(prompt.output, prompt.folder, sidecar_name(prompt.stem, prompt.remote_id))
        piece = work.WriteSidecar(
            prompt_id=prompt_id,
            path=path,
            output=Path(prompt.output),
            data=describe(self.ctx.journal, prompt, images),
            mount=self.room.mount(prompt.output),
        )
        self.ctx.start(("sidecar", prompt_id), piece)

    def recorded(self, piece: work.WriteSidecar, failure: BaseException | None) -> None:
        """The sidecar is on disk, or could not be written."""
        prompt = next(iter(self.ctx.journal.prompts("id = ?", [piece.prompt_id])), None)
        if prompt is None:
            return
        if failure is None:
            if prompt.state is PromptState.DOWNLOADING:
                self._move(prompt, Event.SAVED, reason="", error="", done_at=self.ctx.wall)
            return
        why = getattr(failure, "strerror", None) or str(failure)
        reason = f"{piece.path.name} cannot be written ({why}); it is tried again"
        self.room.takes(prompt.output)
        again_at = self.ctx.now + self.ctx.backoff(3)
        self._again_at = min(self._again_at, again_at)
        self.ctx.journal.change("prompts", prompt.id, reason=reason, next_at=again_at)
        self.ctx.say("warning", reason, source=prompt.source_id, remote_id=prompt.remote_id)

    def unrecorded(self) -> None:
        """Prompts whose pictures are all here but whose sidecar is not (a crash, a full disk): write it now, or when it is due."""
        rows = self.ctx.journal.rows(
            "SELECT id, next_at FROM prompts WHERE state = 'downloading' AND complete = 1 "
            "AND NOT EXISTS (SELECT 1 FROM images WHERE prompt_id = prompts.id AND state = 'wanted')"
        )
        now = self.ctx.now
        self._again_at = min((row["next_at"] for row in rows if row["next_at"] > now), default=math.inf)
        for row in rows:
            if row["next_at"] <= now:
                self.close(row["id"])

    def look_again(self) -> None:
        """A step was rolled back: the sidecars that it began were not."""
        self._again_at = 0.0

    def _move(self, prompt: Prompt, event: Event, **values: Any) -> Prompt:
        return self.ctx.journal.move_prompt(prompt, event, self.ctx.wall, **values)
