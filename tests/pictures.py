"""Draws the pictures of the live view in docs/pictures, of made-up work: `python -m tests.pictures docs/pictures`."""

import html
import io
import re
import sys
import time
from pathlib import Path
from typing import Any

from rich.console import Console

from astria_sync.cli.screen import page
from astria_sync.cli.watching import as_text

NOW = time.mktime((2027, 1, 15, 12, 0, 0, 0, 0, -1))  # noon, wherever it is drawn
_ROOT = "/home/mia/Astria/inbox"
_OUTPUT = "/home/mia/Astria/generated"


def item(path: str, state: str, *, why: str = "", kind: str = "", **more: Any) -> dict[str, Any]:
    """One order, as live.py tells of it."""
    facts = dict.fromkeys(
        ("since_at", "usual_seconds", "done", "of", "sent_bytes", "of_bytes", "bytes_a_second")
    )
    of = kind or ("prompt" if path.endswith(".prompt") else "tune")
    common = {"kind": of, "path": path, "root": _ROOT, "state": state, "why": why, "variant": {}, "id": 1}
    return {**common, **facts, **more}


def quiet() -> dict[str, Any]:
    """A daemon with nothing to do."""
    since = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(NOW - 10_920))
    return {
        "version": 1,
        "daemon": {"running": True, "pid": 4242, "since": since},
        "state": "there",
        "paused": False,
        "balance_usd": 33.1,
        "spent": {"today_usd": 4.2, "limit_usd": 10.0},
        "doors": [],
        "next_expiry": None,
        "counts": {"tunes": {"ready": 3}, "prompts": {"done": 118}, "pictures": 472},
        "problems": [],
        "needs_you": {"count": 0, "items": []},
        "running": {"count": 0, "items": []},
        "waiting": {"count": 0, "states": {"waiting": 0, "queued": 0, "settling": 0}, "for": []},
        "recent": [],
    }


def busy() -> dict[str, Any]:
    """A morning's work, with something for a person to decide."""
    flagged = "Astria could not make it: the prompt was flagged by the model's safety filter"
    held = "more than 100 at one go; `astria-sync approve` lets them go"
    dresses = [
        item("lookbook.prompt", "held", why=held, variant={"dress": one}) for one in ("red", "brown", "blue")
    ]
    picture = "jane/beach/beach-30000411"
    return quiet() | {
        "doors": [
            {
                "kind": "slow",
                "text": "Astria asks to slow down; work goes on in a while.",
                "until_at": NOW + 80,
            }
        ],
        "next_expiry": {"path": "jane/studio.prompt", "deleted_at": NOW + 30 * 86400},
        "needs_you": {
            "count": 5,
            "items": [
                item("jane/neon.prompt", "failed", why=flagged),
                item("dresses/brown-dress", "failed", why="side.jpg is not whole"),
                *dresses,
            ],
        },
        "running": {
            "count": 4,
            "items": [
                item(
                    "shoes", "uploading", sent_bytes=11_900_000, of_bytes=26_400_000, bytes_a_second=1_200_000
                ),
                item("dresses/red-dress", "training", since_at=NOW - 723, usual_seconds=840.0),
                item("jane/studio.prompt", "downloading", done=1, of=4),
                item("jane/hiking.prompt", "generating", since_at=NOW - 18, usual_seconds=24.0),
            ],
        },
        "waiting": {
            "count": 14,
            "states": {"waiting": 12, "queued": 2, "settling": 0},
            "for": [{"name": "red-dress", "prompts": 9}, {"name": "shoes", "prompts": 3}],
        },
        "recent": [
            {
                "path": "jane/beach.prompt",
                "location": f"{_OUTPUT}/{picture}-{n}.jpg",
                "size": 1,
                "saved_at": NOW - 60,
            }
            for n in (2, 1)
        ],
    }


def drawings() -> dict[str, str]:
    """File name → SVG."""
    sizes = {"live.svg": (80, None), "live-narrow.svg": (46, 24)}
    return {name: _drawn(width, height) for name, (width, height) in sizes.items()}


def _drawn(width: int, height: int | None) -> str:
    console = Console(
        record=True, width=width, file=io.StringIO(), force_terminal=True, color_system="truecolor"
    )
    console.print(as_text(page(busy(), now=NOW, width=width, height=height)))
    drawing = console.export_svg(title="astria-sync status --watch", unique_id="live")
    # A document that fetches a font from somewhere tells where it is read.
    return re.sub(r"\n\s*@font-face \{.*?\}", "", drawing, flags=re.DOTALL)


def words(drawing: str) -> list[str]:
    """What can be read in an SVG."""
    return [html.unescape(text) for text in re.findall(r"<text[^>]*>([^<]*)</text>", drawing)]


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(exist_ok=True)
    for name, drawing in drawings().items():
        (folder / name).write_text(drawing, "utf-8")
