"""A job's states and the events that move it: one table. An event that is not in it raises and changes nothing.

QUEUED ──offer──> OFFERED ──accepted──> RUNNING ──done──> SUCCEEDED
  ▲                │   ▲                   │
  │                ├───┼──interrupt────────┴──> WAITING
  │                │   └──────offer────────────────┘
  └──release── HELD <──hold

Each of the five that are not over also becomes CANCELLED by cancel, and FAILED by fail.
"""

from __future__ import annotations

from enum import Enum

from common.errors import JobStateError


class State(Enum):
    QUEUED = "queued"
    OFFERED = "offered"
    RUNNING = "running"
    WAITING = "waiting"
    HELD = "held"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def final(self) -> bool:
        return self in (State.SUCCEEDED, State.FAILED, State.CANCELLED)

    @property
    def rests(self) -> bool:
        """Whether nothing is done about such a job: it is over, or held."""
        return self.final or self is State.HELD


class Event(Enum):
    OFFER = "offer"  # both parties are attending and are asked
    ACCEPTED = "accepted"  # both accepted
    DONE = "done"  # both reported
    HOLD = "hold"  # a party keeps it until its people say that it may run
    RELEASE = "release"  # they have all spoken: the job is offered again
    INTERRUPT = "interrupt"  # a lost party or line, a restart: it goes on from what both parties keep
    FAIL = "fail"  # a refusal, an error, a disturbance that lasts too long
    CANCEL = "cancel"  # a client asked

    @property
    def told(self) -> str:
        """What has happened to the job, as a participle."""
        words = {"offer": "offered", "hold": "held", "release": "released", "interrupt": "interrupted"}
        return (words | {"fail": "failed", "cancel": "cancelled"}).get(self.value, self.value)


TRANSITIONS: dict[tuple[State, Event], State] = {
    (State.QUEUED, Event.OFFER): State.OFFERED,
    (State.QUEUED, Event.FAIL): State.FAILED,
    (State.QUEUED, Event.CANCEL): State.CANCELLED,
    (State.OFFERED, Event.ACCEPTED): State.RUNNING,
    (State.OFFERED, Event.HOLD): State.HELD,
    (State.OFFERED, Event.INTERRUPT): State.WAITING,
    (State.OFFERED, Event.FAIL): State.FAILED,
    (State.OFFERED, Event.CANCEL): State.CANCELLED,
    (State.RUNNING, Event.DONE): State.SUCCEEDED,
    (State.RUNNING, Event.INTERRUPT): State.WAITING,
    (State.RUNNING, Event.FAIL): State.FAILED,
    (State.RUNNING, Event.CANCEL): State.CANCELLED,
    (State.HELD, Event.RELEASE): State.QUEUED,
    (State.HELD, Event.FAIL): State.FAILED,
    (State.HELD, Event.CANCEL): State.CANCELLED,
    (State.WAITING, Event.OFFER): State.OFFERED,
    (State.WAITING, Event.FAIL): State.FAILED,
    (State.WAITING, Event.CANCEL): State.CANCELLED,
}


def after(state: State, event: Event, job: str = "") -> State:
    """The state that follows; raises JobStateError for an event the state does not allow."""
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise JobStateError(f"job {job} is {state.value}: it cannot be {event.told}", job=job) from None
