"""What the pool's threads do: each function takes a frozen piece of work and returns its result, or raises.

They read files and call the network; none touches the journal or the engine.
"""

import dataclasses
import errno
import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from astria_sync import backup, inputs, media, modelnames, pulltasks, scan, sidecars, tunefile
from astria_sync.api import Api
from astria_sync.clock import Clock, SystemClock
from astria_sync.core import packwork, work
from astria_sync.core.account import FindRecords, Pulled, PullPage, ReadRecords
from astria_sync.core.model import Look
from astria_sync.core.pace import PAGE, next_cursor
from astria_sync.core.plain import visible_json
from astria_sync.core.retry import Answer, NoAnswer, Verdict, judge_read
from astria_sync.core.wire import RemotePrompt, RemoteTune, read_prompt, read_tune
from astria_sync.disk import Disk, leads_out
from astria_sync.download import Downloader
from astria_sync.errors import FileProblem
from astria_sync.packtasks import find_pack, pack_path, run_pack
from astria_sync.progress import Progress
from astria_sync.sights import URLS_FILE

_LIST: Final = {"tune": "/tunes", "prompt": "/prompts"}
_URLS_LIMIT: Final = 1 << 20
_TICK: Final = 0.01  # seconds that a disk's clock may be behind: kernels date changes by their last tick
_LATE: Final = 1.0  # seconds before the end of a look that an event may tell of; since then disks alone do
_UNREADABLE: Final = Answer(
    status=502, body=None, text="a list came with something in it that cannot be read"
)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class _Page:
    """One page of a list, newest first."""

    rows: list[Any]
    unread: float | None = None  # what is just older than this could not be read: it may be anything

    def hides(self, down_to: int) -> bool:
        """Whether something newer than this may stand on it unread."""
        return self.unread is not None and self.unread - 1 > down_to


class Tasks:
    """Carries out work. Built once by service.py, used by all threads."""

    def __init__(
        self,
        *,
        api: Api,
        downloader: Downloader,
        roots: Mapping[str, scan.Root],
        clock: Clock | None = None,
        disk: Disk | None = None,
    ) -> None:
        """`roots` by path, to walk them by their own rules."""
        self.progress = Progress()
        self._clock = clock or SystemClock()
        self._disk = disk or Disk()
        self._api = api
        self._downloader = downloader
        self._roots = roots
        self._by_type: Mapping[type, Callable[[Any], Any]] = {
            work.Walk: self._walk,
            work.ReadFolder: self._read_folder,
            work.CreateTune: self._create_tune,
            work.CreatePrompt: self._create_prompt,
            packwork.RunPack: lambda piece: run_pack(api, piece),
            packwork.FindPack: lambda piece: find_pack(api, piece),
            work.PatchTune: self._patch_tune,
            work.Delete: self._delete,
            work.FetchOne: self._fetch_one,
            work.Poll: self._poll,
            work.Survey: self._survey,
            work.Probe: self._probe,
            work.AskModels: self._ask_models,
            PullPage: self._pull_page,
            FindRecords: sidecars.find,
            ReadRecords: sidecars.read,
            work.Download: downloader.fetch,
            work.WriteSidecar: self._write_sidecar,
            work.Tidy: self._tidy,
            work.FindSidecars: sidecars.find,
            work.ReadSidecars: sidecars.read,
            work.BackUp: lambda piece: backup.back_up(piece.state, piece.day),
        }

    def __call__(self, piece: Any) -> Any:
        """Do one piece of work."""
        return self._by_type[type(piece)](piece)

    def _walk(self, piece: work.Walk) -> tuple[Look, ...]:
        return walk(self._roots[piece.root], piece, self._clock)

    def _read_folder(self, piece: work.ReadFolder) -> work.FolderRead:
        return read_folder(self._roots[piece.root], piece.path, piece.inputs)

    def _create_tune(self, piece: work.CreateTune) -> Answer | NoAnswer:
        try:
            found = scan.contents(self._roots[piece.root], piece.path)
        except OSError as error:
            return NoAnswer(sent=False, why=f"{piece.path} cannot be read ({error.strerror})", changed=True)
        if found.stamp != piece.stamp:
            return NoAnswer(sent=False, why=f"{piece.path} changed before it was sent", changed=True)
        folder = Path(piece.root, piece.path)
        uploads = [
            work.Upload(field="tune[images][]", path=str(folder / name), name=name, roots=(piece.root,))
            for name in (*found.pictures, *found.captions)
        ]
        path = f"{pack_path(piece.pack)}/tunes" if piece.pack else "/tunes"
        with self.progress.of(f"tune:{piece.row_id}", uploads) as count:
            return self._api.send("POST", path, piece.fields, uploads, workspace=piece.workspace, count=count)

    def _create_prompt(self, piece: work.CreatePrompt) -> Answer | NoAnswer:
        path = f"/tunes/{piece.target}/prompts"
        with self.progress.of(f"prompt:{piece.row_id}", piece.uploads) as count:
            return self._api.send(
                "POST", path, piece.fields, piece.uploads, workspace=piece.workspace, count=count
            )

    def _patch_tune(self, piece: work.PatchTune) -> Answer | NoAnswer:
        return self._api.send("PATCH", f"/tunes/{piece.remote_id}", piece.fields, workspace=piece.workspace)

    def _delete(self, piece: work.Delete) -> Answer | NoAnswer:
        path = (
            f"/tunes/{piece.remote_id}"
            if piece.target is None
            else f"/tunes/{piece.target}/prompts/{piece.remote_id}"
        )
        return self._api.send("DELETE", path, (), workspace=piece.workspace)

    def _fetch_one(self, piece: work.FetchOne) -> Answer | NoAnswer:
        return self._api.get(f"{_LIST[piece.kind]}/{piece.remote_id}", workspace=piece.workspace)

    def _probe(self, _piece: work.Probe) -> Answer | NoAnswer:
        self._api.renew_token()
        return self._api.get("/users")

    def _ask_models(self, piece: work.AskModels) -> modelnames.Known | modelnames.Unknown:
        return modelnames.ask(self._api.get, piece.state, piece.base_url, wall=self._clock.wall())

    def _page(self, kind: str, workspace: str, before_id: int | None) -> _Page | Answer | NoAnswer:
        """One page; the result itself if it is no list."""
        result = self._api.get(_LIST[kind], workspace=workspace, limit=PAGE, before_id=before_id)
        if judge_read(result) is not Verdict.OK or not isinstance(result, Answer):
            return result
        if not isinstance(result.body, list):
            return Answer(status=502, body=None, text="a list was asked for and something else came")
        read = read_tune if kind == "tune" else read_prompt
        rows: list[Any] = [read(row) if isinstance(row, dict) else None for row in result.body]
        broken = rows.index(None) if None in rows else len(rows)
        return _Page(
            rows=sorted(filter(None, rows), key=lambda row: -row.id),
            unread=None if broken == len(rows) else min((row.id for row in rows[:broken]), default=math.inf),
        )

    def _pull_page(self, piece: PullPage) -> Pulled:
        read = self._page(piece.kind, piece.workspace, piece.before_id)
        if not isinstance(read, _Page):
            return Pulled(failure=read)
        return pulltasks.page(self._api, piece, read.rows, read.unread)

    def _poll(self, piece: work.Poll) -> work.Pages:
        wanted = sorted(piece.ids)  # the newest last
        objects: list[RemoteTune | RemotePrompt] = []
        covered: list[int] = []
        # From the head: what was made besides may be newer than all that is asked for.
        cursor: int | None = None
        while True:
            read = self._page(piece.kind, piece.workspace, cursor)
            if not isinstance(read, _Page):
                return work.Pages(objects=tuple(objects), covered=tuple(covered), failure=read)
            page = read.rows
            objects += page
            lowest = page[-1].id if page else 0
            while wanted and wanted[-1] >= lowest:
                covered.append(wanted.pop())
            # A server that ignores before_id would show the same page for ever.
            stuck = not page or (cursor is not None and page[0].id >= cursor)
            cursor = None if stuck else next_cursor(wanted)
            if cursor is None:
                return work.Pages(objects=tuple(objects), covered=tuple(covered))

    def _survey(self, piece: work.Survey) -> work.Pages:
        objects: list[RemoteTune | RemotePrompt] = []
        head, cursor, begin, whole = 0, None, 0.0, True
        while True:
            read = self._page(piece.kind, piece.workspace, cursor)
            if not isinstance(read, _Page):
                return work.Pages(objects=tuple(objects), head=head, failure=read)
            page, whole = read.rows, whole and not read.hides(piece.down_to)
            if cursor is None and page:
                head, begin = page[0].id, min(_times(page), default=0.0) - piece.back
            fresh = [row for row in page if row.id > piece.down_to]
            objects += fresh
            past = max(_times(page), default=math.inf) < begin
            stuck = bool(page) and page[0].id >= (cursor or page[0].id + 1)  # it ignores before_id
            if not page or piece.purpose == "mark" or len(fresh) < len(page) or past or stuck:
                if piece.purpose == "adopt" and not whole:  # what it hides may have been paid for
                    return work.Pages(objects=tuple(objects), head=head, failure=_UNREADABLE)
                gone = head < piece.mark and self._is_gone(piece)
                return work.Pages(
                    objects=tuple(objects), head=head, whole=whole and not stuck, mark_gone=gone
                )
            cursor = page[-1].id

    def _is_gone(self, piece: work.Survey) -> bool:
        """Whether the newest object that was known has been deleted since: then a list without it is not an old one."""
        result = self._api.get(f"{_LIST[piece.kind]}/{piece.mark}", workspace=piece.workspace)
        return judge_read(result) is Verdict.GONE

    def _tidy(self, piece: work.Tidy) -> tuple[Path, ...]:
        left: list[Path] = []
        for part in piece.parts:
            try:
                self._disk.remove(part)
            except OSError:
                left.append(part)
        return tuple(left)

    def _write_sidecar(self, piece: work.WriteSidecar) -> None:
        if not self._disk.mounted(piece.mount):
            raise OSError(errno.ENODEV, "its disk is not mounted")
        if piece.output and leads_out(piece.path.parent, piece.output):
            raise OSError(errno.ELOOP, f"its folder leads out of {piece.output} by a link")
        self._disk.write_whole(piece.path, (visible_json(piece.data) + "\n").encode())


def _times(page: list[Any]) -> list[float]:
    """When what a page shows was made, by Astria's clock: one of them may be a slip, all of them are not."""
    return [one.created_at for one in page if one.created_at is not None]


def walk(root: scan.Root, piece: work.Walk, clock: Clock) -> tuple[Look, ...]:
    """Look at each folder asked for, with the times of the look."""
    looks: list[Look] = []
    for scope, recursive in piece.scopes:
        began = clock.now()
        look = scan.look(root, scope, recursive=recursive, at_rest=piece.at_rest)
        looks.append(dataclasses.replace(look, began=began, still=clock.now()))
    if piece.heard is None:
        return tuple(looks)
    # What stood when the last event came has stood since, unless the disk says that it was written without an event. Not every
    # disk can: FAT dates to two seconds, a share by a clock of its own. So a late look does not count from an early event.
    touched = clock.now() - (clock.wall() - max(look.touched for look in looks)) + _TICK
    still = max(piece.heard, touched, looks[-1].still - _LATE)
    return tuple(dataclasses.replace(look, still=min(look.still, still)) for look in looks)


def read_folder(root: scan.Root, path: str, named: Sequence[str]) -> work.FolderRead:
    """Check and hash everything that a folder would be sent with."""
    folder = Path(root.path, path)
    found = scan.contents(root, path)
    problems: list[str] = []
    hashes: list[str] = []
    for name in found.pictures:
        if wrong := media.check_upload(folder / name):
            problems.append(f"{name} {wrong}; replace or remove it.")
    for name in (*found.pictures, *found.captions):
        with open(folder / name, "rb") as file:
            hashes.append(hashlib.file_digest(file, "sha256").hexdigest())
    urls: tuple[str, ...] = ()
    if found.has_urls:
        try:
            urls = tunefile.parse_urls(_head(folder / URLS_FILE), name=URLS_FILE)
        except FileProblem as error:
            problems += error.problems
    content = hashlib.sha256("\n".join([*sorted(hashes), *urls]).encode()).hexdigest()
    used = inputs.look(folder, found.pictures, found.prompts, named)
    return work.FolderRead(
        stamp=scan.contents(root, path).stamp,
        content=content,
        pictures=len(found.pictures) + len(urls),
        captions=len(found.captions),
        urls=urls,
        problems=tuple(problems),
        only_inputs=used.only,
        doubt=used.doubt,
        prompts=used.prompts,
    )


def _head(path: Path) -> bytes:
    with open(path, "rb") as file:
        return file.read(_URLS_LIMIT)
