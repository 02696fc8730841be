"""Names that are safe on Linux, macOS and Windows, whatever the source was called.

Replacing is not reversible: `a:b` and `a?b` both become `a_b`. Nothing depends on the difference, because every
picture's name carries the id of its prompt. Names that are cut do stay apart, by a hash of the whole.
"""

import hashlib
import unicodedata
from pathlib import PurePosixPath

COMPONENT_BYTES = 120  # leaves room for "-<prompt id>-<n>.webp" and for a temporary name within 255
FILE_NAME_BYTES = 255

_RESERVED = frozenset('<>:"/\\|?*')
# Control, format (bidi overrides among them), surrogate, line and paragraph separators.
_UNSAFE_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_DEVICES = frozenset(
    {"con", "prn", "aux", "nul", "conin$", "conout$"}
    | {f"{port}{digit}" for port in ("com", "lpt") for digit in "0123456789¹²³"},
)


def safe_component(name: str) -> str:
    """One path component: never empty, hidden, reserved, or longer than COMPONENT_BYTES in UTF-8."""
    whole = unicodedata.normalize("NFC", name)
    safe = "".join(map(_safe_character, whole)).rstrip(". ")
    if safe.startswith("."):
        safe = "_" + safe[1:]
    if not safe or _is_device(safe):
        safe = "_" + safe
    return _shortened(safe, COMPONENT_BYTES, identity=whole)


def output_folder(folder: str, stem: str) -> PurePosixPath:
    """`<folder relative to its root>/<prompt stem>`; the root itself, ".", adds nothing."""
    parts = [part for part in folder.split("/") if part not in ("", ".")]
    return PurePosixPath(*map(safe_component, parts), safe_component(stem))


def picture_name(stem: str, prompt_id: int, n: int, extension: str) -> str:
    return f"{safe_component(stem)}-{prompt_id}-{n}{_safe_extension(extension)}"


def sidecar_name(stem: str, prompt_id: int) -> str:
    return f"{safe_component(stem)}-{prompt_id}.json"


def temporary_name(final: str) -> str:
    """The hidden name beside `final` while it is written; always the same one, so that a download can resume."""
    affixes = len(b"..part")
    return f".{_shortened(final, FILE_NAME_BYTES - affixes, identity=final)}.part"


def _safe_character(character: str) -> str:
    unsafe = character in _RESERVED or unicodedata.category(character) in _UNSAFE_CATEGORIES
    return "_" if unsafe else character


def _is_device(name: str) -> bool:
    # Windows looks only at what stands before the first dot: "NUL.tar.gz" and "nul .txt" are the device too.
    return name.partition(".")[0].rstrip(" ").casefold() in _DEVICES


def _safe_extension(extension: str) -> str:
    letters = "".join(c for c in extension if c.isascii() and c.isalnum())[:8]
    return f".{letters}" if letters else ""


def _shortened(name: str, limit: int, *, identity: str) -> str:
    encoded = name.encode("utf-8", "surrogatepass")
    if len(encoded) <= limit:
        return name
    digest = hashlib.sha256(identity.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    kept = encoded[: limit - len(digest) - 1].decode("utf-8", "ignore").rstrip(". ")
    return f"{kept}-{digest}"
