"""Which orders have failed, and which are nobody's trouble any more: a newer one has replaced them, or their file is gone.

Conditions in SQL over an order `o` and its source `s`, for whoever counts what is failed.
"""

from typing import Final

# Astria lost it before its pictures were here: that is a failure like any.
# What was made elsewhere has not failed here, and is not made anew.
FAILED_PROMPT: Final = (
    "(o.pulled = 0 AND (o.state = 'failed' OR (o.state = 'deleted' AND o.done_at IS NULL)))"
)
FAILED_TUNE: Final = "o.state = 'failed'"

_MADE_ANEW: Final = "EXISTS (SELECT 1 FROM prompts n WHERE n.source_id = o.source_id AND n.fingerprint = o.fingerprint AND n.run > o.run)"
STALE_PROMPT: Final = (
    f"(s.missing_since IS NOT NULL AND o.state IN ('failed', 'deleted')) OR (o.current = 0 AND {FAILED_PROMPT}) "
    f"OR ((o.state = 'deleted' OR (o.state = 'failed' AND o.remote_id IS NOT NULL)) AND {_MADE_ANEW} AND o.pulled = 0) "
    "OR (o.pulled = 1 AND o.state IN ('done', 'failed'))"  # it is counted as pictures, or as nothing
)
STALE_TUNE: Final = (
    "o.current = 0 OR (s.missing_since IS NOT NULL AND o.state IN ('failed', 'expired', 'deleted'))"
)

STALE_PACK: Final = "(o.current = 0 OR s.missing_since IS NOT NULL) AND o.state IN ('settling', 'waiting', 'held', 'queued', 'failed')"

# A pack that cannot be run stops the folder's tune as well, for the same reason: that is said once, of the tune.
SAID_OF_TUNE: Final = (
    "o.state = 'failed' AND o.bound_at IS NULL AND EXISTS (SELECT 1 FROM tunes t WHERE t.source_id = o.source_id "
    "AND t.current = 1 AND t.state = 'failed' AND t.reason = o.reason AND t.error = o.error)"
)

_JOINED: Final = (
    "SELECT o.id FROM {table} o JOIN sources s ON s.id = o.source_id WHERE {failed} AND NOT ({stale})"
)
FAILED_PROMPTS: Final = _JOINED.format(table="prompts", failed=FAILED_PROMPT, stale=STALE_PROMPT)
FAILED_TUNES: Final = _JOINED.format(table="tunes", failed=FAILED_TUNE, stale=STALE_TUNE)
FAILED_PACKS: Final = _JOINED.format(table="packs", failed="o.state = 'failed'", stale=STALE_PACK)
