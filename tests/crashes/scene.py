"""What has to survive: a folder of two pictures and its tune, a prompt in it and one beside it, and a stand-in for Astria.

The stand-in lives in this process, behind real HTTP; only what uses it is killed.
"""

import os
import re
import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import Any

from astria_sync.simulator import Simulator
from tests.studio_harness import Studio

_NUMBERED = re.compile(r"-\d+-\d+\.")
_MENTION = re.compile(r"^<faceid:\d+:1> woman,? ?")  # which a prompt in a folder gets in front
TOP = Path(__file__).resolve().parents[2]
TIMING = {
    "settle_seconds": 0.01,
    "poll_seconds": 0.01,
    "retry_base_seconds": 0.02,
    "retry_max_seconds": 0.1,
    "reconcile_after_seconds": 0.05,
}
OPTIONS: dict[str, Any] = {"train_seconds": 0.02, "generate_seconds": 0.01, "picture_px": 256, "seed": 7}


class Scene:
    """Folders, configuration, state and an account of its own for one crash and what comes after it."""

    def __init__(self, home: Path, sim: Simulator, **timing: float) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self.home, self.sim = home, sim
        self.studio = Studio(home, sim)
        self.studio.tables["timing"] = TIMING | timing
        self.log = home / "log"
        self._bytes: dict[str, bytes] = {}
        self.wanted: set[tuple[str, str]] = set()
        self.maybe: set[tuple[str, str]] = set()
        self._texts: dict[str, str] = {}
        # For so long that nobody can tell what was made: then twice is told, not excluded.
        self.lists_lie = False
        self.folder("jane")
        self.prompt("jane/hiking.prompt", "hiking in the alps", num_images=2)
        self.prompt("scarf.prompt", "a red scarf on a table")
        self.studio.settings()

    # What a person does

    def folder(self, name: str) -> None:
        self.studio.folder(name, 2, 'name = "woman"\n')
        self.wanted.add(("tune", name))

    def prompt(self, path: str, text: str, num_images: int = 1) -> None:
        self.studio.prompt(path, text, f"num_images: {num_images}")
        self.wanted.add(("prompt", text))
        self._texts[path] = text

    def edit(self, path: str, text: str) -> None:
        self.delete(path)
        self.prompt(path, text)

    def rename(self, path: str, new: str) -> None:
        (self.inbox / new).parent.mkdir(exist_ok=True)
        (self.inbox / path).rename(self.inbox / new)
        self._texts[new] = self._texts.pop(path)

    def delete(self, path: str) -> None:
        """What it asked for may have been ordered, or not."""
        (self.inbox / path).unlink()
        gone = ("prompt", self._texts.pop(path))
        self.wanted.remove(gone)
        self.maybe.add(gone)

    def prompts(self) -> list[str]:
        return sorted(self._texts)

    def given(self) -> set[str]:
        """The files that belong in the inbox."""
        folders = [name for kind, name in self.wanted if kind == "tune"]
        return {
            *self._texts,
            *(f"{name}/{file}" for name in folders for file in ("1.jpg", "2.jpg", "tune.toml")),
        }

    @property
    def inbox(self) -> Path:
        return self.studio.inbox

    @property
    def output(self) -> Path:
        return self.studio.output

    @property
    def state(self) -> Path:
        return self.studio.state

    def argv(self, *command: str) -> list[str]:
        return ["--config", str(self.home / "config.toml"), *command]

    def environ(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "XDG_RUNTIME_DIR": str(self.home / "runtime"),
            "ASTRIA_BASE_URL": self.sim.base_url,
            "ASTRIA_AUTH_TOKEN": self.sim.token,
            "PYTHONPATH": str(TOP),
            "PYTHONDONTWRITEBYTECODE": "1",
            "SSL_CERT_DIR": str(
                self.home
            ),  # nothing here speaks TLS, and to load its certificates takes 0.1 s
        }

    # What Astria has

    def pictures(self) -> dict[int, list[bytes]]:
        """Prompt → its pictures, as Astria has them, without those of prompts that it refused."""
        found: dict[int, list[bytes]] = {}
        for path, (prompt, _) in self.sim.astria.world.pictures.copy().items():
            if prompt.error is None:
                found.setdefault(prompt.id, []).append(self._picture(path))
        return found

    def _picture(self, path: str) -> bytes:
        if path not in self._bytes:
            self._bytes[path] = self.sim.picture_bytes(path)
        return self._bytes[path]

    def paid_requests(self) -> int:
        return len(self.studio.posts())

    # What is on disk

    def published(self) -> list[Path]:
        """Every file below the output under a final name."""
        return [path for path in _files(self.output) if not path.name.startswith(".")]

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """What the state says; it must be at rest."""
        if not self.state.exists():
            return []
        connection = sqlite3.connect(f"file:{self.state}?mode=ro", uri=True, timeout=5)
        try:
            return connection.execute(sql).fetchall()
        finally:
            connection.close()

    def made(self) -> dict[tuple[str, str], list[int]]:
        """The ids of what was paid for, by kind and what tells it apart: a tune's title, a prompt's own words."""
        made: dict[tuple[str, str], list[int]] = {}
        for one in self.sim.ledger.created():
            what = one.facts["title"] if one.kind == "tune" else _MENTION.sub("", one.facts["text"])
            made.setdefault((one.kind, what), []).append(one.id)
        return made

    def finished(self) -> bool:
        """Whether all that is wanted was made, and the state has nothing that is still to come."""
        if not {*self.made()} >= self.wanted:
            return False
        with suppress(sqlite3.Error):
            return not self.unfinished()
        return False

    def unfinished(self) -> list[tuple[Any, ...]]:
        """Rows that are not done, with the reason that `status` gives."""
        return self.rows(
            "SELECT state, reason FROM prompts WHERE state != 'done' "
            "UNION ALL SELECT state, reason FROM tunes WHERE state != 'ready'"
        )

    def place(self, path: str) -> str:
        """What a file is for: picture, sidecar, folder (of the output), note, state, lock, control, socket; "" for no matter."""
        if path.startswith("socket:"):
            return "socket"
        if not path.startswith(f"{self.home}/"):
            return ""
        if path.startswith(f"{self.output}"):
            name = path.rpartition("/")[2]
            return "sidecar" if ".json" in name else "picture" if _NUMBERED.search(name) else "folder"
        if path.startswith(str(self.inbox)):
            return "note"
        if path.startswith(str(self.home / "runtime")) or path.endswith((".lock", ".pid", ".tmp")):
            return "lock"
        if path.startswith(str(self.state.parent)):
            return "control" if path.endswith(".sock") else "state"
        return ""


def _files(top: Path) -> list[Path]:
    return [Path(folder, name) for folder, _, names in os.walk(top) for name in names]
