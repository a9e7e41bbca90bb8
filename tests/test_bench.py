"""The benchmark still runs against the product as it is: what it measures, what its profiler looks for, its fit of growth."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from common.mpc.session import Kind
from common.plan.linear import Model
from common.plan.network import Network
from common.trial.forkserver import ForkServer
from tests.bench import codings, features, report
from tests.bench.__main__ import main
from tests.bench.arrivals import offer, planned
from tests.bench.beside import MODELS
from tests.bench.chart import draw
from tests.bench.growth import fit
from tests.bench.instruments import Meter
from tests.bench.lanes import measure as over_lanes
from tests.bench.peers import Crypten, Peer, Spu, Xgboost
from tests.bench.profiled import NAMED, locate
from tests.bench.received import received
from tests.bench.runs import measure as by_workers
from tests.bench.safeguards import sent_in
from tests.bench.starts import bench_starts
from tests.bench.trees import split_world
from tests.bench.worlds import measure, worlds
from tests.common.mpc.problems import make_problem
from tests.extent import thorough
from tests.forked import forked
from tests.patience import patience

measured = thorough("a workload of the benchmark, whose parts are tried without it")


@pytest.fixture(scope="module", autouse=True)
def copies() -> Iterator[ForkServer | None]:
    with forked() as copies:
        yield copies


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    out = tmp_path_factory.mktemp("bench") / "result.json"
    asked = ["profile", "--rows", "3000", "--grid", "4", "--bank", "4", "--iterations", "10", "--json", str(out)]
    done = CliRunner().invoke(main, asked)
    assert done.exit_code == 0, done.output
    found: dict[str, object] = json.loads(out.read_text())
    return found


@measured
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a stage's peak is begun anew in /proc")
def test_memory_is_told_by_stage(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["memory", "--ids", "3000", "--json", str(tmp_path / "result.json")])
    assert done.exit_code == 0, done.output
    found = json.loads((tmp_path / "result.json").read_text())
    assert found["matched"] == 2700 and found["processor"]["coordinator"] > 0.0
    for party in ("grid", "bank"):
        assert [one["stage"] for one in found["stages"][party]] == ["load", "align", "prepare", "train", "reveal", "evaluate"]
        peaks = [one["peak_mib"] for one in found["stages"][party]]
        assert min(peaks) > 50.0 and found["peak_mib"][party] == max(peaks)


@measured
def test_a_workload_gives_every_figure_beside_plaintext(result: dict[str, dict[str, float]]) -> None:
    stages = {"load", "align", "prepare", "train", "reveal", "evaluate", "total", "plaintext_lbfgs", "plaintext_sgd"}
    assert set(result["seconds"]) == stages and min(result["seconds"].values()) >= 0.0
    assert result["ratio_to_lbfgs"] == pytest.approx(result["seconds"]["train"] / result["seconds"]["plaintext_lbfgs"])
    assert result["ratio_to_sgd"] == pytest.approx(result["seconds"]["train"] / result["seconds"]["plaintext_sgd"])
    # matrices 3, the joint matrix 10, a step 5, the check 1, what was said and taken 1
    assert result["rounds"] == result["rounds_by_stage"]["train"] == 5 * 10 + 10 + 3 + 2
    assert result["logloss"]["joint"] == pytest.approx(result["logloss"]["pooled"], abs=0.01)
    assert set(result["bytes"]) == {"grid_bank", "coordinator_grid", "coordinator_bank"}


@measured
def test_the_profile_accounts_for_each_process(result: dict[str, dict[str, dict[str, dict[str, float]]]]) -> None:
    profile = result["profile"]
    assert set(profile) == {"coordinator", "grid", "bank"}
    for one in profile.values():
        assert {"products", "link", "masks (AES)", "serialisation", "gRPC in Python"} <= set(one["work"])
        assert sum(one["work"].values()) == pytest.approx(one["core_seconds"], rel=0.1)
    assert "the dealer" in profile["bank"]["waiting"] and "the other party" in profile["grid"]["waiting"]


@measured
def test_features_are_measured_at_both_parties_from_both_formats(
    tmp_path: Path, copies: ForkServer | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if copies is not None:
        monkeypatch.setattr(features, "_ended", copies.run)
    out = tmp_path / "features.json"
    done = CliRunner().invoke(main, ["features", "--rows", "2000", "--json", str(out)])
    assert done.exit_code == 0, done.output
    runs = json.loads(out.read_text())["runs"]
    assert [(r["party"], r["source"]) for r in runs] == [(p, s) for p in ("grid", "bank") for s in ("csv", "parquet")]
    assert all(r["rows_read"] >= 2000 > r["samples"] > 400 and 50 < r["peak_mib"] < 1000 and r["seconds"] > 0 for r in runs)


@measured
def test_rows_are_scored_with_the_coordinator_ended_at_the_bytes_of_the_formula(tmp_path: Path) -> None:
    out = tmp_path / "alone.json"
    done = CliRunner().invoke(main, ["score-alone", "--rows", "2000", "--grid", "6", "--bank", "4", "--json", str(out)])
    assert done.exit_code == 0, done.output
    found = json.loads(out.read_text())
    assert found["rows"] == 2000 and abs(found["off_formula"]) < 0.01
    assert {"load", "align", "score", "total"} <= found["seconds"].keys()


@measured
def test_one_row_is_scored_with_the_coordinator_ended(tmp_path: Path) -> None:
    out = tmp_path / "row.json"
    done = CliRunner().invoke(main, ["one-row", "--requests", "30", "--grid", "6", "--bank", "4", "--json", str(out)])
    assert done.exit_code == 0, done.output
    found = json.loads(out.read_text())
    payload = 2 * 32 + 8 * (6 + 5) + 2 * 8 + 8 + 2 * 8 + 1  # points, masked rows, masked u, share; how many, which, whether
    assert payload < found["bytes"] < payload + 450  # heads of ten frames
    assert found["milliseconds"]["median"] > 0 and found["cpu_milliseconds"].keys() == {"grid_cpu", "bank_cpu"}


@measured
def test_rows_scored_from_a_stock_take_the_bytes_of_the_formula(tmp_path: Path) -> None:
    out = tmp_path / "score.json"
    asked = ["score", "--rows", "20000", "--grid", "6", "--bank", "4", "--predeal", "--json", str(out)]
    done = CliRunner().invoke(main, asked)
    assert done.exit_code == 0, done.output
    found = json.loads(out.read_text())
    assert found["off_formula"] < 0.01 and found["bytes"]["coordinator_grid"]["coordinator_to_grid"] < 3000


@measured
def test_several_banks_stand_beside_one_by_every_model_that_the_option_has() -> None:
    """Jobs of few rows: plans that a floor of the product has overtaken are refused here."""
    asked = [text for model in MODELS for text in ("--model", model)]
    done = CliRunner().invoke(main, ["beside", "--banks", "2", "--rows", "2000", "--repeat", "1", *asked])
    assert done.exit_code == 0, done.output
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in done.output.splitlines()]
    assert [row[0] for row in rows] == [*MODELS] and {row[1] for row in rows} == {"2 x 2,000"}
    assert all(min(map(float, row[2:6])) > 0.0 for row in rows)


@pytest.mark.parametrize("where", [where for where, _, _ in NAMED])
def test_the_profiler_finds_what_it_measures(where: str) -> None:
    owner, name = locate(where)
    assert callable(getattr(owner, name))


def test_a_thread_is_charged_for_the_innermost_piece_of_work() -> None:
    meter = Meter()

    def busy(count: int) -> int:
        return sum(range(count))

    inner = meter.function("inner", busy)
    meter.function("outer", lambda: inner(2_000_000) + busy(10))()
    spent = meter.totals()
    assert spent["inner"] > 10 * spent["outer"] > 0


async def test_a_coroutine_is_not_charged_while_it_waits() -> None:
    meter = Meter()
    await meter.coroutine("waits", lambda: asyncio.sleep(0.05))()
    assert 0 < meter.totals()["waits"] < 25e6


async def test_what_a_measured_coroutine_raises_and_catches_is_unchanged() -> None:
    async def fails() -> None:
        try:
            await asyncio.wait_for(asyncio.sleep(10), 0.01)
        except TimeoutError:
            raise ValueError("late") from None

    with pytest.raises(ValueError, match="late"):
        await Meter().coroutine("name", fails)()


def test_the_fit_finds_the_law_it_was_drawn_from() -> None:
    sizes = [10_000, 30_000, 100_000, 300_000, 1_000_000]
    found = fit(sizes, [0.2 + 4e-6 * n**1.05 for n in sizes])
    assert (found["slope"], found["fixed"]) == (pytest.approx(1.05, abs=0.01), pytest.approx(0.2, abs=0.01))
    assert fit(sizes, [3e-6 * n for n in sizes])["slope"] == pytest.approx(1.0, abs=0.01)


@measured
def test_the_chart_and_tables_are_drawn(tmp_path: Path, result: dict[str, object]) -> None:
    sizes = [10, 30, 100]
    law = fit(sizes, [1.0 + 2.0 * n for n in sizes])
    series = {"sizes": sizes, "seconds": [1.0 + 2.0 * n for n in sizes], "bytes": [1.0 + 2.0 * n for n in sizes]}
    series |= {"lbfgs": [1.0] * 3, "sgd": [2.0] * 3, "fit": {"seconds": law, "bytes": law}, "results": [result]}
    growth = {"rows": series, "columns": series}
    assert all(path.stat().st_size > 10_000 for path in draw(growth, tmp_path))
    assert "| rows | seconds | 1.00 |" in report.growth(growth).markdown()
    assert report.training([result]).markdown().count("\n") == 5  # type: ignore[list-item]


def test_a_default_training_ends_close_to_the_optimum_of_worlds() -> None:
    """The hardest labels of the smallest size: what the sides differ in, at correlations up to 0.99; heavy tails among them."""
    hard = [w for w in worlds() if w.rows == 3000 and w.label == "differing" and w.correlation >= 0.95]
    assert len(hard) == 6 and {w.heavy for w in hard} == {False, True}
    for world in hard:
        found = measure(world, Model())
        assert found["excess"] < 2e-4 and found["auc_lost"] < 0.001, found
    beyond = measure(hard[0], Model(), held=20_000)
    assert abs(beyond["held_lost"]) < beyond["held_lost_anew"], beyond
    title = report.worlds({"near": 1, "worlds": 1, "warned": 0, "each": [beyond]}).markdown()
    assert f"on further rows {beyond['held_lost']:.5f} of AUC" in title


@measured
@pytest.mark.untraced
def test_codings_are_measured_side_by_side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codings, "SHAPES", ("linear", "u-shaped"))  # the two that are looked at here, of ten
    out = tmp_path / "codings.json"
    done = CliRunner().invoke(main, ["codings", "--rows", "1200", "--seeds", "1", "--json", str(out)])
    assert done.exit_code == 0, done.output
    worlds = {row["world"].split(",")[0]: row for row in json.loads(out.read_text())["worlds"]}
    assert worlds["u-shaped"]["auto"]["auc"] > worlds["u-shaped"]["linear"]["auc"] + 0.03
    assert worlds["linear"]["auto"]["auc"] > worlds["linear"]["bins"]["auc"]
    assert "u-shaped, 1200 rows, 20%" in done.output


def test_what_guards_a_training_is_measured_beside_a_bare_one(tmp_path: Path) -> None:
    """And the bare one has none of it: nothing is told at its end, no tag is dealt, nothing is kept."""
    out = tmp_path / "safeguards.json"
    asked = ["safeguards", "--rows", "300", "--grid", "3", "--bank", "2", "--repeat", "2", "--json", str(out)]
    done = CliRunner().invoke(main, asked)
    assert done.exit_code == 0, done.output
    found = json.loads(out.read_text())
    assert min(found["with"], found["without"]) > 0.0 and found["ratios"][0] <= found["median_ratio"] <= found["ratios"][1]
    assert "300 rows by 3 + 2 columns" in done.output
    guarded, bare = (kinds_of(tmp_path if guard else None) for guard in (True, False))
    assert guarded - bare == {Kind.TRAINING_CHECK, Kind.DEALT_TAGS, Kind.RESUME} and not bare - guarded
    assert any((tmp_path / "grid" / "dealt").iterdir()) and any((tmp_path / "bank" / "unfinished" / "job").glob("*.npz"))


@measured
def test_it_is_measured_through_the_daemons_too_and_the_bare_one_compares_checks_and_agrees_on_nothing(tmp_path: Path) -> None:
    out = tmp_path / "daemons.json"
    asked = ["safeguards", "--daemons", "--rows", "600", "--grid", "3", "--bank", "2", "--repeat", "1", "--json", str(out)]
    done = CliRunner().invoke(main, asked)
    assert done.exit_code == 0, done.output
    found = json.loads(out.read_text())
    assert found["rounds"]["with"] - found["rounds"]["without"] == 3  # one of each
    assert min(found[name][how] for name in ("processor", "seconds") for how in ("with", "without")) > 0.0
    assert "of all daemons' processor with all of it" in done.output


def kinds_of(folder: Path | None) -> set[Kind]:
    """What is sent in one training with what guards it, or in a bare one."""
    return {label.kind for label in sent_in(make_problem(300, 3, 2), folder)}


@measured
def test_trees_are_measured_in_each_process(tmp_path: Path) -> None:
    out = tmp_path / "forest.json"
    asked = ["forest", "--rows", "2000", "--grid", "4", "--bank", "3", "--trees", "10", "--depth", "2", "--json", str(out)]
    done = CliRunner().invoke(main, asked)
    assert done.exit_code == 0, done.output
    found = json.loads(out.read_text())
    assert set(found["processor"]) == {"grid", "bank", "coordinator"} and min(found["processor"].values()) > 0.0
    assert found["train_rows"] == pytest.approx(2000, rel=0.02) and found["rounds"] >= 10 * (6 * 2 + 3)
    assert "xgboost" not in found and "10 trees of depth 2" in report.forest(found).title


@pytest.mark.parametrize("peer", [Xgboost, Spu, Crypten])
def test_a_python_without_a_peer_ends_the_benchmark_with_its_name(peer: type[Peer]) -> None:
    with pytest.raises(SystemExit, match=f"has no package {peer.package}"):
        peer.find(sys.executable)


def test_the_kernel_counts_what_a_process_was_sent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as one:
        other, _ = server.accept()
        with other:
            before = received()
            one.sendall(bytes(50_000))
            assert len(other.recv(50_000, socket.MSG_WAITALL)) == 50_000
            other.sendall(bytes(7_000))
            assert len(one.recv(7_000, socket.MSG_WAITALL)) == 7_000
            assert received() - before == 57_000  # this process is both ends


@measured
def test_a_network_through_the_daemons_stands_beside_a_peer_that_fails_and_one_that_trains(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The peer's weights are scored on the rows held out here; what a peer says when it fails is told in its place."""
    layers = [[*np.eye(10).tolist(), [3.0] * 10], [0.0] * 9 + [1.0, -3.0]]
    printed = {"protocol": "TTP", "train": 3.0, "whole": 4.0, "processor": 2.0, "megabytes": 5.0, "layers": layers}
    (tmp_path / "peer").write_text(
        f"#!{sys.executable}\nimport sys\nsys.exit('no room') if 'TFP' in sys.argv else print({json.dumps(printed)!r})\n"
    )
    (tmp_path / "peer").chmod(0o700)
    peer, out = Crypten(str(tmp_path / "peer"), "0"), tmp_path / "found.json"
    monkeypatch.setattr(Crypten, "find", lambda python: peer)
    done = CliRunner().invoke(
        main, ["perceptron", "--rows", "3000", "--grid", "5", "--bank", "5", "--epochs", "2", "--json", str(out)]
    )
    assert done.exit_code == 0, done.output
    found = json.loads(out.read_text())
    trained, failed = found["peers"]
    assert trained["ratio_to_ours"] == pytest.approx(3.0 / found["seconds"]["train"])
    assert 0.5 < trained["auc"] < found["auc"] < 1.0  # one column of ten
    assert failed["error"] == "no room" and "failed: no room" in done.output


def test_a_request_is_late_by_as_long_as_those_before_it_kept_the_connection() -> None:
    """One that waits for answers before it asks again would count three short waits, and one long."""
    found = offer(np.array([0.0, 0.1, 0.2, 0.25]), [lambda k: time.sleep(0.4 if k == 0 else 0.0)])
    assert not found.failed and len(found.milliseconds) == 4 and found.late >= 0.3
    assert all(took >= least for took, least in zip(found.milliseconds, (400, 300, 200, 150), strict=True))


def test_arrivals_are_independent_at_the_rate_asked_for_and_what_fails_is_told() -> None:
    times = planned(200.0, 50.0)
    gaps = np.diff(times)
    assert len(times) == pytest.approx(10_000, rel=0.05) and times[-1] < 50.0
    assert gaps.mean() == pytest.approx(gaps.std(), rel=0.05)  # as of no memory
    found = offer(planned(500.0, 0.1), [lambda k: "503" if k == 1 else None] * 3)
    assert found.failed == ["503"] and len(found.milliseconds) == len(planned(500.0, 0.1)) - 1


def test_networks_from_several_starts_gain_by_their_mean() -> None:
    """Log-loss is convex in log-odds: that of a mean is below the mean of each's, whatever the networks are."""
    splits = [split_world("rare", seed, 1500, 500) for seed in range(2)]
    found = bench_starts(splits, Network(hidden=2, epochs=2), 4)
    one, two, every = (found[name]["logloss"]["mean"] for name in ("one", "two", "all"))
    assert one < two < every and found["splits"] == 2
    assert all(found[name][measure]["error"] > 0.0 for name in ("one", "trees") for measure in ("auc", "logloss"))


@measured
def test_a_training_by_workers_is_measured_beside_one_without() -> None:
    none, two = by_workers(140_000, 2, (0, 2), 1, 2)
    assert (none["workers"], none["ratio"], two["workers"]) == (0, 1.0, 2)
    assert min(two["ratio"], two["grid"], two["bank"], two["coordinator"], two["seconds"]) > 0


@measured
def test_arrays_over_lanes_are_measured_between_two_processes() -> None:
    """What arrives is compared there with what was sent."""
    found = over_lanes(3, 400_000, 3, patience=patience(30))
    assert found["lanes"] == 3 and found["mbit"] > 0 and found["cpu"] > 0
