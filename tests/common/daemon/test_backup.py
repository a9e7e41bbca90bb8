"""`backup` and `restore` without any daemon: what is taken, by the table's rules, and what is refused before anything moves."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from common.daemon.backup import backed_up
from common.disk.data_folder import BANK, GRID, BackUp, Name
from common.disk.lock import Lock
from common.home.audit import What
from common.home.rates import Word
from common.party import Party
from tests.common.daemon.test_prune import COMMANDS, SEATS, House

CLIENT = "wattscore://acme/client"


@pytest.fixture(params=Party)
def house(request: pytest.FixtureRequest, tmp_path: Path) -> House:
    return House(request.param, tmp_path)


def run(house: House, *words: object) -> tuple[int, str]:
    done = CliRunner().invoke(COMMANDS[house.party], [*map(str, words), "--config", str(house.config)], catch_exceptions=False)
    return done.exit_code, done.output


def restore(house: House, folder: Path) -> tuple[int, str]:
    return run(house, "restore", folder, "--note", "a test")


def test_the_table_says_what_is_taken_and_the_audit_log_is_first() -> None:
    for party, table in ((Party.GRID, GRID), (Party.BANK, BANK)):
        names = backed_up(party)
        assert set(names) == {kept.name for kept in table if kept.back_up in (BackUp.DAILY, BackUp.YES)}
        assert names[0] is Name.AUDIT and names.index(Name.REGISTRY) < names.index(Name.MODELS)
        assert not {Name.STOCK, Name.UNFINISHED, Name.SCRATCH, Name.LOG} & set(names)


def test_what_was_taken_comes_back_and_what_was_written_since_is_beside_it(house: House, tmp_path: Path) -> None:
    """An open book's last entries stand in a log beside it: they are in the back-up."""
    home = house.home
    home.rates.allow(Word(CLIENT, "li", 1.0, 2.0, 3, 0, 0))
    home.audit.add(What.OFFER, "train-1")
    assert list(house.data.glob("rates.sqlite-wal"))
    kept = tmp_path / "to" / "kept"
    assert run(house, "backup", kept)[0] == 0
    assert kept.stat().st_mode & 0o777 == 0o700 and (kept / Name.AUDIT).stat().st_mode & 0o777 == 0o600
    assert {path.name for path in kept.iterdir()} == {name for name in backed_up(house.party) if (house.data / name).exists()}
    assert (kept / Name.TAGS).stat().st_mode & 0o777 == 0o600
    home.rates.allow(Word(CLIENT, "wang", 1.0, 2.0, 3, 0, 0))
    (house.data / "models" / "train-1" / "model.json").unlink()

    code, said = restore(house, kept)
    assert code == 0, said
    house.home.close()
    home = SEATS[house.party].home(SEATS[house.party].load(house.config))
    assert [word.person for word in home.rates.words()] == ["li"]
    assert [entry.what for entry in home.audit.entries()] == ["offer", "restore"]
    assert home.models.has("train-1") and home.stocks.held() == []
    assert home.key == house.home.key, "without it no closed model can be used"
    assert house.data.stat().st_mode & 0o777 == 0o700
    (aside,) = tmp_path.glob("data-before-*")
    assert (aside / "stock" / "predeal-1.stock").exists()


@pytest.mark.parametrize("name", ["ledger.sqlite-wal", "stock", "notes.txt", "coordinator.toml"])
def test_what_must_not_come_back_is_named_and_nothing_moves(house: House, tmp_path: Path, name: str) -> None:
    run(house, "backup", kept := tmp_path / "kept")
    (kept / name).write_text("x")
    before = house.files()
    code, said = restore(house, kept)
    assert (code, str(kept / name) in said) == (2, True) and house.files() == before


def test_a_damaged_book_is_named_and_nothing_moves(house: House, tmp_path: Path) -> None:
    run(house, "backup", kept := tmp_path / "kept")
    book = kept / Name.REGISTRY
    data = bytearray(book.read_bytes())
    data[100:400] = b"\xff" * 300
    book.write_bytes(data)
    before = house.files()
    assert restore(house, kept)[0] == 2 and house.files() == before


def test_a_folder_in_use_that_is_no_back_up_or_is_there_already_is_refused(house: House, tmp_path: Path) -> None:
    run(house, "backup", kept := tmp_path / "kept")
    assert run(house, "backup", kept)[0] == 2
    assert restore(house, tmp_path / "none")[0] == 2 and restore(house, house.pages)[0] == 2
    lock = Lock(house.data)
    code, said = restore(house, kept)
    lock.release()
    assert code == 2 and "in use" in said and not list(tmp_path.glob("data-before-*")) and not list(tmp_path.glob(".*.part"))


def test_a_copy_of_an_open_book_is_whole(house: House, tmp_path: Path) -> None:
    """While another connection holds a transaction open, what it has not committed is not taken."""
    with closing(sqlite3.connect(house.data / Name.JOBS, isolation_level=None)) as book:
        book.execute("begin immediate")
        book.execute("insert into jobs (job, kind, name, client, dataset, plan, at, state, ended, cause, counts)"
                     " values ('half', '', '', '', '', '', 0, '', 0, '', '{}')")  # fmt: skip
        kept = tmp_path / "kept"
        assert run(house, "backup", kept)[0] == 0
        book.execute("rollback")
    with closing(sqlite3.connect(kept / Name.JOBS)) as copy:
        assert copy.execute("select count(*) from jobs").fetchone() == (0,)
        assert copy.execute("pragma integrity_check").fetchone() == ("ok",)
