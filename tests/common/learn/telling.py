"""What each way to tell reasons on shares is held to: bytes as stated, messages that look like chance."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from common.mpc.cost import Cost
from common.mpc.session import Kind
from common.party import Party
from tests.common.mpc.uniform import uneven
from tests.peers import Trio


def check_bytes(trio: Trio, stated: Callable[[Party], Cost]) -> None:
    """What each party has sent, heard and been dealt, but for its seed; and the bank has told nothing."""
    for party in Party:
        found = stated(party)
        assert sum(trio.session[party].traffic.sent.values()) == found.peer_sent
        assert sum(trio.session[party.other].traffic.sent.values()) == found.peer_received
        assert sum(values.nbytes for label, values in trio.to_party[party].log if label.kind is not Kind.SEED) == found.dealt
    assert Kind.GRID_REASONS not in trio.session[Party.BANK].traffic.sent


def check_uniform(trios: Iterable[Trio], least: int) -> None:
    """All that was sent and dealt of each kind, where it is `least` bytes and more, but for the seed and what is told."""
    seen: dict[tuple[Party, Kind], list[bytes]] = {}
    for trio in trios:
        for party in Party:
            for label, sent in (*trio.peer[party].log, *trio.to_party[party].log[1:]):
                if label.kind is Kind.MASKED_RANKS:  # five bits of each
                    sent = sent[:, ::2] | sent[:, 1::2] << np.uint8(5)
                if label.kind is not Kind.GRID_REASONS:
                    seen.setdefault((party, label.kind), []).append(np.ascontiguousarray(sent).tobytes())
    for kind, parts in seen.items():
        data = b"".join(parts)
        assert len(data) < least or uneven(data) < 6.0, kind
