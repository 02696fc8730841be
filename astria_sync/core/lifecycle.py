"""The life of a tune, of a prompt, and of the run of a pack: one table each, and nothing moves that is not listed here.

The diagrams in docs/design.md are drawn from these tables by `mermaid`, and a test compares them.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class TuneState(StrEnum):
    """Where one tune (one image folder's order at Astria) stands; the words are the contract's."""

    SETTLING = "settling"  # it may still change; taken up once it has not for `settle_seconds`
    QUEUED = "queued"  # understood, and waits for its turn, for room, or for the day's limit
    UPLOADING = "uploading"  # its pictures are on the way to Astria
    UNSURE = "unsure"  # they were sent and the answer got lost; Astria's lists are searched before anything is sent again
    TRAINING = "training"  # Astria has it and makes the tune
    READY = "ready"  # it can be used
    FAILED = "failed"  # the reason lies beside it and in `status`; nothing more happens by itself
    EXPIRED = "expired"  # Astria deleted it at the end of its 30 days; `retrain` makes a new one
    DELETED = "deleted"  # Astria does not have it any more


class PromptState(StrEnum):
    """Where one prompt (one request for pictures) stands; the words are the contract's."""

    SETTLING = "settling"  # it may still change; taken up once it has not for `settle_seconds`
    WAITING = "waiting"  # for a tune that it mentions, or that it is sent to
    HELD = "held"  # by `hold_above` or by the day's limit; `approve` lets it go
    QUEUED = "queued"  # understood, and waits for its turn, for room, or for a door that is closed
    SUBMITTING = "submitting"  # on the way to Astria
    UNSURE = "unsure"  # it was sent and the answer got lost; Astria's lists are searched before anything is sent again
    GENERATING = "generating"  # Astria has it and makes the pictures
    DOWNLOADING = "downloading"  # there are pictures, and not all of them are here
    DONE = "done"  # every picture and the record are on disk
    FAILED = "failed"  # the reason lies beside it and in `status`; nothing more happens by itself
    DELETED = "deleted"  # Astria does not have it any more, before all pictures were here or since its file was deleted


class PackState(StrEnum):
    """Where the run of one pack on one image folder stands, in the words of prompts."""

    SETTLING = "settling"  # what the pack is, is not known yet
    WAITING = "waiting"  # for the folder's tune
    HELD = "held"  # by `hold_above` or by the day's limit; `approve` lets it go
    QUEUED = "queued"  # understood, and waits for its turn
    SUBMITTING = "submitting"  # on the way to Astria
    UNSURE = "unsure"  # it was sent and the answer got lost; its prompts are looked for
    GENERATING = "generating"  # made; not all of its prompts have shown up
    DONE = "done"  # all of its prompts are known, and go their own ways
    FAILED = "failed"  # the reason lies in the folder and in `status`


class Event(StrEnum):
    """What can happen to a tune, a prompt or the run of a pack."""

    SETTLED = "settled"  # the file stands still and is understood
    INVALID = "invalid"  # it cannot be sent as it is; the person must change something
    CHANGED = "changed"  # the file changed before anything was sent, or after a failure
    WAITS = "waits"  # a tune that it mentions is not ready
    HELD = "held"  # more new prompts at one go than `hold_above`, or more money than the day's limit
    APPROVED = "approved"  # a person let it go
    ARMED = "armed"  # the intent is durable; from here on bytes may go out
    NOT_SENT = "not_sent"  # proof that Astria did not act: nothing went out, or it said "later"
    LOST = "lost"  # bytes went out and the answer is unknown
    ABSENT = "absent"  # enough clean looks did not find it: it may be sent again, with the same seed
    BOUND = "bound"  # Astria's id is known
    REFUSED = "refused"  # Astria said no
    TRAINED = "trained"  # the tune can be used
    PICTURED = "pictured"  # the prompt has pictures to fetch
    SAVED = "saved"  # every picture and the sidecar are on disk
    USER_ERROR = "user_error"  # Astria could not make it
    RETRY = "retry"  # a person asked for it again
    GONE = "gone"  # Astria does not have it any more
    REMOVED = "removed"  # deleted there since its file was deleted here (`on_delete`)
    EXPIRED = "expired"  # Astria deleted it at the end of its 30 days
    COMPLETE = "complete"  # every prompt of a pack's run is known, or no more will come


class IllegalMoveError(RuntimeError):
    """A move that no table lists: a defect of the program, never of the person's files."""


_T = TuneState
_P = PromptState
_K = PackState
_E = Event

TUNE_MOVES: Final[Mapping[tuple[TuneState, Event], TuneState]] = {
    (_T.SETTLING, _E.SETTLED): _T.QUEUED,
    (_T.SETTLING, _E.INVALID): _T.FAILED,
    (
        _T.SETTLING,
        _E.BOUND,
    ): _T.TRAINING,  # an attempt that was lost turned up; so for all that is bound below
    (_T.QUEUED, _E.CHANGED): _T.SETTLING,
    (_T.QUEUED, _E.SETTLED): _T.QUEUED,
    (_T.QUEUED, _E.INVALID): _T.FAILED,
    (_T.QUEUED, _E.ARMED): _T.UPLOADING,
    (_T.QUEUED, _E.BOUND): _T.TRAINING,  # adopted, or `id` in tune.toml
    (_T.QUEUED, _E.REFUSED): _T.FAILED,  # `id` names a tune that is not there
    (_T.UPLOADING, _E.NOT_SENT): _T.QUEUED,
    (_T.UPLOADING, _E.LOST): _T.UNSURE,
    (_T.UPLOADING, _E.BOUND): _T.TRAINING,
    (_T.UPLOADING, _E.REFUSED): _T.FAILED,
    (_T.UNSURE, _E.BOUND): _T.TRAINING,
    (_T.UNSURE, _E.ABSENT): _T.QUEUED,
    (_T.TRAINING, _E.TRAINED): _T.READY,
    (_T.TRAINING, _E.USER_ERROR): _T.FAILED,
    (_T.TRAINING, _E.GONE): _T.DELETED,
    (_T.READY, _E.EXPIRED): _T.EXPIRED,
    (_T.READY, _E.GONE): _T.DELETED,
    (_T.READY, _E.REMOVED): _T.DELETED,
    (_T.FAILED, _E.REMOVED): _T.DELETED,
    (_T.FAILED, _E.SETTLED): _T.QUEUED,
    (_T.FAILED, _E.INVALID): _T.FAILED,
    (_T.FAILED, _E.RETRY): _T.SETTLING,
    (_T.FAILED, _E.BOUND): _T.TRAINING,
    (_T.DELETED, _E.BOUND): _T.TRAINING,  # a list shows it again
}

PROMPT_MOVES: Final[Mapping[tuple[PromptState, Event], PromptState]] = {
    (_P.SETTLING, _E.SETTLED): _P.QUEUED,
    (_P.SETTLING, _E.WAITS): _P.WAITING,
    (_P.SETTLING, _E.HELD): _P.HELD,
    (_P.SETTLING, _E.INVALID): _P.FAILED,
    (_P.SETTLING, _E.BOUND): _P.GENERATING,  # adopted, by a record beside its pictures; like the two below
    (_P.WAITING, _E.WAITS): _P.WAITING,
    (_P.WAITING, _E.SETTLED): _P.QUEUED,
    (_P.WAITING, _E.INVALID): _P.FAILED,
    (_P.WAITING, _E.BOUND): _P.GENERATING,
    (_P.HELD, _E.APPROVED): _P.WAITING,
    (_P.HELD, _E.SETTLED): _P.QUEUED,  # the day's limit has room for it again
    (_P.HELD, _E.INVALID): _P.FAILED,
    (_P.HELD, _E.BOUND): _P.GENERATING,
    (_P.QUEUED, _E.SETTLED): _P.QUEUED,
    (_P.QUEUED, _E.WAITS): _P.WAITING,
    (_P.QUEUED, _E.HELD): _P.HELD,
    (_P.QUEUED, _E.INVALID): _P.FAILED,
    (_P.QUEUED, _E.ARMED): _P.SUBMITTING,
    (_P.QUEUED, _E.BOUND): _P.GENERATING,  # adopted, from Astria's lists too
    (_P.SUBMITTING, _E.NOT_SENT): _P.QUEUED,
    (_P.SUBMITTING, _E.LOST): _P.UNSURE,
    (_P.SUBMITTING, _E.BOUND): _P.GENERATING,
    (_P.SUBMITTING, _E.REFUSED): _P.FAILED,
    (_P.UNSURE, _E.BOUND): _P.GENERATING,
    (_P.UNSURE, _E.ABSENT): _P.QUEUED,
    (_P.GENERATING, _E.PICTURED): _P.DOWNLOADING,
    (_P.GENERATING, _E.USER_ERROR): _P.FAILED,
    (_P.GENERATING, _E.GONE): _P.DELETED,
    (_P.DOWNLOADING, _E.SAVED): _P.DONE,
    (_P.DONE, _E.PICTURED): _P.DOWNLOADING,  # one more appeared, or one is to be fetched again
    (_P.DOWNLOADING, _E.GONE): _P.DELETED,
    (_P.FAILED, _E.SETTLED): _P.QUEUED,
    (_P.FAILED, _E.WAITS): _P.WAITING,
    (_P.FAILED, _E.INVALID): _P.FAILED,
    (_P.FAILED, _E.RETRY): _P.WAITING,
    (_P.FAILED, _E.BOUND): _P.GENERATING,
    (_P.DONE, _E.REMOVED): _P.DELETED,
    (_P.FAILED, _E.REMOVED): _P.DELETED,
    (_P.DELETED, _E.BOUND): _P.GENERATING,
}

PACK_MOVES: Final[Mapping[tuple[PackState, Event], PackState]] = {
    (_K.SETTLING, _E.WAITS): _K.WAITING,
    (_K.SETTLING, _E.SETTLED): _K.QUEUED,
    (_K.SETTLING, _E.INVALID): _K.FAILED,
    (_K.SETTLING, _E.BOUND): _K.GENERATING,  # adopted, by records beside its pictures; like the three below
    (_K.WAITING, _E.WAITS): _K.WAITING,
    (_K.WAITING, _E.SETTLED): _K.QUEUED,
    (_K.WAITING, _E.INVALID): _K.FAILED,
    (_K.WAITING, _E.BOUND): _K.GENERATING,
    (_K.HELD, _E.APPROVED): _K.WAITING,
    (_K.HELD, _E.SETTLED): _K.QUEUED,  # the day's limit has room for it again
    (_K.HELD, _E.INVALID): _K.FAILED,
    (_K.HELD, _E.CHANGED): _K.SETTLING,
    (_K.HELD, _E.BOUND): _K.GENERATING,
    (_K.QUEUED, _E.WAITS): _K.WAITING,
    (_K.QUEUED, _E.HELD): _K.HELD,
    (_K.QUEUED, _E.CHANGED): _K.SETTLING,
    (_K.QUEUED, _E.INVALID): _K.FAILED,
    (_K.QUEUED, _E.ARMED): _K.SUBMITTING,
    (_K.QUEUED, _E.BOUND): _K.GENERATING,  # adopted, from Astria's lists too
    (_K.SUBMITTING, _E.NOT_SENT): _K.QUEUED,
    (_K.SUBMITTING, _E.LOST): _K.UNSURE,
    (_K.SUBMITTING, _E.BOUND): _K.GENERATING,
    (_K.SUBMITTING, _E.REFUSED): _K.FAILED,
    (_K.UNSURE, _E.BOUND): _K.GENERATING,
    (_K.UNSURE, _E.ABSENT): _K.QUEUED,
    (_K.GENERATING, _E.COMPLETE): _K.DONE,
    (_K.FAILED, _E.CHANGED): _K.SETTLING,
    (_K.FAILED, _E.RETRY): _K.SETTLING,
    (_K.FAILED, _E.BOUND): _K.GENERATING,  # refused, and there after all
}

# A row in one of these has nothing at Astria and no request under way: it may be dropped or made anew.
UNSENT_TUNES: Final = frozenset({_T.SETTLING, _T.QUEUED})
UNSENT_PROMPTS: Final = frozenset({_P.SETTLING, _P.WAITING, _P.HELD, _P.QUEUED})
UNSENT_PACKS: Final = frozenset({_K.SETTLING, _K.WAITING, _K.HELD, _K.QUEUED})
# Finished: nothing more happens by itself.
FINAL_TUNES: Final = frozenset({_T.READY, _T.FAILED, _T.EXPIRED, _T.DELETED})
FINAL_PROMPTS: Final = frozenset({_P.DONE, _P.FAILED, _P.DELETED})
FINAL_PACKS: Final = frozenset({_K.DONE, _K.FAILED})


def advance_tune(state: TuneState, event: Event) -> TuneState:
    """The state after `event`; raises IllegalMoveError if the table does not list it."""
    try:
        return TUNE_MOVES[state, event]
    except KeyError:
        raise IllegalMoveError(f"a tune that is {state} cannot be {event}") from None


def advance_prompt(state: PromptState, event: Event) -> PromptState:
    """The state after `event`; raises IllegalMoveError if the table does not list it."""
    try:
        return PROMPT_MOVES[state, event]
    except KeyError:
        raise IllegalMoveError(f"a prompt that is {state} cannot be {event}") from None


def advance_pack(state: PackState, event: Event) -> PackState:
    """The state after `event`; raises IllegalMoveError if the table does not list it."""
    try:
        return PACK_MOVES[state, event]
    except KeyError:
        raise IllegalMoveError(f"a pack that is {state} cannot be {event}") from None


_Moves = (
    Mapping[tuple[TuneState, Event], TuneState]
    | Mapping[tuple[PromptState, Event], PromptState]
    | Mapping[tuple[PackState, Event], PackState]
)


def mermaid(moves: _Moves) -> str:
    """A Mermaid state diagram of a table, for docs/design.md."""
    lines = [f"    {state} --> {after}: {event}" for (state, event), after in moves.items()]
    return "\n".join(["stateDiagram-v2", "    [*] --> settling", *lines])
