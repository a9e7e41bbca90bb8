"""Randomness dealt ahead through the three daemons: stored, kept over a restart, used by one training and by no other."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from common.cli import main
from common.client.client import Client
from common.config import to_toml
from common.plan.predeal import PredealPlan
from tests.scenarios.end_to_end.lab import Lab, eventually, fail, finish, make_plan, make_tables, succeed, wait

MODEL = {"iterations": 9}


def stocks(lab: Lab, side: str) -> list[Path]:
    return sorted((lab.data(side) / "stock").iterdir())


def wattscore(lab: Lab, *words: str) -> str:
    done = CliRunner().invoke(main, [*words, "--config", str(lab.folder / "client.toml")])
    assert done.exit_code == 0, done.output
    return done.output


def test_a_stock_outlasts_a_restart_and_serves_one_training(lab: Lab, client: Client) -> None:
    lab.write("after", *make_tables("P"))
    plan = make_plan("after", model=MODEL, dealt="ahead")
    (lab.folder / "ahead.toml").write_text(to_toml(plan.model_dump(mode="json", exclude_none=True)))
    wattscore(lab, "predeal", str(lab.folder / "ahead.toml"), "--rows", "1100", "--grid", "14", "--bank", "5")
    dealt = client.show(client.jobs()[-1].id)
    for side, counted in (("grid", dealt.dealer.grid), ("bank", dealt.dealer.bank)):
        (stock,) = stocks(lab, side)
        assert stock.stem == dealt.id and stock.stat().st_mode & 0o777 == 0o600
        assert abs(counted.sent - stock.stat().st_size) < 2000  # frames' heads, or tags and the label
    lab.restart("bank")

    trained = succeed(client, plan)
    for sent in (trained.dealer.grid, trained.dealer.bank):
        assert sent.sent < 8 * 450 + 480  # a seed, a bit for each id, a tag, and a word for each held-out row
    assert trained.bank.report.evaluation.joint.auc > trained.bank.report.evaluation.bank_only.auc
    assert trained.bank.report.counts.train_rows == 1050
    eventually(lambda: stocks(lab, "grid") == stocks(lab, "bank") == [])

    origin, kind, message = fail(client, plan)
    assert origin in ("grid", "bank") and kind == "PolicyError"
    assert "no unspent stock for this plan: there is none" in message

    wattscore(lab, "predeal", "--like", trained.id)
    assert "predeal" in wattscore(lab, "jobs")
    assert [path.stem for path in stocks(lab, "grid")] == [path.stem for path in stocks(lab, "bank")] == [client.jobs()[-1].id]
    for path in (*stocks(lab, "grid"), *stocks(lab, "bank")):
        path.unlink()


def test_a_stock_for_scores_serves_one_scoring_job(lab: Lab, client: Client) -> None:
    lab.write("after", *make_tables("Q"))
    trained = succeed(client, make_plan("after", model=MODEL))
    wattscore(lab, "predeal", "--scores", "--like", trained.id, "--rows", "2000")
    for side in ("grid", "bank"):
        assert len(stocks(lab, side)) == 1
    lab.restart("grid")
    asked = ("score", "--model", trained.id, "--grid-dataset", "after", "--bank-dataset", "after", "--ahead", "--watch")
    wattscore(lab, *asked)
    done = client.show(client.jobs()[-1].id)
    assert done.dealer.grid.sent < 600  # a seed, and a bit for each id
    eventually(lambda: stocks(lab, "grid") == stocks(lab, "bank") == [])
    assert (lab.data("bank") / "scores" / f"{done.id}.csv").exists()


def test_a_stock_beyond_the_budget_is_refused_before_it_is_dealt(lab: Lab, client: Client) -> None:
    plan = PredealPlan.model_validate({"rows": 10**8, "grid_columns": 14, "bank_columns": 4})
    _, kind, message = fail(client, plan)
    assert kind == "PolicyError" and "stock_mib" in message
    assert stocks(lab, "grid") == stocks(lab, "bank") == []


def test_of_a_predealing_that_is_killed_neither_side_keeps_anything(lab: Lab, client: Client) -> None:
    sizes = {"model": {"iterations": 1000}, "rows": 4000, "grid_columns": 14, "bank_columns": 4}
    job = client.submit(PredealPlan.model_validate(sizes)).id
    wait(client, job, lambda found: found.grid.progress.done > 2, 30.0)
    lab.kill("grid")
    assert finish(client, job).fault.kind == "PeerLost"
    lab.heal()
    eventually(lambda: stocks(lab, "grid") == stocks(lab, "bank") == [])
