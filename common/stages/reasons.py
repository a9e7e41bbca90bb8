"""Coded reasons to the bank: for each row the grid's strongest contributions against it, by text. PROTOCOL.md section 7."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from common.errors import ConfigError, LocalProtocolError, PeerProtocolError, PlanError
from common.features.contributions import contributions, grouped, strongest
from common.learn.groups import check_groups
from common.learn.learner import Half
from common.learn.learners import REASONS
from common.mpc.correlations.asked import Correlations
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


def check_reasons(asked: int, model: Half, *, dealt: bool = True) -> None:
    """The grid ranks its columns by their weights, or both rank contributions on shares, which takes what is dealt meanwhile.

    Raises PlanError for a plan that asks for it of a model that neither is possible of. dealt: whether somebody deals.
    """
    if not asked or model.coefficients is not None:
        return
    if model.learner not in REASONS:
        raise PlanError(
            f"the plan asks for reasons of the grid, which a model of kind {model.learner} does not give",
            remedy="Ask for grid_reasons = 0, or train a model of another kind.",
        )
    if not dealt:
        raise PlanError(
            f"the plan asks for reasons of the grid, and nobody holds model {model.job}: that takes a coordinator that deals",
            remedy="Ask for grid_reasons = 0, or submit the plan to the coordinator.",
        )


async def open_reasons(
    session: Session, correlations: Correlations, model: Half, table: FeatureTable, texts: Texts, most: int
) -> Named | None:
    """The texts, 64 x 240 bytes whatever they are, and of each row the codes of up to `most` of them. None at the grid.

    A contribution is weight times prepared value, whose mean over training rows is 0; by trees and networks what a score is
    less without these columns. Of a model that nobody holds the grid learns nothing, and contributions are ranked on shares.
    Raises LocalProtocolError for a model without either.
    """
    shared = None if model.coefficients is not None else REASONS.get(model.learner)
    if model.coefficients is None and shared is None:
        raise LocalProtocolError(f"a {type(model).__name__} has no weights to rank columns by")
    groups, named = grouped([column.source for column in model.fitted.fitted], texts.of)
    if session.party is Party.GRID:
        page = to_page(named)
        if shared is not None:
            check_groups(session, len(named))
        await session.send(Kind.GRID_REASONS, page)
    else:
        named = from_page(await session.receive(Kind.GRID_REASONS, np.uint8, (TEXTS, TEXT_BYTES)))
    if shared is None:
        codes = await _told_by_the_grid(session, model, table, groups, len(named), texts.threshold, most)
    elif named:
        check_groups(session, len(named))
        codes = await shared.tell(session, correlations, model, table, groups, len(named), texts.threshold, most)
    else:
        codes = np.zeros((table.rows, most), np.uint8)
    if session.party is Party.GRID or codes is None:
        return None
    if codes.size and int(codes.max()) > len(named):
        raise PeerProtocolError("the grid sent a reason of no text", expected=f"at most {len(named)}", got=int(codes.max()))
    return Named(codes, named)


async def _told_by_the_grid(
    session: Session, model: Half, table: FeatureTable, groups: Sequence[int | None], count: int, threshold: float, most: int
) -> Bytes | None:
    """Codes (n, most) by weights that the grid holds, at the bank."""
    if session.party is Party.BANK:
        return await session.receive(Kind.GRID_REASONS, np.uint8, (table.rows, most))
    weights = model.coefficients
    assert weights is not None  # noqa: S101

    def choose() -> Bytes:
        parts = contributions(model.fitted.transform(table), weights, np.zeros(len(weights)), groups, count)
        return strongest(parts, most, threshold).astype(np.uint8)

    await session.send(Kind.GRID_REASONS, await session.compute(choose, table.rows * len(weights)))
    return None


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
