"""The two tables of states, against the words of the contract and against paying twice."""

import pytest

from astria_sync.core.lifecycle import (
    FINAL_PACKS,
    FINAL_PROMPTS,
    FINAL_TUNES,
    PACK_MOVES,
    PROMPT_MOVES,
    TUNE_MOVES,
    UNSENT_PACKS,
    UNSENT_PROMPTS,
    UNSENT_TUNES,
    Event,
    IllegalMoveError,
    PackState,
    PromptState,
    TuneState,
    advance_pack,
    advance_prompt,
    advance_tune,
    mermaid,
)

TABLES = [
    pytest.param(TuneState, TUNE_MOVES, advance_tune, id="tune"),
    pytest.param(PromptState, PROMPT_MOVES, advance_prompt, id="prompt"),
    pytest.param(PackState, PACK_MOVES, advance_pack, id="pack"),
]
# The one state of each table in which a request that costs is on its way.
SENDING = {
    TuneState: TuneState.UPLOADING,
    PromptState: PromptState.SUBMITTING,
    PackState: PackState.SUBMITTING,
}
RUNNING = {
    TuneState: TuneState.TRAINING,
    PromptState: PromptState.GENERATING,
    PackState: PackState.GENERATING,
}
UNSENT = {TuneState: UNSENT_TUNES, PromptState: UNSENT_PROMPTS, PackState: UNSENT_PACKS}
FINAL = {TuneState: FINAL_TUNES, PromptState: FINAL_PROMPTS, PackState: FINAL_PACKS}
# Finished, but something more can come of it: a person's wish, a new file, the end of 30 days, one more picture, or a list that
# shows what was thought to be gone.
LEAVES_THE_END = {
    TuneState: {TuneState.READY, TuneState.FAILED, TuneState.DELETED},
    PromptState: {PromptState.DONE, PromptState.FAILED, PromptState.DELETED},
    PackState: {PackState.FAILED},
}


def reached(moves, start, *, without=()):
    """Every state that a walk along the table comes to from `start`, `without` these events."""
    seen, todo = {start}, [start]
    while todo:
        here = todo.pop()
        for (state, event), after in moves.items():
            if state == here and event not in without and after not in seen:
                seen.add(after)
                todo.append(after)
    return seen


def test_the_words_are_the_contracts():
    """Scripts read these words in `status --json`; they stay in this order and spelling."""
    assert " ".join(TuneState) == "settling queued uploading unsure training ready failed expired deleted"
    assert " ".join(PromptState) == (
        "settling waiting held queued submitting unsure generating downloading done failed deleted"
    )


@pytest.mark.parametrize(("states", "moves", "advance"), TABLES)
def test_every_state_is_reachable(states, moves, advance):
    """A walk from `settling` comes to every state."""
    assert reached(moves, states("settling")) == set(states)


@pytest.mark.parametrize(("states", "moves", "advance"), TABLES)
def test_every_state_can_be_left_but_the_ends(states, moves, advance):
    """Only a tune whose 30 days are over, and a pack that was run, are at their end for good; whatever is not finished can go on."""
    left = {state for (state, _), after in moves.items() if after != state}
    assert left == set(states) - (FINAL[states] - LEAVES_THE_END[states])


@pytest.mark.parametrize(("states", "moves", "advance"), TABLES)
def test_every_state_leads_to_an_end(states, moves, advance):
    """From everywhere some way leads to a finished state: nothing can be stuck for ever."""
    assert all(reached(moves, state) & FINAL[states] for state in states)


@pytest.mark.parametrize(("states", "moves", "advance"), TABLES)
def test_moves_are_the_tables_and_no_others(states, moves, advance):
    """A listed move gives the listed state, and any other raises and says what was tried."""
    for state in states:
        for event in Event:
            if (state, event) in moves:
                assert advance(state, event) is moves[state, event]
            else:
                with pytest.raises(IllegalMoveError, match=f"{state} cannot be {event}"):
                    advance(state, event)


def test_every_event_is_used():
    """No event is listed that neither a tune nor a prompt nor a pack knows."""
    assert {event for _, event in (*TUNE_MOVES, *PROMPT_MOVES, *PACK_MOVES)} == set(Event)


@pytest.mark.parametrize(("states", "moves", "advance"), TABLES)
def test_unsure_is_left_by_a_look_alone(states, moves, advance):
    """What may have been made is left by finding it, or by not finding it, and by nothing else."""
    leaving = {event: after for (state, event), after in moves.items() if state == "unsure"}
    assert leaving == {Event.BOUND: RUNNING[states], Event.ABSENT: states("queued")}


@pytest.mark.parametrize(("states", "moves", "advance"), TABLES)
def test_only_an_armed_request_is_on_its_way(states, moves, advance):
    """The sending state is entered from `queued` by ARMED, and left by the four things an answer can mean."""
    entering = {key for key, after in moves.items() if after is SENDING[states]}
    leaving = {event: after for (state, event), after in moves.items() if state is SENDING[states]}
    assert entering == {(states("queued"), Event.ARMED)}
    assert leaving == {
        Event.NOT_SENT: states("queued"),
        Event.LOST: states("unsure"),
        Event.BOUND: RUNNING[states],
        Event.REFUSED: states("failed"),
    }


@pytest.mark.parametrize(("states", "moves", "advance"), TABLES)
def test_what_was_made_is_not_made_again_by_itself(states, moves, advance):
    """Once Astria has it, only a failure that a person answers leads back to sending."""
    after_failure = {Event.RETRY, Event.CHANGED, Event.SETTLED, Event.WAITS}
    way = reached(
        {key: to for key, to in moves.items() if key[0] != "failed" or key[1] not in after_failure},
        RUNNING[states],
    )
    assert not way & (UNSENT[states] | {SENDING[states], states("unsure")})


@pytest.mark.parametrize(("states", "moves", "advance"), TABLES)
def test_what_may_be_dropped_was_never_sent(states, moves, advance):
    """Unsent states come before ARMED; a walk without it never leaves them but to a failure or an adopted object."""
    # What is removed at Astria was made there: only such a failure can be.
    way = reached(moves, states("settling"), without={Event.ARMED, Event.BOUND, Event.REMOVED})
    assert UNSENT[states] <= way <= UNSENT[states] | {states("failed")}
    assert SENDING[states] not in UNSENT[states]
    assert states("unsure") not in UNSENT[states]


@pytest.mark.parametrize(("states", "moves", "advance"), TABLES)
def test_the_diagram_is_the_table(states, moves, advance):
    """Mermaid's text has one arrow a move, in the table's order, and nothing besides."""
    first, start, *arrows = mermaid(moves).split("\n")
    assert (first, start) == ("stateDiagram-v2", "    [*] --> settling")
    assert arrows == [f"    {state} --> {after}: {event}" for (state, event), after in moves.items()]
