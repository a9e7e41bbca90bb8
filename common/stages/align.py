"""Which rows both parties hold, in an order both know. PROTOCOL.md section 8."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from common.errors import DataError, PolicyError
from common.match.agree import Match, MatchLimits, check_matched
from common.mpc.correlations.asked import Correlations, PeriodDemand
from common.mpc.fixedpoint import Words
from common.mpc.session import Kind, Session
from common.party import Party
from common.rows.ids import unmatched_forms
from common.rows.months import month_text
from common.rows.table import FeatureTable, Index

_SOME = 1 << 20  # rows at a time
_LOOKED_AT = 20_000  # ids, whose forms are compared


async def align(
    session: Session,
    correlations: Correlations,
    table: FeatureTable,
    *,
    by_period: bool,
    domain: bytes,
    limits: MatchLimits,
    match: Match,
) -> tuple[Index, int]:
    """Rows of `table`, int64 (n,), row k being the same (enterprise, period) at both parties; and the matched enterprises.

    1. match ids once, by `match`
    2. by period: exchange first and last period, so that both know the months to compare
    3. open, for matched enterprises, the months that both hold, and not those that only one holds

    Raises DataError for ids that are not unique where they must be, PolicyError for an empty match.
    """
    if not by_period:
        rows = await _match_ids(session, table, domain=domain, limits=limits, match=match)
        return rows, len(rows)
    if table.periods is None:
        raise _no_periods()
    found = await match(session, table.ids.texts(table.ids.used()), domain=domain, limits=limits)
    matched = table.ids.used()[found]  # not held while ids are matched, which takes the most of all
    low, high = await _common_periods(session, table)
    where = _places(table, matched, low, high)
    both = await _open_common(session, correlations, where >= 0)
    rows = where[both]
    if not len(rows):
        raise PolicyError(
            "no matched enterprise has a period that both sides hold",
            remedy="Check that both sides' periods mean the same month.",
        )
    return rows, len(matched)


async def _match_ids(session: Session, table: FeatureTable, *, domain: bytes, limits: MatchLimits, match: Match) -> Index:
    """The rows whose ids both hold, each of which one row has."""
    found = await match(session, table.ids.texts(check_once(table)), domain=domain, limits=limits)
    row_of = np.empty(len(table.ids.levels), np.int32)
    row_of[table.ids.codes] = np.arange(table.rows, dtype=np.int32)
    return row_of[table.ids.used()[found]].astype(np.int64)


def check_once(table: FeatureTable) -> Index:
    """The numbers of the ids, ascending, each of which one row has. Raises DataError where one repeats."""
    codes = table.ids.used()
    if len(codes) < table.rows:
        raise _repeated(table.rows - len(codes))
    return codes


async def align_directly(
    session: Session, table: FeatureTable, *, by_period: bool, domain: bytes, limits: MatchLimits, match: Match
) -> tuple[Index, int]:
    """As `align`, in a job without a dealer: what is matched by period is enterprise and month together.

    1. by period: exchange first and last period    2. match the rows of months that both have, by `match`
    Neither learns of a month that the other lacks; how many rows each has in these is told, not how many ids.
    """
    if not by_period:
        rows = await _match_ids(session, table, domain=domain, limits=limits, match=match)
        return rows, len(rows)
    inside = await common_months(session, table)
    rows = inside[await match(session, row_names(table, inside), domain=domain, limits=limits)]
    enterprises = len(np.unique(table.ids.codes[rows]))
    check_matched(enterprises, limits)
    return rows, enterprises


async def common_months(session: Session, table: FeatureTable) -> Index:
    """The rows of months between which both have some. One round. Raises DataError for a table without months."""
    if table.periods is None:
        raise _no_periods()
    low, high = await _common_periods(session, table)
    return np.flatnonzero((table.periods >= low) & (table.periods <= high))


def row_names(table: FeatureTable, rows: Index, *, by_period: bool = True) -> pa.StringArray:
    """Each of these rows as one text, distinct where rows are: the id, and the month where there is one and rows are by it."""
    ids = table.ids.levels.take(pa.array(table.ids.codes[rows]))
    if table.periods is None or not by_period:
        return ids
    months = pa.array(table.periods[rows]).cast(pa.string())
    named: pa.StringArray = pc.binary_join_element_wise(months, ids, " ")
    return named


def row_name(id: str, month: int | None) -> str:
    """The text by which `row_names` calls a row."""
    return id if month is None else f"{month} {id}"


def unlike(table: FeatureTable, matched: Index) -> str:
    """A remark where ids without a common row are of another form than those with one; empty where they are alike.

    matched: places of the rows that have one. Of many ids some are looked at.
    """
    common, used = np.zeros(len(table.ids.levels), np.bool_), table.ids.used()
    common[table.ids.codes[matched]] = True
    alike, alone = used[common[used]], used[~common[used]]
    return unmatched_forms(_some(table, alike), _some(table, alone))


def _some(table: FeatureTable, codes: Index) -> list[str]:
    found: list[str] = table.ids.levels.take(pa.array(codes[:: len(codes) // _LOOKED_AT + 1])).to_pylist()
    return found


async def _common_periods(session: Session, table: FeatureTable) -> tuple[int, int]:
    assert table.periods is not None  # noqa: S101
    mine = np.array([table.periods.min(), table.periods.max()], np.uint64)
    theirs = await session.exchange(Kind.PERIOD_RANGE, mine)
    low, high = int(max(mine[0], theirs[0])), int(min(mine[1], theirs[1]))
    if low > high:
        raise PolicyError(
            "the two sides' periods do not overlap",
            remedy="Make the older dataset of newer records: each side's log says which one it is.",
            local=_apart(mine, theirs),
        )
    return low, high


def _apart(mine: npt.NDArray[np.uint64], theirs: npt.NDArray[np.uint64]) -> str:
    """Which months each side has, and who lags: for the log of either, as each has been told the other's."""
    here, there = (f"{month_text(int(first))} to {month_text(int(last))}" for first, last in (mine, theirs))
    behind = "this side's" if mine[1] < theirs[0] else "the other party's"
    return f"Months here: {here}; at the other party: {there}. It is {behind} dataset that lacks newer records."


def _places(table: FeatureTable, matched: Index, low: int, high: int) -> npt.NDArray[np.int64]:
    """Row of each (matched enterprise, month), (matched, months), -1 where there is none. matched: codes of ids."""
    assert table.periods is not None  # noqa: S101
    rank = np.full(len(table.ids.levels), -1, np.int64)
    rank[matched] = np.arange(len(matched))
    where = np.full((len(matched), high - low + 1), -1, np.int64)
    for first in range(0, table.rows, _SOME):
        rows = slice(first, first + _SOME)
        enterprise, month = rank[table.ids.codes[rows]], table.periods[rows]
        inside = np.flatnonzero((enterprise >= 0) & (month >= low) & (month <= high))
        where[enterprise[inside], month[inside] - low] = first + inside
    return where


async def _open_common(session: Session, correlations: Correlations, mine: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """The bitwise product of both parties' tables of months, and nothing else of either. Two rounds, a bit a month each.

    1. with a dealt mask x and a share z of x_grid & x_bank, each opens its bits xor its mask
    2. each opens its share of the product: grid's bits & received xor z; opened & own mask xor z at the bank
    """
    words = np.zeros(-(-mine.size // 64) * 8, np.uint8)
    packed = np.packbits(mine)
    words[: len(packed)] = packed
    bits: Words = words.view(np.uint64)
    await correlations.order(PeriodDemand(len(bits)))
    mask, share = await correlations.period_product(len(bits))
    hidden = bits ^ mask
    received = await session.exchange(Kind.PERIOD_BITS, hidden)
    part = ((bits & received) if session.party is Party.GRID else (received & mask)) ^ share
    product = part ^ await session.exchange(Kind.PERIOD_SHARES, part)
    return np.unpackbits(product.view(np.uint8), count=mine.size).reshape(mine.shape).astype(np.bool_)


def _no_periods() -> DataError:
    message = "the plan aligns by period, but this dataset declares none"
    return DataError(message, public=message, remedy='Declare its period column, or use keys = ["id"].')


def _repeated(count: int) -> DataError:
    message = f"{count} rows repeat an id, and the plan aligns by id alone"
    return DataError(message, public=message, remedy='Use keys = ["id", "period"], or one row for each id.')
