"""The activations of hidden units, by name: a party's part of each, and what is dealt for it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from typing import Literal

from common.learn.network import relu, sine
from common.learn.network.scales import Scales
from common.learn.network.units import Held, Lacks, Output, Seat, UnitMasks
from common.mpc.compare.masks import dealt_words
from common.mpc.dealer import Dealt
from common.mpc.fixedpoint import Words
from common.party import Party

NAMES: tuple[Literal["sine", "relu"], ...] = ("sine", "relu")
"""In the order of their numbers in a demand."""
MASKS: dict[str, Callable[..., UnitMasks]] = {"sine": sine.SineMasks, "relu": relu.ReluMasks}
LOOK_UP: dict[str, Callable[..., Awaitable[tuple[Words, Held]]]] = {"sine": sine.look_up, "relu": relu.look_up}
DEAL: dict[str, Callable[..., Generator[Dealt, None, Lacks]]] = {"sine": sine.deal, "relu": relu.deal}
ROUNDS = {"sine": 1, "relu": 4}


async def forward(
    activation: str,
    seat: Seat,
    number: int,
    sums: Words,
    output: Output,
    scales: Scales,
    *,
    trained: bool,
) -> tuple[Words, Held]:
    """A share of u, (rows,) at `scales.output`, as the activation's `look_up` says, of rows for which as many were dealt."""
    units, rows = sums.shape
    masks = MASKS[activation](seat, number, units, rows, trained=trained)
    return await LOOK_UP[activation](seat.session, masks, slice(0, rows), sums, output, scales)


def sent(activation: str, cells: int) -> int:
    """Bytes that each party sends for so many units times rows."""
    return 4 * cells if activation == "sine" else 16 * cells + 7 * -(-cells // 8)


def tables(activation: str, party: Party, *, trained: bool) -> int:
    """Arrays of a word a unit and row that this party is dealt under `dealt_hidden`."""
    arrays = {"sine": 6 if trained else 4, "relu": 4 if trained else 3}[activation]
    return len(range(party.index, arrays, 2))


def sign_words(activation: str, party: Party, cells: int) -> int | None:
    """Words that it is dealt under `dealt_digits`; None where nothing is compared."""
    return dealt_words(cells, party) if activation == "relu" else None
