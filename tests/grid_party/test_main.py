"""`grid-party serve`: what it refuses to start with, from file to message."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from grid_party.__main__ import main

GOOD = """
listen = "127.0.0.1:0"
data = "data"
[tls]
certificate = "x.pem"
key = "x.key"
trust = "trust"
[coordinator]
identity = "wattscore://neutral/coordinator"
address = "127.0.0.1:1"
[peer]
identity = "wattscore://acme/bank-party"
[datasets.table]
path = "table.csv"
id = "id"
"""


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (GOOD.replace("listen", "lisen"), "unknown key 'lisen', did you mean 'listen'?"),
        (GOOD + "[datasets.table.columns.age]\nkind = 'numeric'\nmisssing = 'mean'\n", "did you mean 'missing'?"),
        (GOOD + "period = 'id'\n", "id, period and label must be different columns"),
        (GOOD.replace("wattscore://acme", "https://acme"), "peer.identity"),
        (GOOD.replace('data = "data"\n', ""), "missing key 'data'"),
        (GOOD + "[policy]\nmin_rows = 0\n", "policy.min_rows"),
        ("listen = ", "not valid TOML"),
        (GOOD, "x.pem: cannot be read (No such file or directory)"),
    ],
)
def test_a_configuration_it_cannot_use(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "grid.toml"
    file.write_text(text)
    ended = CliRunner().invoke(main, ["serve", "--config", str(file)])
    assert ended.exit_code == 2
    assert ended.stderr.startswith("grid-party: ") and says in ended.stderr


def test_no_configuration_at_all(tmp_path: Path) -> None:
    ended = CliRunner().invoke(main, ["serve", "--config", str(tmp_path / "none.toml")])
    assert ended.exit_code == 2 and "none.toml: cannot be read (No such file or directory)" in ended.stderr
    assert "--config" in CliRunner().invoke(main, ["serve", "--help"]).stdout
