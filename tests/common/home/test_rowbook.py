"""The grid's book of scored rows: the budget is of a row, across models and restarts, and entered whole or not at all."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.errors import ConfigError, PolicyError
from grid_party.ledger import Ledger
from tests.common.stages.tables import table


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "var" / "ledger.sqlite"


def test_a_row_is_scored_by_at_most_limit_models(file: Path) -> None:
    book, rows = Ledger(file), table(["A", "B"])
    for model in ("m1", "m2", "m3"):
        book.charge(rows, model, 3)
    with pytest.raises(PolicyError, match="2 of 2 rows have been scored by 3 models already") as caught:
        book.charge(rows, "m4", 3)
    assert "scores_per_row" in caught.value.remedy
    book.charge(rows, "m4", 4)


def test_the_same_model_again_is_free_even_when_the_budget_is_spent(file: Path) -> None:
    book, rows = Ledger(file), table(["A"])
    for _ in range(5):
        book.charge(rows, "m1", 1)
    with pytest.raises(PolicyError):
        book.charge(rows, "m2", 1)
    book.charge(rows, "m1", 1)


def test_the_book_outlives_the_process(file: Path) -> None:
    Ledger(file).charge(table(["A"]), "m1", 1)
    with pytest.raises(PolicyError):
        Ledger(file).charge(table(["A"]), "m2", 1)
    Ledger(file).charge(table(["A"]), "m1", 1)


def test_rows_are_entered_all_or_none(file: Path) -> None:
    book = Ledger(file)
    book.charge(table(["B"]), "m1", 1)
    with pytest.raises(PolicyError, match="1 of 3 rows"):
        book.charge(table(["A", "B", "C"]), "m2", 1)
    book.charge(table(["A", "C"]), "m3", 1)  # m2 left no trace on them


def test_the_budget_is_of_the_row_and_not_of_the_table(file: Path) -> None:
    book = Ledger(file)
    book.charge(table(["A", "B"]), "m1", 1)
    book.charge(table(["C", "D"]), "m2", 1)
    with pytest.raises(PolicyError, match="1 of 2 rows"):
        book.charge(table(["D", "E"]), "m3", 1)


def test_each_month_of_an_enterprise_is_a_row(file: Path) -> None:
    book = Ledger(file)
    book.charge(table(["A", "A"], [1, 2]), "m1", 1)
    book.charge(table(["A"], [3]), "m2", 1)
    with pytest.raises(PolicyError):
        book.charge(table(["A"], [2]), "m2", 1)


def test_the_book_holds_no_id_in_clear(file: Path) -> None:
    Ledger(file).charge(table(["ENTERPRISE-42"]), "m1", 1)
    assert b"ENTERPRISE" not in file.read_bytes()
    with sqlite3.connect(file) as book:
        ((model, rows),) = book.execute("select name, rows from owners join leaves on owner = number").fetchall()
    book.close()
    assert (model, len(rows)) == ("m1", 8)


charges = st.lists(
    st.tuples(st.sets(st.sampled_from("ABCD"), min_size=1), st.sampled_from(["m1", "m2", "m3", "m4"])), max_size=15
)


@settings(max_examples=25)
@given(charges=charges, limit=st.integers(1, 3))
def test_no_sequence_of_charges_scores_a_row_by_more_models(
    tmp_path_factory: pytest.TempPathFactory, charges: list[tuple[set[str], str]], limit: int
) -> None:
    file = tmp_path_factory.mktemp("book") / "ledger"
    scored: dict[str, set[str]] = {}
    for ids, model in charges:
        allowed = all(model in scored.get(i, set()) or len(scored.get(i, set())) < limit for i in ids)
        if allowed:
            Ledger(file).charge(table(sorted(ids)), model, limit)
            for i in ids:
                scored.setdefault(i, set()).add(model)
        else:
            with pytest.raises(PolicyError):
                Ledger(file).charge(table(sorted(ids)), model, limit)
    assert all(len(models) <= limit for models in scored.values())


def test_a_book_of_an_earlier_version_is_not_read_as_an_empty_one(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "book")) as book, book:
        book.execute("create table scored (model text primary key, rows blob not null)")
    with pytest.raises(ConfigError, match="earlier version"):
        Ledger(tmp_path / "book")


def test_a_name_is_known_once_it_was_charged(tmp_path: Path) -> None:
    book = Ledger(tmp_path / "book")
    assert not book.knows("m")
    book.charge(table(["a"]), "m", 1)
    assert book.knows("m") and Ledger(tmp_path / "book").knows("m")


def test_it_tells_how_many_users_each_row_has_had_and_which(tmp_path: Path) -> None:
    book = Ledger(tmp_path / "book")
    empty = book.standing("scores", "scores_per_row", 8)
    assert (empty.most, empty.left, empty.charges) == (0.0, 8.0, ())
    book.charge(table(["a", "b"]), "one", 8)
    book.charge(table(["b", "c"]), "two", 8)
    found = book.standing("scores", "scores_per_row", 8)
    assert sorted(found.spent.tolist()) == [1.0, 1.0, 2.0] and (found.most, found.left) == (2.0, 6.0)
    assert [(charge.user, charge.rows) for charge in found.charges] == [("one", 2), ("two", 2)]


def test_each_use_of_its_own_is_charged_and_counts_with_those_of_others(file: Path) -> None:
    book, rows = Ledger(file), table(["A", "B"])
    book.charge(table(["B"]), "m1", 3)
    book.charge_again(rows, "m2", 3)
    book.charge_again(table(["A"]), "m2", 3)
    with pytest.raises(PolicyError, match="have been scored by 2 models already"):
        book.charge(table(["A"]), "m3", 2)
    book = Ledger(file)  # across restarts
    book.charge_again(rows, "m2", 3)
    with pytest.raises(PolicyError, match="2 of 3 rows have been scored by 3 models already"):
        book.charge_again(table(["A", "B", "C"]), "m2", 3)
    book.charge_again(table(["C"]), "m2", 1)  # all or none: it had no use yet
    found = book.standing("scores", "scores_per_row", 3)
    assert sorted(found.spent.tolist()) == [1.0, 3.0, 3.0]


def test_uses_of_one_model_take_no_more_sets_than_a_row_has_uses(file: Path) -> None:
    """Each row that is asked for looks at every set there is."""
    book = Ledger(file)
    for k in range(40):
        book.charge_again(table([f"E{k}"]), "m1", 8)
        book.charge_again(table([f"E{k}", "E0"] if k % 20 == 0 and k else [f"E{k}"]), "m1", 8)
    assert {charge.user for charge in book.standing("", "", 8).charges} == {f"m1#{k}" for k in (1, 2, 3)}
