"""A party's randomness for one demand, whatever the demand is: what its seed gives, and what it is dealt."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from common.mpc.fixedpoint import Words
from common.mpc.prg import Prg
from common.mpc.session import Kind
from common.party import Party

Fetch = Callable[[Kind, int, tuple[int, ...]], Awaitable[Words]]


@dataclass(frozen=True, repr=False)
class Source:
    """prg: of this party's seed; who uses it keeps to purposes of its own, and to each number once.

    fetch: kind, number and shape of a dealt array of words to the array, in the order in which it is dealt.
    """

    party: Party
    prg: Prg
    fetch: Fetch
