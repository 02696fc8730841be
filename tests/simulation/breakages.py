"""Ways to break the product, each a switch that exists only here: a harness that lets one pass would prove nothing.

Each has the seed of a schedule that catches it; `python -m tests.simulation --breakages` looks for such seeds anew.
"""

import multiprocessing
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

from astria_sync import auditing, media, reconciling, sending
from astria_sync.binding import Binding
from astria_sync.core import reconcile, retry
from astria_sync.core.model import kind_of
from astria_sync.core.retry import Answer, NoAnswer, Verdict
from astria_sync.core.settle import Settling
from astria_sync.core.work import Download, NotSaved, Saved
from astria_sync.fetching import Fetching
from astria_sync.journal import Journal, open_journal
from astria_sync.sending import Sending
from tests.simulation import world
from tests.simulation.late import LostSchedule
from tests.simulation.machine import Broken, PowerDisk
from tests.simulation.schedule import Schedule, play

CAUGHT_BY = Path(__file__).with_name("caught_by.json")  # name → seed


@dataclass(frozen=True)
class Breakage:
    """A change for the worse: what it is, and where it is put in; some need more than one place."""

    name: str
    target: Any
    attribute: str
    instead: Any
    more: tuple[tuple[Any, str, Any], ...] = ()
    kind: type[Schedule] = Schedule  # of schedule, in which it shows

    @property
    def places(self) -> tuple[tuple[Any, str, Any], ...]:
        return ((self.target, self.attribute, self.instead), *self.more)


def _retry_a_504(result: Answer | NoAnswer) -> Verdict:
    lost = isinstance(result, Answer) and result.status >= 500
    return Verdict.LATER if lost else retry.judge_create(result)


def _never_sent(result: Answer | NoAnswer) -> Verdict:
    """Every broken connection is taken for one over which nothing was sent."""
    return Verdict.OFFLINE if isinstance(result, NoAnswer) else retry.judge_create(result)


_fixed = Sending._fixed
_arm_prompt = Sending._arm_prompt


def _one_seed(self: Sending, prompt: Any, ready: Any, workspace: str) -> dict[str, Any]:
    fixed = _fixed(self, prompt, ready, workspace)
    return {**fixed, "seed": 7, "params": {**fixed["params"], "seed": 7}}


def _new_seed_each_time(self: Sending, prompt: Any, ready: Any, workspace: str) -> None:
    self.ctx.journal.change("prompts", prompt.id, armed_at=None, seed=None, watermark=None)
    _arm_prompt(self, self.ctx.journal.prompt(prompt.id), ready, workspace)


_lost = Sending.lost


def _look_at_once(self: Sending, row: Any, why: str) -> None:
    """Looked for at once, while Astria may still be at it; and not a second time."""
    _lost(self, row, why)
    self.ctx.journal.change(f"{kind_of(row)}s", row.id, next_at=self.ctx.now, looks=1)


def _forget_the_crash(self: Sending) -> None:
    """What was armed when the last run ended is taken for never sent."""
    journal = self.ctx.journal
    for table, state in (("tunes", "uploading"), ("prompts", "submitting")):
        for row in journal.rows(f"SELECT id FROM {table} WHERE state = '{state}'"):
            journal.change(table, row["id"], state="queued")


def _unsynced(path: Any, *, now: float) -> Journal:
    journal = open_journal(path, now=now)
    journal._conn.execute("PRAGMA synchronous = NORMAL")
    return journal


def _same_words(remote: Any, *, text: str, watermark: int, **_: Any) -> bool:
    return remote.id > watermark and reconcile.squeeze(remote.text) == reconcile.squeeze(text)


_key_of = reconcile.key_of


def _key_of_words(thing: Any) -> str | None:
    key = _key_of(thing)
    return key.partition(" ")[2] if key and hasattr(thing, "text") else key


_ASKED_IN_WORDS = {**auditing._ASKED, "prompt": f"watermark IS NOT NULL AND {auditing._BLANKS}"}
_downloaded = Fetching.downloaded


def _from_its_end(self: Fetching, piece: Download, result: Saved | NotSaved) -> None:
    """What lies there of a picture is gone on with, whether it was made durable or not."""
    _downloaded(self, piece, replace(result, kept=2**40) if isinstance(result, NotSaved) else result)


BREAKAGES = (
    Breakage("a 504 is taken for a no", sending, "judge_create", _retry_a_504),
    Breakage("a broken connection is taken for one that never was", sending, "judge_create", _never_sent),
    Breakage("what was under way at a crash is sent again", Sending, "after_crash", _forget_the_crash),
    Breakage("all prompts have one seed", Sending, "_fixed", _one_seed),
    Breakage("a request that is sent again has a new seed", Sending, "_arm_prompt", _new_seed_each_time),
    Breakage("one look is enough, and never waited for", Sending, "lost", _look_at_once),
    Breakage("a commit is not on disk before a request goes out", world, "open_journal", _unsynced),
    Breakage("no fsync before a picture has its final name", PowerDisk, "make_durable", lambda *_: None),
    Breakage("what came is not looked at", media, "examine", lambda *_: (media.JPEG, None)),
    Breakage("what is still being written is sent", Settling, "see", lambda *_, **__: True),
    Breakage(
        "a request is recognised by its words alone",
        reconcile,
        "same_prompt",
        _same_words,
        (
            (reconcile, "key_of", _key_of_words),
            (auditing, "key_of", _key_of_words),
            (auditing, "_ASKED", _ASKED_IN_WORDS),
        ),
        LostSchedule,
    ),
    Breakage("a stale list is believed", reconciling, "look_counts", lambda **_: True, kind=LostSchedule),
    Breakage("an answer is taken whatever id it names", Binding, "owner", lambda *_: None),
    Breakage("a part of a picture is gone on with from its end", Fetching, "downloaded", _from_its_end),
)


@contextmanager
def broken(breakage: Breakage) -> Iterator[None]:
    """The product with this one change, until the end of the block."""
    with ExitStack() as stack:
        for target, attribute, instead in breakage.places:
            stack.enter_context(patch.object(target, attribute, instead))
        yield


def catches(breakage: Breakage, seed: int) -> str:
    """What a schedule says of the broken product; "" if it lets it pass."""
    with broken(breakage):
        try:
            play(seed, kind=breakage.kind)
        except TypeError:
            raise  # of a switch that does not fit any more: that catches nothing
        except (Exception, Broken) as error:  # noqa: BLE001 - any way to notice it counts
            return f"{type(error).__name__}: {error}"
    return ""


def first_that_catches(number: int) -> tuple[int | None, str]:
    """The first seed whose schedule notices this breakage, and what it says."""
    for seed in range(400):
        if said := catches(BREAKAGES[number], seed):
            return seed, said
    return None, ""


def search(workers: int) -> dict[str, int]:
    """For each breakage the first seed that catches it; those that none catches are told and left out."""
    found: dict[str, int] = {}
    with multiprocessing.Pool(workers) as pool:
        results = pool.imap(first_that_catches, range(len(BREAKAGES)), chunksize=1)
        for breakage, (seed, said) in zip(BREAKAGES, results, strict=True):
            told = "NOT CAUGHT" if seed is None else f"seed {seed}: {said[:150]}"
            print(f"{breakage.name}: {told}", flush=True)
            if seed is not None:
                found[breakage.name] = seed
    return found
