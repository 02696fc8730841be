"""What an order is called before a person: its file below its root, its variant, its pack."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

from astria_sync.cli.common import visible
from astria_sync.wording import of_variant


def names_of(items: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """What stands before a path to tell roots apart: nothing for one, else as little as will do."""
    roots = sorted({item["root"] for item in items})
    if len(roots) < 2:
        return dict.fromkeys(roots, "")
    short = [os.path.basename(root) for root in roots]
    return {
        root: f"{name if short.count(name) == 1 else root}/" for root, name in zip(roots, short, strict=True)
    }


def label_of(item: Mapping[str, Any], root: str) -> str:
    """An item of `status` in a few words; `root` is what names_of says of its root."""
    path = os.path.basename(item["root"]) if item["path"] == "." else root + item["path"]
    variant = of_variant(item.get("variant", {}))
    if pack := item.get("pack"):
        path, variant = (
            f"{path}/",
            f"pack {pack}" if item["kind"] == "pack" else f"{pack}, prompt {item['id']}",
        )
    return visible(f"{path}{'/' if item['kind'] == 'tune' else ''}{f' [{variant}]' if variant else ''}")
