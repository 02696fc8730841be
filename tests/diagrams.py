"""Draws the state diagrams of docs/design.md from the code's own tables: `python -m tests.diagrams docs/design.md`."""

import re
import sys
from pathlib import Path

from astria_sync.core.lifecycle import PACK_MOVES, PROMPT_MOVES, TUNE_MOVES, mermaid


def redrawn(text: str) -> str:
    """The document with its diagrams as the tables have them now."""
    for name, moves in (("tunes", TUNE_MOVES), ("prompts", PROMPT_MOVES), ("packs", PACK_MOVES)):
        drawing = f"\\1\n```mermaid\n{mermaid(moves)}\n```\n<!-- end -->"
        text = re.sub(
            rf"(<!-- {name}: from core/lifecycle.py -->).*?<!-- end -->", drawing, text, flags=re.DOTALL
        )
    return text


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(redrawn(path.read_text()))
