"""`wattscore features` on the synthetic world, with the samples as they stand; and that a refusal leaves nothing."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from click.testing import CliRunner, Result

from common.cli import main
from common.config import validate
from common.party import Party
from common.records.config import load_records
from common.records.make import make_features
from common.rows.dataset import DatasetConfig, read_table
from common.trial.world import ID, LABEL, MONTH, make_world, world_config
from tests.source import ROOT

SAMPLES = ROOT / "deploy" / "samples"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_world(tmp_path_factory.mktemp("world"), enterprises=300, months=36).folder
    for party in Party:
        shutil.copy(SAMPLES / f"records-{party.value}.toml", folder)
    return folder


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["features", *map(str, arguments)])


@pytest.mark.parametrize("party", Party)
def test_from_the_worlds_dirty_records_to_a_dataset_the_daemon_reads(party: Party, world: Path, tmp_path: Path) -> None:
    out, report = tmp_path / "made.parquet", tmp_path / "report"
    result = run(world / f"records-{party.value}.toml", "--out", out, "--report", report, "--lang", "zh")
    assert result.exit_code == 0, result.output
    assert [oct(path.stat().st_mode & 0o777) for path in (out, *sorted(report.iterdir()))] == ["0o600"] * 3
    section = tomllib.loads(result.output.split("configuration:\n")[1])["datasets"]
    (raw,) = section.values()
    assert raw == {"features": str(out)}
    dataset = validate(DatasetConfig, raw, "printed")
    table = read_table(dataset, name="made", party=party, require_label=party is Party.BANK).table
    assert table.periods is not None and set((table.periods + 1) % 3) == {0} and len(table.order) > 20
    raw_ids = pd.read_csv(world / f"{party.value}_monthly.csv")[ID].str.strip().str.upper()
    assert set(table.ids) == set(raw_ids)
    data = json.loads((report / "quality.json").read_text(encoding="utf-8"))
    assert data["records_kept"] == raw_ids.nunique() * 36 and "数据质量报告" in (report / "quality.html").read_text()
    duplicates = next(rule for rule in data["rules"] if rule["rule"] == "duplicate")
    assert duplicates["rows"] == len(raw_ids) - data["records_kept"]


def test_the_bank_features_carry_the_next_months_repayment(world: Path, tmp_path: Path) -> None:
    out = tmp_path / "bank.parquet"
    assert run(world / "records-bank.toml", "--out", out).exit_code == 0
    records = pd.read_csv(world / "bank_monthly.csv")
    records[ID] = records[ID].str.strip().str.upper()
    month = pd.PeriodIndex(records[MONTH], freq="M") - 1
    later = records.assign(**{MONTH: month.astype(str)}).drop_duplicates([ID, MONTH])
    made = pd.read_parquet(out, columns=[ID, MONTH, LABEL]).astype({ID: str, MONTH: str})
    both = made.merge(later, on=[ID, MONTH])
    assert len(both) == len(made) > 1000 and (both[LABEL] == both["overdue"]).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (('party = "grid"', 'party = "gird"'), "party"),
        (('path = "grid_monthly.csv"', 'path = "gone.csv"'), "no file at"),
        (('# impossible = "null"', 'impossible = "refuse"'), "impossible: outside 0 to inf"),
        (("every = 3", 'first = "2031-01"'), "no enterprise and month"),
        (("[cleaning]", '[[recipes]]\nkind = "last"\nfield = "consumptoin"\n[cleaning]'), "Did you mean 'consumption'"),
    ],
)
def test_a_refusal_has_a_message_and_leaves_no_file(change: tuple[str, str], message: str, world: Path, tmp_path: Path) -> None:
    text = (world / "records-grid.toml").read_text(encoding="utf-8")
    assert change[0] in text
    config = world / f"changed-{tmp_path.name}.toml"
    config.write_text(text.replace(*change, 1), encoding="utf-8")
    result = run(config, "--out", tmp_path / "out.parquet", "--report", tmp_path / "report")
    assert result.exit_code == 2 and "wattscore: " in result.output and message in result.output
    assert list(tmp_path.iterdir()) == []


def test_outputs_that_cannot_be_are_refused_before_the_work(world: Path, tmp_path: Path) -> None:
    config = world / "records-grid.toml"
    (tmp_path / "file").write_text("")
    for arguments, message in (
        (("--out", tmp_path), "is a folder"),
        (("--out", tmp_path / "no" / "x.parquet"), "its folder does not exist"),
        (("--out", tmp_path / "x.parquet", "--report", tmp_path / "file"), "is not a folder"),
    ):
        result = run(config, *arguments)
        assert result.exit_code == 2 and message in result.output


@pytest.mark.parametrize("party", Party)
def test_the_demos_configurations_say_what_the_samples_say(party: Party, world: Path, tmp_path: Path) -> None:
    for name in ("grid_monthly.csv", "bank_monthly.csv"):
        (tmp_path / name).symlink_to(world / name)
    features, cleaned, settings = make_features(world_config(party, tmp_path), tmp_path / "made.parquet")
    sample = load_records(world / f"records-{party.value}.toml")
    assert settings.model_dump(exclude={"source"}) == sample.model_dump(exclude={"source"})
    assert (tmp_path / "made.parquet").exists() and features.count > 1000 and cleaned.warnings == ()


@pytest.mark.parametrize(("samples", "told"), [("every = 3", True), ("every = 3\nlabelled = false", False)])
def test_a_bank_without_a_label_is_told_what_its_features_are_for(
    samples: str, told: bool, world: Path, tmp_path: Path
) -> None:
    text = (world / "records-bank.toml").read_text(encoding="utf-8")
    start, end = text.index("[fields.overdue]"), text.index("[samples]")
    config = world / f"bank-{tmp_path.name}.toml"
    config.write_text((text[:start] + text[end:]).replace("every = 3", samples, 1), encoding="utf-8")
    result = run(config, "--out", tmp_path / "made.parquet")
    assert result.exit_code == 0 and ("can be scored and not trained on" in " ".join(result.output.split())) is told


def test_newest_months_left_out_are_named_and_their_file_has_a_name_of_its_own(world: Path, tmp_path: Path) -> None:
    text = (world / "records-bank.toml").read_text(encoding="utf-8")
    newest = pd.read_csv(world / "bank_monthly.csv")[MONTH].max()
    found = {}
    for name, samples in (("train", "every = 1"), ("score", "every = 1\nlabelled = false")):
        config = world / f"{name}-{tmp_path.name}.toml"
        config.write_text(text.replace("every = 3", samples, 1), encoding="utf-8")
        result = run(config, "--out", tmp_path / f"{name}.parquet")
        found[name] = result.exit_code, " ".join(result.output.split()), pd.read_parquet(tmp_path / f"{name}.parquet")
    code, said, made = found["train"]
    assert code == 0 and made[MONTH].astype(str).max() < newest and "[datasets.loans] " in said
    assert f"{newest} left out: no label is known yet; samples.labelled = false" in said
    code, said, made = found["score"]
    assert code == 0 and made[MONTH].astype(str).max() == newest and "[datasets.loans-new] " in said and "left out" not in said


POOLS = """
import sys
from common.cli import main
main(["features", *sys.argv[1:]], standalone_mode=False)
import pyarrow as pa
kept = [pool().max_memory() for name in pa.supported_memory_backends() if name != "system"
        for pool in [getattr(pa, f"{name}_memory_pool")]]
print(pa.default_memory_pool().backend_name, sum(kept))
"""


@pytest.mark.skipif("mimalloc" not in pa.supported_memory_backends(), reason="this Arrow has no allocator that keeps memory")
def test_with_little_memory_arrow_has_no_allocator_of_its_own(world: Path, tmp_path: Path) -> None:
    """Its Parquet writer asks the one that the import has chosen, and what that was given stayed with the process."""
    given = [str(world / "records-bank.toml"), "--out", str(tmp_path / "made.parquet"), "--memory-mib", "1"]
    done = subprocess.run([sys.executable, "-c", POOLS, *given], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "system 0"
