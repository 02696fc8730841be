"""A studio for tests: watched folders on a real disk, the real engine with its threads and SQLite, and the stand-in for
Astria behind real HTTP. Nothing sleeps: `run_once` ends when the engine is idle, `Daemon.until` when a condition holds.
"""

import io
import json
import queue
import random
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from PIL import Image
from sqlite_utils import Database

from astria_sync import config
from astria_sync.api import Api
from astria_sync.clock import Clock, SystemClock
from astria_sync.context import Context, roots_of
from astria_sync.core import work
from astria_sync.core.model import Command, Hint, Tick
from astria_sync.disk import Disk
from astria_sync.download import Downloader
from astria_sync.engine import Engine
from astria_sync.journal import Journal, open_journal
from astria_sync.logbook import Logbook
from astria_sync.loop import Loop, receive
from astria_sync.secrets import Token
from astria_sync.simulator import Options, Request, Simulator
from astria_sync.simulator.forms import Upload
from astria_sync.tasks import Tasks
from astria_sync.workers import Pools

PAID = r"^/tunes$|/prompts$"
TIMING = {
    "settle_seconds": 0.03,
    "poll_seconds": 0.04,
    "retry_base_seconds": 0.05,
    "retry_max_seconds": 0.3,
    "reconcile_after_seconds": 0.1,
}
FAST = {"train_seconds": 0.1, "generate_seconds": 0.05, "picture_px": 32}


class Hands(SystemClock):
    """The machine's clock, until a test sets it or puts the machine to sleep."""

    set_by = 0.0
    slept = 0.0

    def now(self) -> float:
        return super().now() + self.slept

    def wall(self) -> float:
        return super().wall() + self.slept + self.set_by


class Crash(BaseException):
    """The process is gone, as far as the engine can tell."""


class Crashing:
    """A pool in whose hands the process dies: before a piece of work goes out, or after, its outcome never read."""

    def __init__(self, inner: Pools, when: Callable[[Any], bool], *, sent: bool) -> None:
        self.inner, self.when, self.sent = inner, when, sent

    def submit(self, piece: Any) -> None:
        if self.when(piece):
            if self.sent:
                self.inner.submit(piece)
            raise Crash
        self.inner.submit(piece)

    def withdraw(self) -> Sequence[Any]:
        return self.inner.withdraw()

    def close(self, *, wait: bool) -> None:
        self.inner.close(wait=wait)


class Daemon:
    """One run of the engine, driven from the test's own thread."""

    def __init__(
        self,
        studio: "Studio",
        *,
        crash_when: Callable[[Any], bool] | None = None,
        sent: bool = False,
        chance: random.Random | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.studio = studio
        sim, settings = studio.sim, studio.settings()
        self.clock = clock or studio.clock or SystemClock()
        self.journal = open_journal(settings.state, now=self.clock.wall())
        self.journal.on_commit = Logbook(self.journal, roots=len(settings.watch))
        base = settings.astria.base_url
        self.api = Api(base, lambda: Token(studio.token, source="the test"), timeout=studio.timeout)
        self.downloader = Downloader(timeout=studio.timeout, connections=8, plain_http=True)
        self.tasks = Tasks(
            api=self.api, downloader=self.downloader, roots=roots_of(settings), clock=self.clock
        )
        self.workers = Pools(
            self.tasks,
            lambda outcome: self.engine.inbox.put(outcome),
            threads=12,
            downloads=settings.limits.downloads,
        )
        pool: Any = self.workers
        if crash_when is not None:
            pool = Crashing(self.workers, crash_when, sent=sent)
        ctx = Context(
            journal=self.journal,
            clock=self.clock,
            settings=settings,
            write_file=Disk().write_whole,
            remove_file=Disk().remove,
            refreshes=studio.refreshes,
            **({"chance": chance} if chance else {}),
        )
        self.engine = Engine(ctx, pool)
        self.engine.telling.progress = self.tasks.progress
        self.engine.strict = True
        self.loop = Loop(self.engine)
        self.sim = sim

    def start(self) -> None:
        self.engine.start()

    def run(self, timeout: float) -> bool:
        """Go on until nothing is left to do; false if that took too long."""
        self.loop.run(until_idle=True, deadline=self.clock.now() + timeout)
        return self.loop.idle

    @property
    def busy(self) -> str:
        """What keeps it from coming to rest, for a test that fails."""
        engine = self.engine
        parts = {
            name: getattr(engine, name) for name in ("intake", "prompting", "adopting", "pulling", "auditing")
        }
        restless = [name for name, part in parts.items() if getattr(part, "restless", False)]
        waits = [] if engine.intake.idle else ["intake is not idle"]
        return (
            f"under way: {list(engine.ctx.under_way)}, {[*restless, *waits]}, {engine.inbox.qsize()} unread"
        )

    def turn(self, patience: float = 0.02) -> None:
        """One message, or one look at the clock."""
        try:
            message = receive(self.engine.inbox, patience)
        except queue.Empty:
            message = Tick(what="due")
        self.engine.step(message)

    def until(self, holds: Callable[[], Any], *, timeout: float = 10.0) -> Any:
        """Go on until `holds()` is true, and return what it said."""
        end = self.clock.now() + timeout
        while not (said := holds()):
            assert self.clock.now() < end, f"it did not come to pass: {self.studio.told(self.journal)}"
            self.turn(min(0.02, max(0.002, self.loop.patience(None))))
        return said

    def look(self) -> None:
        """What the watcher would say after any change."""
        for watch in self.engine.ctx.settings.watch:
            self.engine.inbox.put(Hint(root=str(watch.path), path=None))

    def command(self, name: str, *paths: Path) -> dict[str, Any]:
        reply: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        arguments = {"paths": [str(path) for path in paths]}
        self.engine.step(Command(name=name, arguments=arguments, reply=reply))
        return reply.get(timeout=1)

    def close(self) -> None:
        """The end of the process: requests that are out run on to their end, nobody reads what came of them."""
        self.workers.close(wait=True)
        self.journal.close()
        self.api.close()
        self.downloader.close()


class Studio:
    """Folders, configuration and state in one place, and a simulator to send things to."""

    def __init__(self, home: Path, sim: Simulator) -> None:
        self.home, self.sim = home, sim
        self.token = sim.token
        self.timeout = 10.0
        self.clock: Clock | None = None  # the machine's, unless a test turns it
        self.base_url = sim.base_url
        self.refreshes = False  # whether Astria is asked for its models
        self.inbox, self.output = home / "inbox", home / "out"
        self.inbox.mkdir()
        self.state = home / "state" / "s.db"
        self.tables: dict[str, dict[str, Any]] = {"timing": dict(TIMING), "limits": {"hold_above": 1000}}
        self.watches: list[dict[str, Any]] = [{"path": str(self.inbox), "output": str(self.output)}]
        self._pictures = 0

    # Making files

    def write(self, path: str | Path, data: str | bytes) -> Path:
        """A file in the inbox (or anywhere, by an absolute path)."""
        file = self.inbox / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data if isinstance(data, bytes) else data.encode())
        return file

    def photo(self, kind: str = "jpg") -> bytes:
        """A small real picture, different from all others."""
        self._pictures += 1
        n = self._pictures * 7919
        out = io.BytesIO()
        formats = {"jpg": "JPEG", "jpeg": "JPEG", "png": "PNG", "webp": "WEBP"}
        Image.new("RGB", (16, 16), (n % 256, n // 256 % 256, n // 65536 % 256)).save(
            out, formats[kind.lower()], comment=str(n).encode()
        )
        return out.getvalue() if kind.lower() != "png" else _png_with(out.getvalue(), n)

    def picture(self, path: str) -> Path:
        return self.write(path, self.photo(path.rpartition(".")[2]))

    def folder(self, path: str, pictures: int = 1, toml: str = "") -> Path:
        """An image folder."""
        for n in range(pictures):
            self.picture(f"{path}/{n + 1}.jpg")
        if toml:
            self.write(f"{path}/tune.toml", toml)
        return self.inbox / path

    def prompt(self, path: str, text: str, front: str = "") -> Path:
        """A prompt; `front` is the block on top."""
        return self.write(path, f"---\n{front.strip()}\n---\n{text}" if front else text)

    # Running

    def settings(self) -> config.Settings:
        lines = [f"state = {json.dumps(str(self.state))}"]
        for name, table in self.tables.items():
            lines += [f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in table.items())]
        for watch in self.watches:
            lines += ["[[watch]]", *(f"{key} = {json.dumps(value)}" for key, value in watch.items())]
        file = self.home / "config.toml"
        file.write_text("\n".join(lines))
        environ = {"ASTRIA_BASE_URL": self.base_url}
        return config.load(file, profile=None, environ=environ, home=self.home)

    def root(self, name: str, **more: Any) -> Path:
        """One more watched root."""
        path = self.home / name
        path.mkdir(exist_ok=True)
        self.watches.append({"path": str(path), "output": str(self.home / f"{name}-out"), **more})
        return path

    @contextmanager
    def daemon(self, **how: Any) -> Iterator[Daemon]:
        """A running engine, until the end of the block."""
        daemon = Daemon(self, **how)
        try:
            daemon.start()
            yield daemon
        finally:
            daemon.close()

    def run_once(self, *, timeout: float = 10.0) -> "Studio":
        """`run --once`: everything that can be done is done when this returns."""
        with self.daemon() as daemon:
            assert daemon.run(timeout), f"it did not come to rest: {self.told(daemon.journal)}, {daemon.busy}"
        return self

    def crash(self, when: type | Callable[[Any], bool], *, sent: bool, timeout: float = 10.0) -> None:
        """Run until the first piece of this work is committed, and die there: before or after it went out."""
        test = (lambda piece: isinstance(piece, when)) if isinstance(when, type) else when
        with suppress(Crash), self.daemon(crash_when=test, sent=sent) as daemon:
            daemon.run(timeout)
            raise AssertionError(f"it never came to the crash: {self.told(daemon.journal)}")

    def command(self, name: str, *paths: Path) -> dict[str, Any]:
        """A command while no daemon runs."""
        with self.daemon() as daemon:
            return daemon.command(name, *paths)

    def outside(self, path: str, fields: dict[str, str], method: str = "POST") -> Any:
        """What somebody does with the account elsewhere: on the web page, with another client."""
        files = (("tune[images][]", Upload("x.jpg", "image/jpeg", self.photo())),) if path == "/tunes" else ()
        request = Request(
            method=method,
            path=path,
            query="",
            headers={"authorization": f"Bearer {self.sim.token}"},
            fields=tuple(fields.items()),
            files=files,
            host="api",
        )
        answer = self.sim.astria.handle(request)
        assert answer.status < 300, answer
        return answer.json()

    # Looking

    @contextmanager
    def journal(self) -> Iterator[Any]:
        """The state beside a daemon that may have it open in this process: a Place, when it is closed, drops that one's locks."""
        if not self.state.exists():
            open_journal(self.state, now=0).close()
        conn = sqlite3.connect(self.state, isolation_level=None)
        conn.execute("PRAGMA foreign_keys = ON")
        journal = Journal(Database(conn))
        try:
            yield journal
        finally:
            journal.close()

    @contextmanager
    def snapshot(self) -> Iterator[Any]:
        """The state as it is at the first question, whatever a daemon adds or removes before the last one."""
        with self.journal() as journal:
            journal.rows("BEGIN")
            yield journal

    def prompts(self, path: str | None = None) -> list[Any]:
        """Rows of one prompt file, or of all."""
        with self.snapshot() as journal:
            known = {source.id: source.path for source in journal.sources()}
            rows = journal.prompts("1 ORDER BY id")
            return [row for row in rows if path is None or known[row.source_id] == path]

    def only(self, path: str) -> Any:
        """The one row of a prompt file."""
        (row,) = self.prompts(path)
        return row

    def tune(self, path: str) -> Any:
        """The tune that a folder's prompts use."""
        with self.snapshot() as journal:
            (source,) = journal.sources("path = ? AND kind = 'folder'", [path])
            return journal.current_tune(source.id)

    def states(self) -> dict[str, Any]:
        """Source → state, of the rows that count."""
        with self.snapshot() as journal:
            return self._states(journal)

    @staticmethod
    def _states(journal: Any) -> dict[str, Any]:
        found: dict[str, Any] = {}
        known = {source.id: source.path for source in journal.sources()}
        for row in [*journal.tunes("current = 1"), *journal.prompts()]:
            path = known[row.source_id]
            found[path] = str(row.state) if path not in found else f"{found[path]}+{row.state}"
        return found

    def told(self, journal: Any) -> list[str]:
        known = {source.id: source.path for source in journal.sources()}
        rows = [*journal.tunes(), *journal.packs(), *journal.prompts()]
        gates = [tuple(row) for row in journal.rows("SELECT key, value FROM meta WHERE key LIKE 'gate:%'")]
        return [f"{known[row.source_id]}: {row.state} {row.reason} {row.error}" for row in rows] + gates

    def value(self, key: str) -> Any:
        with self.journal() as journal:
            return journal.get(key)

    def error(self, path: str) -> str | None:
        """What the error file of a prompt or folder says; None if there is none."""
        place = self.inbox / path
        name = place / "tune.error.txt" if place.is_dir() else place.with_name(place.name + ".error.txt")
        return name.read_text() if name.exists() else None

    def posts(self, path: str = PAID) -> list[Any]:
        """Creating requests that reached the simulator, answered or not."""
        return self.sim.ledger.requests("POST", path, host="api")

    def made(self) -> tuple[int, int]:
        """Tunes and prompts that came into being, and were paid."""
        return len(self.sim.ledger.created_tunes()), len(self.sim.ledger.created_prompts())

    def created(self, n: int = 0) -> Any:
        return self.sim.ledger.created_prompts()[n]

    def gets(self) -> int:
        return len(self.sim.ledger.requests("GET", host="api"))

    def files(self, folder: Path | None = None) -> list[str]:
        """Every file below the output, hidden ones too."""
        top = folder or self.output
        return sorted(str(path.relative_to(top)) for path in top.rglob("*") if path.is_file())

    def sidecar(self, row: Any) -> dict[str, Any]:
        (file,) = Path(row.output, row.folder).glob(f"*-{row.remote_id}.json")
        found: dict[str, Any] = json.loads(file.read_text())
        return found

    def check_pictures(self) -> int:
        """Every picture of every finished prompt is on disk as Astria has it, and nothing else is; how many there are."""
        expected: set[Path] = set()
        count = 0
        with self.snapshot() as journal:
            for row in journal.prompts("state = 'done' OR (state = 'deleted' AND done_at IS NOT NULL)"):
                folder = Path(row.output, row.folder)
                images = journal.images("prompt_id = ?", [row.id])
                assert len(images) == row.num_images, row.stem
                for image in images:
                    assert image.state == "saved"
                    bytes_there = (folder / image.file).read_bytes()
                    assert bytes_there == self.sim.picture_bytes(image.url or image.identity), image.file
                    expected.add(folder / image.file)
                    count += 1
                expected.add(folder / f"{row.stem}-{row.remote_id}.json")
        outputs = {Path(watch["output"]) for watch in self.watches}
        there = {path for top in outputs for path in top.rglob("*") if path.is_file()}
        assert there == expected
        return count


def _png_with(data: bytes, n: int) -> bytes:
    """A PNG with a comment, so that two of one colour differ."""
    from PIL.PngImagePlugin import PngInfo

    info, out = PngInfo(), io.BytesIO()
    info.add_text("n", str(n))
    Image.open(io.BytesIO(data)).save(out, "PNG", pnginfo=info)
    return out.getvalue()


def new_simulator(**options: Any) -> Simulator:
    return Simulator(Options(**{**FAST, **options}))


__all__ = ["FAST", "PAID", "TIMING", "Crash", "Daemon", "Studio", "new_simulator", "work"]
