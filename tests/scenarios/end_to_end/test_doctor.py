"""The doctors of the three real daemons: what it prints, its exit code, and who attends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from bank_party.__main__ import main as bank
from common.cli import main
from common.client.client import Client
from grid_party.__main__ import main as grid
from tests.patience import patience
from tests.scenarios.end_to_end.lab import Lab, eventually

COMMANDS = {"grid": grid, "bank": bank}


def doctor(lab: Lab, name: str, *words: str) -> tuple[int, dict[str, dict[str, Any]]]:
    """Exit code and the checks by name. A lab's daemons listen on any port; a doctor must be told which."""
    config = lab.folder / f"{name}-doctor.toml"
    port = lab.ports.get(name)
    config.write_text((lab.folder / f"{name}.toml").read_text().replace('"127.0.0.1:0"', f'"127.0.0.1:{port}"'))
    done = CliRunner().invoke(
        COMMANDS.get(name, main), ["doctor", "--config", str(config), "--json", "--patience", str(patience(1)), *words]
    )
    return done.exit_code, {check["check"]: check for check in json.loads(done.stdout)["checks"]}


@pytest.fixture(autouse=True)
def tables(lab: Lab) -> None:
    for side, sets in lab._datasets.items():
        for name in sets:
            if not lab.table(side, name).exists():
                columns = "id,month,g0,g1,g2" if side == "grid" else "id,month,b0,b1,b2,y"
                lab.table(side, name).parent.mkdir(parents=True, exist_ok=True)
                lab.table(side, name).write_text(f"{columns}\n")


@pytest.mark.parametrize("name", ["grid", "bank", "coordinator", "client"])
def test_three_daemons_in_order_pass_from_every_side(lab: Lab, client: Client, name: str) -> None:
    eventually(lambda: doctor(lab, "client")[0] == 0)  # until both attend
    code, checks = doctor(lab, name)
    assert (code, [c for c in checks.values() if c["status"] == "fail"]) == (0, [])
    for check in ("grid attends", "bank attends", "bank clock", "grid versions", "coordinator takes us"):
        assert checks[check]["status"] == "pass"
    if name != "client":
        assert {"disk", "memory", "dealer separate", "data folder"} <= checks.keys()


def test_a_bank_that_is_gone_is_missed_through_the_coordinator(lab: Lab, client: Client) -> None:
    lab.kill("bank")
    eventually(lambda: doctor(lab, "grid")[1]["bank attends"]["status"] == "fail")
    code, checks = doctor(lab, "grid")
    assert code == 1 and "does not attend the coordinator any more" in checks["bank attends"]["found"]
    assert checks["grid attends"]["status"] == "pass"


def test_the_table_names_what_failed_and_the_exit_code_says_so(lab: Lab, tmp_path: Path) -> None:
    config = tmp_path / "bank.toml"
    config.write_text((lab.folder / "bank.toml").read_text() + "\n[polic]\nmin_rows = 5\n")
    done = CliRunner().invoke(bank, ["doctor", "--config", str(config)], env={"COLUMNS": "200"})
    assert done.exit_code == 1
    assert "unknown key 'polic', did you mean 'policy'?" in done.stdout and "1 failed" in done.stdout
