"""Is anything left that could move by itself? If not, `run --once` ends."""

from typing import Final

from astria_sync.core import gates
from astria_sync.core.lifecycle import FINAL_PROMPTS, FINAL_TUNES
from astria_sync.engine import Engine

_PACKS_BESIDE: Final = {
    # A tune that waits for its pack goes with it; a pack that nobody wants any more is not sent, nor one whose tune has failed.
    "tunes": " AND NOT (state = 'queued' AND EXISTS (SELECT 1 FROM packs k WHERE k.source_id = tunes.source_id "
    "AND k.current = 1 AND k.state IN ('settling', 'waiting', 'held', 'queued')))",
    "packs": " AND (state NOT IN ('settling', 'queued') OR (current = 1 AND source_id IN "
    "(SELECT s.id FROM sources s JOIN tunes t ON t.source_id = s.id AND t.current = 1 "
    "WHERE s.missing_since IS NULL AND t.state IN ('settling', 'queued', 'ready'))))",
}


def idle(engine: Engine) -> bool:
    """Whether nothing is left that could move by itself."""
    if (
        engine.ctx.under_way
        or not engine.intake.idle
        or not engine.inbox.empty()
        or engine.prompting.restless
        or engine.adopting.restless
    ):
        return False
    if not looked_everywhere(engine):
        return False
    closed = engine.ctx.gates.closed
    rest = {*FINAL_TUNES, *FINAL_PROMPTS, "waiting", "held"}
    if engine.sending.paused or closed.keys() & {gates.AUTH, gates.BALANCE}:
        rest |= {"queued"}
    if gates.AUTH in closed:
        rest |= {"generating", "training", "unsure"}
    untold = "current = 1 AND patch != '{}' AND state IN ('training', 'ready')"
    if gates.AUTH not in closed and engine.ctx.journal.tunes(untold):
        return False
    if gates.AUTH not in closed and (
        engine.auditing.urgent or engine.pulling.restless or engine.following.vanishing.restless
    ):
        return False
    # Of a root that is not there nothing is sent, nor of one with an output that cannot be read.
    sending = engine.ctx.walked - engine.adopting.resting()
    # What really settles the intake knows; what else is said to was last seen on a disk, or in a folder, that is not to be seen now.
    seen = {*rest, "settling"}
    return not (
        _moves(engine, "tunes", seen, sending)
        or _moves(engine, "prompts", seen, sending - _full(engine))
        or _moves(engine, "packs", rest, sending - _full(engine))
    )


def _moves(engine: Engine, table: str, rest: set[str], sending: set[str]) -> bool:
    """Whether a row is in none of the states `rest`; queued ones count only in roots of which something is sent, and not if
    the day's limit holds them back.
    """
    here = f"SELECT id FROM sources WHERE root IN ({','.join('?' * len(sending))})"
    also = _PACKS_BESIDE.get(table, "")
    also += " AND pulled = 0" if table == "prompts" else ""  # what was pulled: pulling.py
    sql = (
        f"SELECT 1 FROM {table} WHERE state NOT IN ({','.join('?' * len(rest))}) "
        f"AND (state != 'queued' OR (needs_mc IS NULL AND source_id IN ({here}))){also} LIMIT 1"
    )
    return engine.ctx.journal.value(sql, [*rest, *sending]) is not None


def _full(engine: Engine) -> set[str]:
    """Roots whose output takes no pictures at present (room.py)."""
    ctx = engine.ctx
    return {root for root, watch in ctx.watches.items() if ctx.journal.get(f"output:{watch.output}")}


def looked_everywhere(engine: Engine) -> bool:
    """Whether each root was seen, or could not be."""
    broken = {root for root in engine.ctx.watches if engine.ctx.journal.get(f"root:{root}")}
    return engine.ctx.walked | broken >= set(engine.ctx.watches)
