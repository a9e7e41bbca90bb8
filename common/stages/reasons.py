"""Coded reasons to the bank: for each row the grid's strongest contributions against it, by text. PROTOCOL.md section 7."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from common.errors import ConfigError, LocalProtocolError, PeerProtocolError, PlanError
from common.features.contributions import contributions, grouped, strongest
from common.learn.learner import Half
from common.mpc.session import Kind, Session
from common.party import Party
from common.rows.dataset import is_reason
from common.rows.table import FeatureTable

TEXTS, TEXT_BYTES = 64, 240
Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True, repr=False)
class Named:
    """The grid's reasons: codes (n, k), 0 for none, else 1 + the place of its text."""

    codes: Bytes
    texts: tuple[str, ...]


@dataclass(frozen=True)
class Texts:
    """What may be told of the grid's columns: texts by column; log-odds by which those of one must speak against a row."""

    of: Mapping[str, str | None]
    threshold: float


def check_reasons(asked: int, model: Half) -> None:
    """The grid ranks its columns by their weights. Raises PlanError for a plan that asks it to of a model nobody holds."""
    if asked and model.coefficients is None:
        raise PlanError(
            f"the plan asks for reasons of the grid, and nobody holds the weights of model {model.job}",
            remedy="Ask for grid_reasons = 0, or train with reveal = 'owners' where both policies allow it.",
        )


async def open_reasons(session: Session, model: Half, table: FeatureTable, texts: Texts, most: int) -> Named | None:
    """Two messages from the grid: the texts, 64 x 240 bytes whatever they are; a code a row and reason. None at the grid.

    A contribution is weight times prepared value, whose mean over training rows is 0. Raises LocalProtocolError for a
    closed model.
    """
    weights = model.coefficients
    if weights is None:
        raise LocalProtocolError(f"a {type(model).__name__} has no weights to rank columns by")
    if session.party is Party.GRID:
        columns = model.fitted.fitted
        groups, named = grouped([column.source for column in columns], texts.of)
        page = to_page(named)

        def choose() -> Bytes:
            parts = contributions(model.fitted.transform(table), weights, np.zeros(len(columns)), groups, len(named))
            return strongest(parts, most, texts.threshold).astype(np.uint8)

        codes = await session.compute(choose, table.rows * len(columns))
        await session.send(Kind.GRID_REASONS, page)
        await session.send(Kind.GRID_REASONS, codes)
        return None
    known = from_page(await session.receive(Kind.GRID_REASONS, np.uint8, (TEXTS, TEXT_BYTES)))
    codes = await session.receive(Kind.GRID_REASONS, np.uint8, (table.rows, most))
    if codes.size and int(codes.max()) > len(known):
        raise PeerProtocolError("the grid sent a reason of no text", expected=f"at most {len(known)}", got=int(codes.max()))
    return Named(codes, known)


def to_page(texts: tuple[str, ...]) -> Bytes:
    """UTF-8, one text a line, zeros after it. Raises ConfigError for more texts than fit."""
    if len(texts) > TEXTS:
        raise ConfigError(f"{len(texts)} different reasons are declared, and {TEXTS} can be told", remedy="Share texts.")
    page = np.zeros((TEXTS, TEXT_BYTES), np.uint8)
    for line, text in zip(page, texts, strict=False):
        data = text.encode()
        line[: len(data)] = np.frombuffer(data, np.uint8)
    return page


def from_page(page: Bytes) -> tuple[str, ...]:
    """The texts that `to_page` wrote; raises PeerProtocolError for texts that a column could not declare."""
    lines = [line.tobytes().rstrip(b"\0") for line in page]
    count = max((k for k, line in enumerate(lines, start=1) if line), default=0)
    try:
        texts = tuple(line.decode() for line in lines[:count])
    except UnicodeDecodeError:
        texts = ("",)
    if not all(is_reason(text) for text in texts):
        raise PeerProtocolError("the grid sent a reason that is not a plain text", remedy="Both sides must run this version.")
    return texts
