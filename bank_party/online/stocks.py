"""Stocks that sessions can use, as they lie at the bank: dealt for the model's columns, and for rows enough."""

from __future__ import annotations

from bank_party.home import BankHome
from common.errors import PolicyError
from common.home.stock import StockLabel
from common.home.stocks import inventory
from common.learn.learners import check_on_request, line_of, takes_stock, tells_on_request
from common.stages.ahead import usable

BITS = 5  # of scores on request: the plan's default


def stocks_waiting(home: BankHome, job: str, rows: int, texts: int = 0) -> list[int] | None:
    """The rows of each stock here of at least so many that serves this training's model; None for a model that needs none.

    texts: of the grid's reasons, for which each must have been dealt where the model is of a kind that tells them.
    """
    labels = _usable(home, job, rows)
    least = texts if labels and tells_on_request(line_of(home.models.load(job), "")) else 0
    return None if labels is None else [label.rows for label in labels if label.reasons >= least]


def check_left(home: BankHome, champion: str, rows: int, challenger: str, least: int) -> None:
    """Raises PolicyError unless the challenger has a stock of `least` rows, and not the champion's last one of `rows`."""
    own, others = _usable(home, challenger, least), _usable(home, champion, rows)
    if own is None:
        return
    if not own or others == own[:1]:
        there = inventory([held.label for held in home.stocks.held()])
        raise PolicyError(
            f"no unspent stock to spare of {least} rows, beside one of {rows} for the champion: {there}",
            remedy="Deal another with `wattscore predeal --scores`.",
        )


def _usable(home: BankHome, job: str, rows: int) -> list[StockLabel] | None:
    """The one that a session would take first; None for a model that needs none. Raises PlanError for one that scores none."""
    model = line_of(home.models.load(job), "")
    check_on_request(model)  # before stocks are looked for, or dealt, that no session takes
    return usable(home.stocks, model, rows, BITS) if takes_stock(model) else None
