"""Orders that are nobody's trouble any more: a newer version has replaced them, or their file is gone.

Conditions in SQL over an order `o` and its source `s`, for whoever counts what is failed.
"""

from typing import Final

STALE_PROMPT: Final = "(s.missing_since IS NOT NULL AND o.state IN ('failed', 'deleted')) OR (o.state = 'failed' AND o.current = 0)"
STALE_TUNE: Final = (
    "o.current = 0 OR (s.missing_since IS NOT NULL AND o.state IN ('failed', 'expired', 'deleted'))"
)

_JOINED: Final = "SELECT o.id FROM {table} o JOIN sources s ON s.id = o.source_id WHERE o.state = 'failed' AND NOT ({stale})"
FAILED_PROMPTS: Final = _JOINED.format(table="prompts", stale=STALE_PROMPT)
FAILED_TUNES: Final = _JOINED.format(table="tunes", stale=STALE_TUNE)
