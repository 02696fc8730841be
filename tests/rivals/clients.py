"""Command lines that can be put to the test, each told its server, token, words and output in its own way."""

import json
import os
import shlex
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

WORDS = "a lighthouse in the fog"
_LONGEST = 60.0  # seconds of one attempt


@dataclass
class Scene:
    """One client's home while a case is played."""

    home: Path
    base_url: str
    token: str
    seen: set[str] = field(default_factory=set)  # where the token showed itself

    @property
    def output(self) -> Path:
        return self.home / "out"

    def run(
        self, line: Sequence[str], *, kill: threading.Event | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end, or kill it when the event is set; watches what its processes are called with."""
        env = {key: os.environ[key] for key in ("PATH", "PYTHONPATH") if key in os.environ}
        env |= {"HOME": str(self.home), "ASTRIA_BASE_URL": self.base_url, "ASTRIA_AUTH_TOKEN": self.token}
        env |= {"ASTRIA_CONFIG_DIR": str(self.home / "config"), "ASTRIA_CACHE_DIR": str(self.home / "cache")}
        env |= {"ASTRIA_NO_AUTO_UPGRADE": "1", "XDG_RUNTIME_DIR": str(self.home)}
        process = subprocess.Popen(
            line,
            env=env,
            cwd=self.home,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        with _listening(self, process.pid), _killing(process, kill):
            try:
                out, err = process.communicate(timeout=_LONGEST)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, 9)
                out, err = process.communicate()
        if self.token in out + err:
            self.seen.add("its output")
        return subprocess.CompletedProcess(line, process.returncode, out, err)


@contextmanager
def _listening(scene: Scene, session: int) -> Iterator[None]:
    """Look at the arguments of every process of a session, as any user of the machine can."""
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.01):
            for place in Path("/proc").glob("[0-9]*"):
                try:
                    if (
                        os.getsid(int(place.name)) == session
                        and scene.token.encode() in (place / "cmdline").read_bytes()
                    ):
                        scene.seen.add("the process list")
                except OSError:
                    continue

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextmanager
def _killing(process: "subprocess.Popen[str]", kill: threading.Event | None) -> Iterator[None]:
    def wait() -> None:
        assert kill is not None
        if kill.wait(_LONGEST) and process.poll() is None:
            os.killpg(process.pid, 9)

    if kill is not None:
        threading.Thread(target=wait, daemon=True).start()
    yield


class AstriaSync:
    """This project: a prompt is saved, and `run --once` does the rest."""

    name = "astria-sync"

    def prepare(self, scene: Scene) -> None:
        inbox = scene.home / "inbox"
        inbox.mkdir()
        (inbox / "wish.prompt").write_text(WORDS)
        (scene.home / "config.toml").write_text(
            f'state = "state/s.db"\n[timing]\nsettle_seconds = 0.1\npoll_seconds = 0.1\nretry_base_seconds = 0.2\n'
            f'reconcile_after_seconds = 0.6\n[[watch]]\npath = "{inbox}"\noutput = "{scene.output}"\n'
        )

    def attempt(self, scene: Scene, kill: threading.Event | None) -> int:
        line = [
            sys.executable,
            "-m",
            "astria_sync",
            "--config",
            str(scene.home / "config.toml"),
            "run",
            "--once",
        ]
        return scene.run(line, kill=kill).returncode


class Official:
    """Astria's own client: login once, `generate --wait`, then `download`; all of it again if any of it fails."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.name = "Astria's client"

    def prepare(self, scene: Scene) -> None:
        scene.run(
            [sys.executable, self.path, "login", "--api-key", scene.token, "--base-url", scene.base_url]
        )
        scene.seen.clear()  # there it is told by the person

    def attempt(self, scene: Scene, kill: threading.Event | None) -> int:
        line = [sys.executable, self.path, "generate", "--text", WORDS, "--num-images", "1", "--wait"]
        done = scene.run(line, kill=kill)
        if done.returncode:
            return done.returncode
        try:
            made = str(json.loads(done.stdout)["id"])
        except (ValueError, KeyError, TypeError):
            return 1
        return scene.run([sys.executable, self.path, "download", made, "--out", str(scene.output)]).returncode


class Any:
    """A command line with places for {text}, {output}, {base_url} and {token}; the last two are in its environment too."""

    def __init__(self, template: str) -> None:
        self.template = template
        self.name = template.split(maxsplit=1)[0]

    def prepare(self, scene: Scene) -> None:
        scene.output.mkdir()

    def attempt(self, scene: Scene, kill: threading.Event | None) -> int:
        places = {
            "text": WORDS,
            "output": str(scene.output),
            "base_url": scene.base_url,
            "token": scene.token,
        }
        return scene.run([part.format(**places) for part in shlex.split(self.template)], kill=kill).returncode
