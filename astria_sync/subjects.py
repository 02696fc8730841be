"""Image folders and their tunes, as mentions and prompts see them."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from astria_sync.context import Context
from astria_sync.core.model import Source, Tune
from astria_sync.core.references import Index, Subject

_AT_ONCE: Final = 100  # rows of folders, and of their tunes, in memory


@dataclass(kw_only=True)
class Subjects:
    """Looks folders up by name; the index is built once and forgotten when a folder or tune changes."""

    ctx: Context
    _index: Index | None = field(default=None, init=False)

    def index(self) -> Index:
        """All image folders, for looking names up."""
        if self._index is None:
            self._index = Index(self.all())
        return self._index

    def all(self) -> list[Subject]:
        """Every image folder that is there."""
        journal = self.ctx.journal
        here = "kind = 'folder' AND missing_since IS NULL AND (is_image_folder = 1 OR stamp = '')"
        ids = [row["id"] for row in journal.rows(f"SELECT id FROM sources WHERE {here}")]
        starts = range(0, len(ids), _AT_ONCE)
        return [subject for at in starts for subject in self._some(ids[at : at + _AT_ONCE])]

    def _some(self, ids: Sequence[int]) -> Iterator[Subject]:
        """These folders. Whole rows are large: a thousand of them, with their tunes, take 5 MiB for a moment."""
        these = "IN (SELECT value FROM json_each(?))"
        tunes = {  # the newest, if there are several
            tune.source_id: tune
            for tune in self.ctx.journal.tunes(
                f"current = 1 AND source_id {these} ORDER BY id", [json.dumps(ids)]
            )
        }
        for row in self.ctx.journal.sources(f"id {these}", [json.dumps(ids)]):
            yield _as_subject(row, tunes.get(row.id))

    def forget(self) -> None:
        """Something about folders or tunes changed."""
        self._index = None

    def at(self, root: str, path: str) -> Subject | None:
        """The image folder that lies there."""
        folder = self.ctx.journal.source_at(root, path, "folder")
        if (
            folder is None
            or folder.missing_since is not None
            or (folder.stamp and not folder.is_image_folder)
        ):
            return None
        return _as_subject(folder, self.ctx.journal.current_tune(folder.id))

    def doubt(self, root: str, path: str) -> str:
        """Why nobody can tell whether the folder there is an image folder; prompts in it may be of its tune."""
        folder = self.ctx.journal.source_at(root, path, "folder")
        doubtful = (
            folder is not None and folder.missing_since is None and folder.settings.get("doubt") is not None
        )
        return folder.problem if folder is not None and doubtful else ""

    def base_of(self, subject: Subject) -> int | str:
        """Where prompts of a reference folder go: the tune id or name of the model that it was made for."""
        tune = self.ctx.journal.current_tune(subject.key)
        base = tune.base_tune_id if tune and tune.base_tune_id else None
        return base if base is not None else self.ctx.models.default


def _as_subject(folder: Source, tune: Tune | None) -> Subject:
    return Subject(
        key=folder.id,
        root=folder.root,
        path=folder.path,
        tune_id=tune.remote_id if tune else None,
        ready=tune is not None and tune.state == "ready",
        model_type=tune.model_type if tune and tune.bound_at else folder.settings.get("model_type", "faceid"),
        class_noun=tune.class_noun if tune and tune.bound_at else folder.settings.get("name") or "",
        state=tune.state if tune else "settling",
    )
