"""The Python client through the three daemons: as a notebook uses it, and as a service does."""

from __future__ import annotations

import asyncio
import tomllib
from typing import Any

import pytest

import wattscore as ws
from common.process.settings import ClientSettings, load_settings
from tests.scenarios.end_to_end.lab import LONG, Lab, make_tables


@pytest.fixture(scope="module")
def config(shared: Lab) -> str:
    shared.heal()
    with shared.client():  # writes it
        pass
    return str(shared.folder / "client.toml")


def plan(dataset: str, **more: Any) -> dict[str, Any]:
    return {"grid": {"dataset": dataset}, "bank": {"dataset": dataset}, **more}


def test_a_life_of_a_model_without_await_while_a_loop_runs(lab: Lab, config: str) -> None:
    lab.write("small", *make_tables("P"))

    async def notebook() -> None:
        with ws.Client(config) as client:
            one = client.train(plan("small", name="first"))
            two = client.train(plan("small", model={"ridge": 0.01}))
            assert one.evaluation is not None and one.evaluation.joint.auc > one.evaluation.bank_only.auc
            both = client.compare(one, two.id)
            assert both.same_rows and list(both.to_pandas()) == [one.id, two.id]
            scored = client.score(one, "small", "small")
            assert scored.kind == "score" and (lab.folder / "bank-data" / "scores" / f"{scored.id}.csv").exists()
            assert client.promote(one).state is ws.State.SUCCEEDED
            listed = client.jobs(kind="train").to_pandas()
            assert {one.id, two.id} <= set(listed.index)
            with pytest.raises(ws.JobNotFound):
                client.show("train-none")
            with pytest.raises(ws.PlanError, match="nmae"):
                client.submit(plan("small", nmae="x"))

    asyncio.run(notebook())


async def test_waiting_gives_up_and_the_job_goes_on_until_cancelled(lab: Lab, config: str) -> None:
    settings = load_settings(ClientSettings, lab.folder / "client.toml")
    async with ws.AsyncClient(settings) as client:
        job = await client.submit(plan("main", model=LONG, preparation={"coding": "linear"}))
        with pytest.raises(TimeoutError):
            await client.wait(job, timeout=1.0)
        assert not (await client.show(job)).over
        assert (await client.cancel(job)).id == job.id
        with pytest.raises(ws.JobCancelled):
            await client.wait(job)
        assert [update.state async for update in client.watch(job)] == [ws.State.CANCELLED]


def test_a_configuration_may_be_a_mapping(lab: Lab, config: str) -> None:
    raw = tomllib.loads((lab.folder / "client.toml").read_text())
    with ws.Client(raw) as client:
        assert client.jobs(last=1) is not None
    client.close()  # again does nothing
    with pytest.raises(ws.ConfigError, match="certificate"):
        ws.Client({**raw, "tls": {}})
