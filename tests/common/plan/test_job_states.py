"""The table of job states, held against its own drawing; every other event raises."""

from __future__ import annotations

from itertools import product

import pytest

from common.errors import JobStateError
from common.plan.job_states import TRANSITIONS, Event, State, after

# Written out again, so that a slip in the table shows.
ALLOWED: dict[str, dict[str, str]] = {
    "queued": {"offer": "offered", "fail": "failed", "cancel": "cancelled"},
    "offered": {"accepted": "running", "hold": "held", "interrupt": "waiting", "fail": "failed", "cancel": "cancelled"},
    "running": {"done": "succeeded", "interrupt": "waiting", "fail": "failed", "cancel": "cancelled"},
    "waiting": {"offer": "offered", "fail": "failed", "cancel": "cancelled"},
    "held": {"release": "queued", "fail": "failed", "cancel": "cancelled"},
    "succeeded": {},
    "failed": {},
    "cancelled": {},
}


@pytest.mark.parametrize(("state", "event"), list(product(State, Event)), ids=lambda value: value.value)
def test_every_combination_moves_as_written_or_raises(state: State, event: Event) -> None:
    expected = ALLOWED[state.value].get(event.value)
    before = dict(TRANSITIONS)
    if expected is None:
        with pytest.raises(JobStateError, match=f"job j-1 is {state.value}: it cannot be {event.told}") as caught:
            after(state, event, "j-1")
        assert caught.value.job == "j-1"
    else:
        assert after(state, event) is State(expected)
    assert before == TRANSITIONS


def test_final_states_are_those_that_nothing_leaves() -> None:
    assert {state for state in State if state.final} == {state for state in State if not ALLOWED[state.value]}


def test_every_state_can_be_reached_and_every_running_job_can_end() -> None:
    reached = {State.QUEUED} | set(TRANSITIONS.values())
    assert reached == set(State)
    for state in State:
        if not state.final:
            assert after(state, Event.FAIL) is State.FAILED
            assert after(state, Event.CANCEL) is State.CANCELLED
