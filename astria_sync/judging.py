"""Can this request go out, and as what? Reads folders' settings and the disk; changes nothing."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from astria_sync import media, mocks, parameters
from astria_sync.context import Context
from astria_sync.core.model import Prompt, Source
from astria_sync.core.references import Subject, resolve
from astria_sync.errors import FileProblem
from astria_sync.folders import TuneFiles, above, parent
from astria_sync.promptfile import PromptRequest
from astria_sync.subjects import Subjects
from astria_sync.tunefile import TuneSettings

_PICTURES: Final = frozenset(
    {"input_image", "mask_image", "image_references", "video_first_frame", "video_last_frame"}
)
_REMEMBERED: Final = 1000  # pictures


@dataclass(frozen=True, kw_only=True)
class Ready:
    """A request that can go out as it is."""

    target: int
    model: str
    text: str
    params: Mapping[str, Any]
    files: tuple[tuple[str, str], ...]  # form parameter, path
    num_images: int
    free: bool = False  # of a rehearsal

    def columns(self, workspace: str, *, seed: int, watermark: int) -> dict[str, Any]:
        """The columns of a request as it will be sent, whatever happens to it."""
        return {
            "workspace": workspace,
            "target": self.target,
            "model": self.model,
            "text": self.text,
            "params": {**self.params, "seed": seed},
            "files": [list(file) for file in self.files],
            "seed": seed,
            "num_images": self.num_images,
            "watermark": watermark,
        }


@dataclass(frozen=True, kw_only=True)
class Blocked:
    """One that cannot: it waits for folders (`needs`), or the person must change something (`problem`)."""

    needs: tuple[str, ...] = ()
    reason: str = ""
    problem: str = ""


@dataclass(kw_only=True)
class Judge:
    """Decides on one request at a time."""

    ctx: Context
    files: TuneFiles
    subjects: Subjects
    _pictures: dict[tuple[str, int, int, int], str | None] = field(default_factory=dict, init=False)

    def __call__(self, prompt: Prompt) -> Ready | Blocked:
        """The request as it would be sent now, or what stands in its way. Changes nothing."""
        source = self.ctx.journal.source(prompt.source_id)
        request = PromptRequest(fingerprint=prompt.fingerprint, variant=prompt.variant, **prompt.request)
        fixed = prompt.armed_at is not None  # it goes out as it was, or not at all
        around = self._around(prompt, source, fixed=fixed)
        if isinstance(around, Blocked):
            return around
        folder, settings, subject = around
        target = self._target(prompt, request, settings, subject)
        if isinstance(target, Blocked):
            return target
        target_id, model, needed = target
        resolution = resolve(request.text, subject=subject, index=self.subjects.index(), extra_needs=needed)
        if resolution.problems:
            return Blocked(problem=resolution.problems[0])
        asked = parameters.overlay(settings.prompt, {**request.params, **request.files})
        text = _text_to_check(request.text, resolution.text, subject)
        known = () if fixed or target_id is None else self.ctx.models.catalog.resolutions.get(target_id, ())
        if problems := parameters.limits(asked, text, model_name=model, resolutions=known):
            return Blocked(problem=problems[0])
        if not fixed and (nobody := self._nobody(request, target_id, subject, folder)):
            return nobody
        plain, media = parameters.split_files(asked)
        files = self._files(source, media)
        if isinstance(files, Blocked):
            return files
        if resolution.text is None:
            return Blocked(needs=resolution.waits, reason="waits for " + ", ".join(resolution.reasons))
        rehearsed = self.ctx.watches[source.root].rehearse
        if rehearsed:
            going = self._rehearsed(source, [*([subject.key] if subject else []), *resolution.needs])
            if isinstance(going, Blocked):
                return going
            target_id = going
        if target_id is None:
            return Blocked(needs=(subject.name if subject else "",), reason="its tune is not there yet")
        return Ready(
            target=target_id,
            model=model,
            text=resolution.text,
            params={**plain, **request.extra},
            files=files,
            num_images=int(plain.get("num_images") or 1),
            free=rehearsed,
        )

    def _around(
        self, prompt: Prompt, source: Source, *, fixed: bool
    ) -> tuple[str, TuneSettings, Subject | None] | Blocked:
        """Of the folder that it is for: its name, what is set there, its tune if it has one."""
        # A local pack's prompt is judged as if it lay in the folder that it is for; files that it takes along lie beside it.
        lies = parent(source.path)
        if prompt.subject_id is not None:
            lies = self.ctx.journal.source(prompt.subject_id).path
        try:
            settings = self.files.merged(source.root, lies)
        except FileProblem as error:
            # Said in tune.error.txt where it can be mended; the prompt is well and waits.
            needs = tuple(Path(source.root, folder).name for folder in above(lies))
            return Blocked(needs=needs, reason=f"waits until this is mended: {error.problems[0]}")
        subject, name = self.subjects.at(source.root, lies), Path(source.root, lies).name
        if not fixed and subject is None and (doubt := self.subjects.doubt(source.root, lies)):
            return Blocked(needs=(name,), reason=f"waits until this is mended: {doubt}")
        return name, settings, subject

    def _target(
        self, prompt: Prompt, request: PromptRequest, settings: TuneSettings, subject: Subject | None
    ) -> tuple[int | None, str, tuple[Subject, ...]] | Blocked:
        """Where it is sent: the tune id, the model's name for the limits, the folders that must be ready for it."""
        models = self.ctx.models
        wanted = request.model or settings.prompt_model
        if wanted is None and subject is not None:
            if not subject.is_reference:
                return subject.tune_id, "", (subject,)
            wanted = str(self.subjects.base_of(subject))
        elif wanted is None:
            wanted = models.default
        found = self.subjects.index().find(wanted)
        if prompt.armed_at is not None and prompt.target not in {None, *(one.tune_id for one in found)}:
            return prompt.target, prompt.model or "", ()  # it went to a model, whatever its name means by now
        known = models.id_of(wanted)
        # A model that Astria has added takes no folder's name away.
        theirs = models.only_astrias(wanted) and any(not one.is_reference for one in found)
        if known is not None and not theirs:
            return known, models.name_of(known) or "", ()
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

    def _nobody(
        self, request: PromptRequest, target: int | None, subject: Subject | None, folder: str
    ) -> Blocked | None:
        """`<1>` would reach one of Astria's own models as it is, which has no subject: nobody wants to pay for that."""
        if target is None or (subject is not None and subject.is_reference):
            return None
        if not self.ctx.models.is_base(target) or not parameters.SUBJECT.search(request.text):
            return None
        name = self.ctx.models.name_of(target)
        if subject is not None:
            return Blocked(
                problem=f"<1> means nothing to {name}, and the tune of {subject.name} is a checkpoint; leave out `model`."
            )
        return Blocked(
            needs=(folder,),
            reason=f"<1>: {folder} has no tune, since there are no pictures in it, or all of them are inputs of prompts; "
            "add pictures, or mention another folder by its name",
        )

    def _unknown_model(self, wanted: str) -> str:
        meant = self.ctx.models.meant(wanted, *(one.name for one in self.subjects.all()))
        return f"model: {wanted} is no model's name, no tune id and no image folder; {meant}"

    def _rehearsed(self, source: Source, folders: Sequence[int]) -> int | Blocked:
        """The free tune that it goes to instead: of one of these folders, or any."""
        if wrong := mocks.trouble(self.ctx.journal, source.root):
            return Blocked(problem=wrong)
        free = mocks.target(self.ctx.journal, self.ctx.workspace(source.root), folders)
        return Blocked(needs=(mocks.ANY_TUNE,), reason=mocks.NONE_YET) if free is None else free

    def _files(
        self, source: Source, media: Mapping[str, Sequence[str]]
    ) -> tuple[tuple[str, str], ...] | Blocked:
        """The files that go along, each with its parameter."""
        found: list[tuple[str, str]] = []
        for name, written in ((name, path) for name, paths in media.items() for path in paths):
            path = self._media(source, name, written)
            if isinstance(path, Blocked):
                return path
            found.append((name, path))
        return tuple(found)

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
        if not os.access(real, os.R_OK):
            return Blocked(problem=f"{name}: {written} cannot be read; make it readable.")
        if name in _PICTURES and (wrong := self._checked(Path(real))):
            return Blocked(problem=f"{name}: {written} {wrong}; replace it.")
        return real

    def _checked(self, path: Path) -> str | None:
        """What is wrong with a picture that goes along; decoded once for each version of it."""
        info = path.stat()
        key = (str(path), info.st_ino, info.st_size, info.st_mtime_ns)
        if key not in self._pictures:
            if len(self._pictures) > _REMEMBERED:
                self._pictures.clear()
            self._pictures[key] = media.check_upload(path)
        return self._pictures[key]


def _text_to_check(written: str, resolved: str | None, subject: Subject | None) -> str:
    """The text for the limits: as sent, or as written while a mention is open; a mention put in front is no text."""
    if not written.strip():
        return ""
    if resolved is not None:
        return resolved
    return written.replace("<1>", subject.name) if subject and subject.is_reference else written
