"""Coded reasons to the bank: for each row the grid's strongest contributions against it, by text. PROTOCOL.md section 7."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from common.errors import ConfigError, LocalProtocolError, PeerProtocolError, PlanError
from common.features.contributions import contributions, grouped, strongest
from common.learn.groups import check_groups
from common.learn.learner import Half
from common.learn.learners import REASONS, AskedGroups, tells_on_request
from common.mpc.correlations.asked import Correlations
from common.mpc.ranks.masks import MOST
from common.mpc.session import Kind, Session
from common.party import Party
from common.rows.dataset import is_reason
from common.rows.table import FeatureTable

TEXTS, TEXT_BYTES = 64, 240
_NO_TEXTS = "no column of the grid declares a reason"
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


def check_reasons(asked: int, model: Half, *, dealt: bool = True, on_request: bool = False) -> None:
    """The grid ranks its columns by their weights, or both rank contributions on shares, which takes what is dealt meanwhile.

    Raises PlanError for a plan that asks for it of a model that neither is possible of. dealt: whether somebody deals.
    on_request: of rows that are asked for, which take a stock.
    """
    if not asked or model.coefficients is not None:
        return
    if on_request:
        if not tells_on_request(model):
            raise PlanError(
                f"the plan asks for reasons of the grid on request, and model {model.job}, of kind {model.learner}, gives none",
                remedy="Ask for grid_reasons = 0; a scoring job of matched rows may tell them.",
            )
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
    if session.party is Party.GRID and shared is not None:
        check_groups(session, len(named))
    named = await _shown(session, named)
    if shared is None:
        codes = await _told_by_the_grid(session, model, table, groups, len(named), texts.threshold, most)
    elif named:
        check_groups(session, len(named))
        codes = await shared.tell(session, correlations, model, table, groups, len(named), texts.threshold, most)
    else:
        codes = np.zeros((table.rows, most), np.uint8)
    if session.party is Party.GRID or codes is None:
        return None
    return Named(_checked(codes, named), named)


async def _shown(session: Session, named: tuple[str, ...]) -> tuple[str, ...]:
    """The grid's texts at both. named: at the grid, these."""
    if session.party is Party.GRID:
        await session.send(Kind.GRID_REASONS, to_page(named))
        return named
    return from_page(await session.receive(Kind.GRID_REASONS, np.uint8, (TEXTS, TEXT_BYTES)))


def _checked(codes: Bytes, named: tuple[str, ...]) -> Bytes:
    if codes.size and int(codes.max()) > len(named):
        raise PeerProtocolError("the grid sent a reason of no text", expected=f"at most {len(named)}", got=int(codes.max()))
    return codes


class AskedReasons:
    """Reasons of rows that are asked for, in one session, told after their scores: by the grid's weights, or from a stock.

    untold: why the rows of the stock in use have none; the same at both parties.
    """

    def __init__(
        self, session: Session, model: Half, groups: Sequence[int | None], named: tuple[str, ...], threshold: float, most: int
    ) -> None:
        self._session, self._model, self._groups, self._threshold, self._most = session, model, groups, threshold, most
        self.named, self.untold = named, _NO_TEXTS if not named else ""
        self._by: AskedGroups | None = None
        self._warned = False

    @classmethod
    async def begin(cls, session: Session, model: Half, texts: Texts, most: int) -> AskedReasons:
        """The grid shows its texts, once a session: 64 x 240 bytes."""
        groups, named = grouped([column.source for column in model.fitted.fitted], texts.of)
        return cls(session, model, groups, await _shown(session, named), texts.threshold, most)

    @property
    def texts(self) -> int:
        """How many texts a stock must have been dealt for; 0 where none is taken from one."""
        return 0 if self._model.coefficients is not None else len(self.named)

    async def take(self, correlations: Correlations, rows: int, texts: int) -> None:
        """From here on rows are of a stock for so many, dealt for reasons of so many texts."""
        if not (count := self.texts):
            return
        self._by, self.untold = None, ""
        if count > MOST:
            self.untold = (
                f"the grid declares {count} texts of reasons, and {MOST} can be ranked of a model that nobody holds:"
                " its columns are to share texts"
            )
            return
        if texts < count:
            self.untold = (
                f"the stock in use was dealt for {texts} texts of the grid's reasons, which are {count}:"
                f" those of the next one are told if it is dealt with {count} or more (wattscore predeal --reasons)"
            )
            return
        begin = REASONS[self._model.learner].asked
        self._by = await begin(self._session, correlations, self._model, self._groups, count, self._threshold, rows, texts)

    async def tell(self, table: FeatureTable) -> Callable[[], Awaitable[None]]:
        """At the grid: posts what goes with the scores of these rows; what is given does the rest, once that is on its way."""
        if self.untold:
            return _nothing
        if self._by is None:
            codes = await self._session.compute(partial(self._chosen, table), table.rows * len(self._groups))
            await self._session.post(Kind.GRID_REASONS, codes)
            return _nothing
        ranking = await self._by.post(table)
        if self._by.held and not self._warned:
            self._warned = True
            self._session.reporter.warn("values of the grid lay beyond what reasons hold, and were held there")

        async def rest() -> None:
            await ranking.tell(self._most, Kind.GRID_REASONS)

        return rest

    async def hear(self, table: FeatureTable) -> Bytes:
        """At the bank: codes of these rows, (rows, most), zeros where they are untold."""
        if self.untold:
            return np.zeros((table.rows, self._most), np.uint8)
        if self._by is None:
            codes = await self._session.receive(Kind.GRID_REASONS, np.uint8, (table.rows, self._most))
        else:
            found = await (await self._by.post(table)).tell(self._most, Kind.GRID_REASONS)
            assert found is not None  # noqa: S101
            codes = found
        return _checked(codes, self.named)

    def _chosen(self, table: FeatureTable) -> Bytes:
        return _by_weights(self._model, table, self._groups, len(self.named), self._threshold, self._most)


async def _nothing() -> None:
    return None


def _by_weights(
    model: Half, table: FeatureTable, groups: Sequence[int | None], count: int, threshold: float, most: int
) -> Bytes:
    weights = model.coefficients
    assert weights is not None  # noqa: S101
    parts = contributions(model.fitted.transform(table), weights, np.zeros(len(weights)), groups, count)
    return strongest(parts, most, threshold).astype(np.uint8)


async def _told_by_the_grid(
    session: Session, model: Half, table: FeatureTable, groups: Sequence[int | None], count: int, threshold: float, most: int
) -> Bytes | None:
    """Codes (n, most) by weights that the grid holds, at the bank."""
    if session.party is Party.BANK:
        return await session.receive(Kind.GRID_REASONS, np.uint8, (table.rows, most))
    choose = partial(_by_weights, model, table, groups, count, threshold, most)
    await session.send(Kind.GRID_REASONS, await session.compute(choose, table.rows * len(groups)))
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
