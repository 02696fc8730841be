"""From image folders to orders for tunes: what a settled folder means for the tune it has, or has not."""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from astria_sync import inputs, mocks
from astria_sync.context import Context
from astria_sync.core import work
from astria_sync.core.happening import Level
from astria_sync.core.lifecycle import UNSENT_TUNES, Event, TuneState
from astria_sync.core.model import FolderSight, Look, Source, Tune
from astria_sync.core.prices import FREE_BRANCH
from astria_sync.core.wire import patch_values, tune_values
from astria_sync.errors import FileProblem
from astria_sync.folders import TuneFiles
from astria_sync.intake import Intake
from astria_sync.late import give_up
from astria_sync.modelnames import FORMER
from astria_sync.tunefile import TuneSettings

CHANGED = "the folder has changed since its tune was made; `astria-sync retrain` makes a new one"
_NO_BASE = "base_tune:"
UNNAMED = (
    "it still uses tune {id}, whose `id` is not in tune.toml any more; "
    "`astria-sync retrain` makes a tune of the folder's own pictures"
)


@dataclass(kw_only=True)
class Tuning:
    """Owns the rows of `tunes` until they are sent."""

    ctx: Context
    files: TuneFiles
    intake: Intake
    on_pack: Callable[[Source], None] = field(init=False)  # the folder was taken up: does it want a pack run?

    def take_folder(self, source: Source, sight: FolderSight) -> None:
        """A folder stands still: read its tune.toml, then its pictures unless they are the ones read before."""
        source = self.intake.who_is_here(source, sight)
        stamp = sight.settled_stamp(self.files.stamp(source.root, source.path))
        try:
            settings = self.files.merged(source.root, source.path)
            problems: tuple[str, ...] = ()
        except FileProblem as error:
            settings, problems = TuneSettings(), error.problems
        rehearsed = self.ctx.watches[source.root].rehearse
        if rehearsed and settings.id is not None:
            problems = (*problems, mocks.NAMED)
        wanted = sight.pictures > 0 or sight.has_urls or settings.id is not None or bool(settings.image_urls)
        self.ctx.journal.change(
            "sources", source.id, inode=sight.inode, settings=_plain(settings, source.settings)
        )
        if problems or not wanted:
            self.intake.settled(source, stamp)
            self._judge(source, is_image_folder=wanted, problems=problems)
            return
        named = inputs.named(settings.prompt)
        if settings.id is not None or not sight.stamp or inputs.known(source, sight, named):
            self.intake.settled(source, stamp)
            self._judge(source, is_image_folder=True, problems=())
            return
        piece = work.ReadFolder(
            source_id=source.id, root=source.root, path=source.path, stamp=stamp, inputs=named
        )
        self.ctx.start(("read", source.id), piece)

    def read(
        self, piece: work.ReadFolder, result: work.FolderRead | None, failure: BaseException | None
    ) -> None:
        """The pictures were read."""
        known = self.intake.places.known.get((piece.root, piece.path, "folder"))
        if known is None or known[0] != piece.source_id:
            return  # it was moved or removed meanwhile; its new place is looked at by itself
        source = self.ctx.journal.source(piece.source_id)
        if result is None or result.stamp != piece.stamp.partition("|")[0]:
            if failure is None or isinstance(failure, FileNotFoundError | NotADirectoryError):
                self.intake.again(source)  # it changed while it was read
                return
            why = failure.strerror if isinstance(failure, OSError) else failure
            problem = f"{getattr(failure, 'filename', None) or source.path} cannot be read ({why}); make it readable."
            self.intake.settled(source, piece.stamp)  # a change (of its rights, too) or `retry` wakes it
            self._judge(source, is_image_folder=True, problems=(problem,))
            return
        if not source.content and (
            old := self.intake.moved_from(source, result.content, inode=source.inode, mtime_ns=0)
        ):
            self.ctx.journal.change("sources", old.id, settings=source.settings)
            source = old
        self.ctx.journal.change("sources", source.id, content=result.content, pictures=result.pictures)
        self.intake.settled(source, piece.stamp)
        settings = {
            **source.settings,
            "urls": list(result.urls),
            "captions": result.captions,
            "doubt": None,
            "read": result.stamp,  # what `content` is of; the source's own stamp also tells of what could not be read
        }
        tune = self.ctx.journal.current_tune(source.id)
        if result.doubt and not (tune and tune.armed_at):
            # Not "read": the same pictures are read again when the prompts beside them have changed.
            settings |= {"read": "", "doubt": dict(result.prompts)}
            self.ctx.journal.change("sources", source.id, settings=settings)
            self._judge(source, is_image_folder=False, problems=(result.doubt,))
            return
        self.ctx.journal.change("sources", source.id, settings=settings)
        only_inputs = result.only_inputs and not (tune and tune.armed_at)  # a tune that was paid for stays
        self._judge(
            self.ctx.journal.source(source.id),
            is_image_folder=not only_inputs,
            problems=() if only_inputs else _lacking(source, result),
        )

    def looked(self, look: Look) -> None:
        """A folder whose pictures may be inputs of a prompt that is wrong is read again once its prompts have changed and stand still."""
        # Only what was looked at is asked for: to go through all folders takes milliseconds, in which a prompt waits to be sent.
        for source in self.ctx.journal.sources(inputs.DOUBTFUL, [look.root, inputs.paths(look)]):
            now = inputs.stamps(look, source.path)
            if now is not None and now != source.settings["doubt"]:
                self.ctx.journal.change("sources", source.id, settings={**source.settings, "doubt": now})
                self.intake.settling.forget((source.root, source.path, source.kind))
                self.intake.again(source)

    def _judge(self, source: Source, *, is_image_folder: bool, problems: tuple[str, ...]) -> None:
        """Bring the folder's order in line with what was found."""
        journal = self.ctx.journal
        journal.change(
            "sources",
            source.id,
            is_image_folder=is_image_folder,
            problem="\n".join(problems),
            updated_at=self.ctx.wall,
        )
        if problems != tuple(source.problem.splitlines()):
            said = ("problem", "; ".join(problems)) if problems else ("mended", "")
            level: Level = "error" if problems else "info"
            self.ctx.event("source", source.id, source.id, *said, level=level)
        source = journal.source(source.id)
        self.intake.on_folders(source.name)
        tune = journal.current_tune(source.id)
        if not is_image_folder:
            if tune and tune.armed_at is None and tune.state in UNSENT_TUNES | {TuneState.FAILED}:
                journal.drop("tunes", tune.id)
            self.on_pack(source)
            return
        if tune is None:
            tune = self._new(source)
        unsent = tune.state in UNSENT_TUNES or tune.state is TuneState.FAILED
        if problems:
            if unsent:
                journal.move_tune(tune, Event.INVALID, self.ctx.wall, reason=problems[0], error="")
            return
        if unsent:
            self._order(source, tune)
        else:
            self.compare(source, tune)
        self.on_pack(source)

    def _new(self, source: Source) -> Tune:
        wall = self.ctx.wall
        row = self.ctx.journal.add(
            "tunes", source_id=source.id, state=TuneState.SETTLING, created_at=wall, updated_at=wall
        )
        return self.ctx.journal.tune(row)

    def _order(self, source: Source, tune: Tune) -> None:
        """Queue it as it is now; a refusal stands until something has changed."""
        values = self.request(source)
        if tune.lost:
            values = self._as_it_went_out(tune, source, values)
        refused = tune.state is TuneState.FAILED and tune.armed_at is not None
        same = tune.params == values["params"] and tune.content == source.content
        same = same and (not refused or self._same_pack(source, tune))
        if refused and same:
            return
        if tune.remote_id is not None:  # Astria could not make it: it stays on record, with what it cost
            self._again(source, tune)
            return
        if isinstance(base := values["base_tune_id"], str):
            self.ctx.journal.move_tune(tune, Event.INVALID, self.ctx.wall, reason=base)
            return
        fresh = {"armed_at": None, "watermark": None, "attempt": 0, "looks": 0, "next_at": 0, "lost": False}
        if tune.lost and same and tune.workspace == values["workspace"]:
            fresh = {}  # it is the request that may turn up yet
        elif tune.lost:
            give_up(self.ctx.journal, tune, self.ctx.wall)
        values |= {"reason": "", "error": "", "needs_mc": None}
        self.ctx.journal.move_tune(tune, Event.SETTLED, self.ctx.wall, **fresh, **values)

    def _as_it_went_out(self, tune: Tune, source: Source, values: dict[str, Any]) -> dict[str, Any]:
        """A request that may turn up yet is the same one, also if its model's name means another tune by now."""
        former: dict[str, list[int]] = self.ctx.journal.get(FORMER, {})
        name = str(source.settings.get("base_tune") or self.ctx.models.default)
        now = values["base_tune_id"]
        otherwise_wrong = isinstance(now, str) and not now.startswith(_NO_BASE)
        if otherwise_wrong or "id" in values["params"] or tune.base_tune_id not in former.get(name, ()):
            return values
        base = {"base_tune_id": tune.base_tune_id}
        return {**values, **base, "params": {**values["params"], **base}}

    def _same_pack(self, source: Source, tune: Tune) -> bool:
        """Whether it was refused together with the pack, if any, that tune.toml names now."""
        row = self.ctx.journal.rows("SELECT name, slug FROM packs WHERE id = ?", [tune.pack_run])
        wanted = source.settings.get("pack")
        return (wanted in tuple(row[0])) if row else wanted is None

    def request(self, source: Source) -> dict[str, Any]:
        """The columns of an order for this folder as it is now; `base_tune_id` is a sentence if it cannot be told."""
        settings = source.settings
        title = settings.get("title") or source.name
        base = settings.get("base_tune")
        models = self.ctx.models
        base_id: int | str | None = models.id_of(base or models.default)
        if base_id is None:
            base_id = f"{_NO_BASE} {base or models.default} is no model's name and no tune id; {models.meant(base or models.default)}"
        usable = base_id if isinstance(base_id, int) else None
        params = tune_values(settings, title=title, base_tune_id=usable)
        params["image_urls"] = [*settings.get("image_urls", ()), *settings.get("urls", ())]
        if self.ctx.watches[source.root].rehearse:
            params["branch"] = FREE_BRANCH
            base_id = mocks.trouble(self.ctx.journal, source.root) or base_id
        if settings.get("id") is not None:
            params = {"id": settings["id"]}
        return {
            "workspace": self.ctx.workspace(source.root),
            "title": title,
            "class_noun": settings.get("name") or "",
            "model_type": settings.get("model_type", ""),
            "base_tune_id": base_id,
            "params": params,
            "content": source.content,
            "pictures": source.pictures + len(settings.get("image_urls", ())),
            "captions": settings.get("captions", 0),
        }

    def compare(self, source: Source, tune: Tune) -> None:
        """A folder that has its tune: changes are shown, PATCHed or, with another `id`, bound anew."""
        wanted = source.settings.get("id")
        if wanted is not None and wanted != tune.remote_id:
            if tune.bound_at is not None:
                self._again(source, tune)
            return
        unnamed = wanted is None and "id" in tune.params
        changed = unnamed or (bool(tune.content) and tune.content != source.content)
        if changed != tune.changed:
            said = UNNAMED.format(id=tune.remote_id) if unnamed else CHANGED
            reason = said if changed else ""
            self.ctx.journal.change(
                "tunes", tune.id, changed=changed, reason=reason, updated_at=self.ctx.wall
            )
            self.ctx.event("tune", tune.id, source.id, "changed" if changed else "unchanged", source.path)
        if "id" not in tune.params and tune.patched:
            wanted_now = self.patch_of(source)
            different = {key: value for key, value in wanted_now.items() if tune.patched.get(key) != value}
            if different != tune.patch:
                self.ctx.journal.change("tunes", tune.id, patch=different)

    def names_changed(self) -> None:
        """Names of models mean something else: a folder, or a prompt, that named one in vain is looked at once more."""
        self.intake.on_folders()
        named = "state = 'failed' AND armed_at IS NULL AND current = 1 AND reason LIKE ?"
        for tune in self.ctx.journal.tunes(named, [f"{_NO_BASE}%"]):
            self.intake.again(self.ctx.journal.source(tune.source_id))

    def use(self, tune: Tune) -> None:
        """`id` in tune.toml: an existing tune is only looked at."""
        if self.ctx.free(work.Lane.REQUESTS):
            piece = work.FetchOne(
                kind="tune", row_id=tune.id, workspace=tune.workspace, remote_id=tune.params["id"]
            )
            self.ctx.start(("fetch", "tune", tune.id), piece)

    def _again(self, source: Source, tune: Tune) -> None:
        """A new order for the folder, which later prompts use; the old tune stays at Astria and in the journal."""
        self.ctx.journal.change("tunes", tune.id, current=False)
        self._order(source, self._new(source))

    @staticmethod
    def patch_of(source: Source) -> Mapping[str, Any]:
        """What PATCH would tell Astria of this folder now."""
        return patch_values(source.settings, title=source.settings.get("title") or source.name)


def _lacking(source: Source, result: work.FolderRead) -> tuple[str, ...]:
    """What is wrong with a folder's pictures, or that it has none."""
    if not result.problems and not result.pictures and not source.settings.get("image_urls"):
        return (
            f"{source.path} holds no picture and its urls.txt no address; add some, or take urls.txt out.",
        )
    return result.problems


def _plain(settings: TuneSettings, before: Mapping[str, Any]) -> dict[str, Any]:
    """As JSON, without what was not said; what was read from the folder itself, besides tune.toml, stays."""
    values = {key: value for key, value in dataclasses.asdict(settings).items() if value is not None}
    return {**values, **{key: before[key] for key in ("urls", "captions", "read", "doubt") if key in before}}
