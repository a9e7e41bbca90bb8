"""Twelve faults, made for real but for clocks, versions and disks, each named as what it is; and what is found in order."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace as altered
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from common.doctor import remote
from common.doctor.examine import examine
from common.doctor.finding import Status
from common.doctor.own import check_runs
from common.trust.authority import make_ca
from tests.common.doctor.town import LOAD, PAST, ROOMY, WHO, attendance, of, replace, the_failure, town


@pytest.mark.parametrize("name", ["grid", "bank", "coordinator", "client"])
async def test_everything_in_order_passes(tmp_path: Path, name: str) -> None:
    async with town(tmp_path) as here:
        (tmp_path / "coordinator-data").mkdir(mode=0o700)
        report = await here.examine(name)
        assert (report.role, report.identity, report.ok) == (name, str(WHO[name]), True)
        assert of(report, Status.WARN) == {}
        checks = set(of(report, Status.PASS))
        steps = {"port", "TLS", "identity", "certificate days", "takes us", "clock", "versions"}
        dialled = {"bank": {"grid", "coordinator"}, "client": {"coordinator"}, "grid": {"grid", "coordinator"}}
        assert {f"{who} {step}" for who in dialled.get(name, {name}) for step in steps} <= checks
        assert {"certificate", "certificate days", "key", "chain", "grid attends", "bank attends", "bank clock"} <= checks
        assert ("dataset table" in checks) == (name in ("grid", "bank"))


# The twelve


async def test_another_ca(tmp_path: Path) -> None:
    async with town(tmp_path) as here:
        make_ca("neutral", tmp_path / "new", now=PAST)
        (tmp_path / "acme" / "trust" / "neutral.pem").write_bytes((tmp_path / "new" / "ca.pem").read_bytes())
        said = the_failure(await here.examine("bank"), "coordinator identity")
        assert "issued by another CA" in said and "fingerprint by telephone" in said


async def test_our_ca_is_another_there(tmp_path: Path) -> None:
    async with town(tmp_path) as here:
        make_ca("acme", tmp_path / "new", now=PAST)
        replace(tmp_path / "acme", WHO["bank"], tmp_path / "new")
        failures = of(await here.examine("bank"), Status.FAIL)
        assert set(failures) == {"chain", "grid takes us", "coordinator takes us"}
        assert "issued by another CA" in failures["chain"].found
        assert "volt `wattscore certs trust`" in failures["grid takes us"].remedy


async def test_an_expired_certificate(tmp_path: Path) -> None:
    async with town(tmp_path) as here:
        (tmp_path / "acme-ca.key").rename(tmp_path / "acme" / "ca.key")
        replace(tmp_path / "acme", WHO["bank"], tmp_path / "acme", days=10, now=PAST)
        (tmp_path / "acme" / "ca.key").unlink()
        said = the_failure(await here.examine("bank"), "certificate days")
        assert f"expired on {PAST + timedelta(days=10):%Y-%m-%d}" in said and "certs issue" in said


async def test_a_certificate_that_expired_there_or_soon_will(tmp_path: Path) -> None:
    async with town(tmp_path) as here:
        later = altered(ROOMY, now=lambda: datetime.now(UTC) + timedelta(days=340))
        warnings = of(await here.examine("bank", machine=later), Status.WARN)
        assert warnings["coordinator certificate days"].found.startswith("24 days left")
        assert "certificate days" in warnings
        gone = altered(ROOMY, now=lambda: datetime.now(UTC) + timedelta(days=370))
        failures = of(await here.examine("bank", machine=gone), Status.FAIL)
        assert failures["grid certificate days"].remedy == "Tell volt: it must issue a new one."


async def test_swapped_identities(tmp_path: Path) -> None:
    async with town(tmp_path) as here:
        values = here.values("bank")
        values["coordinator"]["address"], values["peer"]["address"] = (
            values["peer"]["address"],
            values["coordinator"]["address"],
        )
        failures = of(await here.examine("bank", values), Status.FAIL)
        assert set(failures) == {"coordinator identity", "grid identity"}
        assert failures["grid identity"].found.endswith(f"{WHO['coordinator']} answers where {WHO['grid']} is expected: "
                                                        "that is the coordinator")  # fmt: skip
        assert "The grid and the coordinator are swapped" in failures["grid identity"].remedy


async def test_another_role_answers(tmp_path: Path) -> None:
    async with town(tmp_path) as here:
        values = here.values("bank")
        values["peer"]["identity"] = "wattscore://volt/meters"
        assert f"{WHO['grid']} answers where wattscore://volt/meters" in the_failure(
            await here.examine("bank", values), "grid identity"
        )


async def test_a_closed_port(tmp_path: Path) -> None:
    async with town(tmp_path) as here:
        values = here.values("bank")
        with socket.create_server(("127.0.0.1", 0)) as unused:
            values["peer"]["address"] = f"127.0.0.1:{unused.getsockname()[1]}"
        said = the_failure(await here.examine("bank", values), "grid port")
        assert "is closed: the machine answers, nobody listens" in said and "Start the process" in said


@contextmanager
def black_hole() -> Iterator[int]:
    """A port whose packets are dropped, as by a firewall: its queue of connections is full, so nothing is answered."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        fill = [socket.socket() for _ in range(4)]
        for link in fill:
            link.setblocking(False)
            link.connect_ex(server.getsockname())
        yield server.getsockname()[1]
        for link in fill:
            link.close()


async def test_a_black_holed_port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "CONNECT", 0.3)
    async with town(tmp_path) as here:
        values = here.values("bank")
        with black_hole() as port:
            values["peer"]["address"] = f"127.0.0.1:{port}"
            said = the_failure(await here.examine("bank", values), "grid port")
        assert f"no answer from 127.0.0.1:{port} within {0.3 * ROOMY.patience:g} s" in said
        assert "packets are lost on the way" in said and f"Open TCP port {port}" in said


async def test_a_port_that_is_open_and_silent_or_not_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "GREET", 0.4)

    async def hello(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail ready\r\n")

    async with town(tmp_path) as here:
        values = here.values("bank")
        with socket.create_server(("127.0.0.1", 0)) as silent:
            values["peer"]["address"] = f"127.0.0.1:{silent.getsockname()[1]}"
            assert "says nothing" in the_failure(await here.examine("bank", values), "grid TLS")
        async with await asyncio.start_server(hello, "127.0.0.1", 0) as mail:
            values["peer"]["address"] = f"127.0.0.1:{mail.sockets[0].getsockname()[1]}"
            assert "does not speak TLS 1.3" in the_failure(await here.examine("bank", values), "grid TLS")


async def test_a_name_without_an_address(tmp_path: Path) -> None:
    async with town(tmp_path) as here:
        values = here.values("bank")
        values["peer"]["address"] = "no-such-host.invalid:7001"
        assert "no-such-host.invalid" in the_failure(await here.examine("bank", values), "grid port")


@pytest.mark.parametrize(("off", "way"), [(3600, "1:00:00 ahead of"), (-3600, "1:00:00 behind")])
async def test_a_clock_that_is_off_by_an_hour(tmp_path: Path, off: float, way: str) -> None:
    async with town(tmp_path, clock=lambda: time.time() + off) as here:
        failures = of(await here.examine("bank"), Status.FAIL)
        assert set(failures) == {"grid clock", "coordinator clock"}
        assert failures["grid clock"].found == f"{way} this machine's"
        assert "NTP" in failures["grid clock"].remedy


async def test_the_banks_clock_and_version_as_the_coordinator_knows_them(tmp_path: Path) -> None:
    async with town(tmp_path) as here:
        here.attending[1] = attendance("bank", ahead=-3600.0, software="0.0.9")
        for name in ("grid", "client"):
            failures = of(await here.examine(name), Status.FAIL)
            assert set(failures) == {"bank clock", "bank versions"}
            assert failures["bank clock"].found == "1:00:00 behind the coordinator's"
            assert "WattScore 0.0.9" in failures["bank versions"].found


@pytest.mark.parametrize("ours", [{"protocol": 99}, {"software": "9.9.9"}])
async def test_another_version(tmp_path: Path, ours: dict[str, int | str]) -> None:
    async with town(tmp_path) as here:
        here.attending.clear()
        failures = of(await here.examine("bank", machine=altered(ROOMY, **ours)), Status.FAIL)  # type: ignore[arg-type]
        assert set(failures) == {"grid versions", "coordinator versions"}
        assert str(*ours.values()) in failures["grid versions"].found
        assert "Install the same version" in failures["grid versions"].remedy


async def test_a_missing_column(tmp_path: Path) -> None:
    async with town(tmp_path) as here:
        values = here.values("bank")
        values["datasets"]["table"]["columns"] = {"amounts": {"kind": "numeric"}}
        said = the_failure(await here.examine("bank", values), "dataset table")
        assert "no column 'amounts'" in said and "close names in the file: 'amount'" in said


async def test_a_full_disk(tmp_path: Path) -> None:
    async with town(tmp_path) as here:
        said = the_failure(await here.examine("bank", machine=altered(ROOMY, free_disk=lambda _: 3 << 20)), "disk")
        assert "3 MiB free" in said and "Free some" in said
        warnings = of(await here.examine("bank", machine=altered(ROOMY, free_memory=lambda: 3 << 20)), Status.WARN)
        assert "3 MiB free" in warnings["memory"].found


@pytest.mark.parametrize(
    ("workers", "lanes", "cores", "said"),
    [
        (0, 1, 2, "rows of a training stay together"),
        (2, 1, 2, "2 workers and policy.lanes = 1"),
        (3, 2, 8, "of 3 workers 2 can work"),
        (3, 4, 2, "of 3 workers 2 can work"),
        (2, 4, 2, "2 workers that wait for the bank at 127.0.0.1:7011, 127.0.0.1:7012"),
    ],
)
def test_workers_of_which_some_would_have_nothing_to_do(workers: int, lanes: int, cores: int, said: str) -> None:
    settings: Any = SimpleNamespace(
        workers=workers,
        policy=SimpleNamespace(lanes=lanes),
        worker_addresses=[f"127.0.0.1:{7011 + place}" for place in range(workers)],
    )
    found = check_runs(settings, cores)
    assert said in found.found
    assert found.status is (Status.WARN if "can work" in said or "lanes = 1" in said else Status.PASS)


async def test_few_descriptors(tmp_path: Path) -> None:
    async with town(tmp_path) as here:
        few = altered(ROOMY, descriptors=lambda: 1024)
        warnings = of(await here.examine("grid", machine=few), Status.WARN)
        assert "may open 1024" in warnings["descriptors"].found and "LimitNOFILE" in warnings["descriptors"].remedy
        assert "descriptors" not in of(await here.examine("client", machine=few), Status.WARN)


async def test_a_dealer_of_a_partys_organisation(tmp_path: Path) -> None:
    async with town(tmp_path) as here:
        values = here.values("coordinator")
        values["bank"] = "wattscore://neutral/bank-party"
        said = the_failure(await here.examine("coordinator", values), "dealer separate")
        assert "belongs to the organisation of wattscore://neutral/bank-party" in said and "third organisation" in said
        values = here.values("bank")
        values["coordinator"]["identity"] = str(WHO["grid"])
        failures = of(await here.examine("bank", values), Status.FAIL)
        assert "belongs to the other party" in failures["dealer separate"].found


@contextmanager
def nobody(folder: Path) -> Iterator[None]:
    """Acts as a user who owns none of the files, if it may; `folder` and those above it may be entered."""
    if os.geteuid():
        pytest.skip("only root can become somebody else")
    for place in (folder, *folder.parents[:3]):
        place.chmod(place.stat().st_mode | 0o011)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


async def test_an_unreadable_key(tmp_path: Path) -> None:
    async with town(tmp_path) as here:
        key = tmp_path / "acme" / "bank-party.key"
        values = here.values("bank")
        key.chmod(0o644)
        said = the_failure(await here.examine("bank", values), "key")
        assert "other users may read" in said and f"chmod 600 {key}" in said
        key.chmod(0o600)
        values["tls"]["key"] = tmp_path / "acme" / "client.key"
        assert "is not the key of" in the_failure(await here.examine("bank", values), "key")
        values["tls"]["key"] = tmp_path / "none.key"
        assert "none.key: cannot be read (No such file" in the_failure(await here.examine("bank", values), "key")


async def test_a_key_of_another_user(tmp_path: Path) -> None:
    before = os.umask(0o022)  # a daemon's command, run in this process by another test, leaves one of its own
    async with town(tmp_path) as here:
        await here.examine("bank")  # writes the file
        with nobody(tmp_path):
            report = await examine(tmp_path / "bank.toml", LOAD["bank"], machine=ROOMY)
        failures = of(report, Status.FAIL)
        assert "key" in failures, failures
        assert "bank-party.key: cannot be read (Permission denied)" in failures["key"].found
    os.umask(before)


async def test_an_unknown_key(tmp_path: Path) -> None:
    async with town(tmp_path) as here:
        values = here.values("bank")
        values["policy"] = {"min_match": 10}
        report = await here.examine("bank", values)
        said = the_failure(report, "configuration")
        assert "unknown key 'policy.min_match', did you mean 'min_matched'?" in said and "deploy/samples" in said
        assert report.role == "unknown" and not report.ok


# Besides


async def test_who_is_known_by_another_name_there(tmp_path: Path) -> None:
    async with town(tmp_path) as here:
        values = here.values("client") | {"tls": here.tls("bank")}
        said = the_failure(await here.examine("client", values), "coordinator takes us")
        assert f"{WHO['bank']} is the bank there, not the client" in said


async def test_parties_that_do_not_attend(tmp_path: Path) -> None:
    async with town(tmp_path) as here:
        here.attending[:] = [attendance("grid", attends=False), attendance("bank", attends=False, since=0.0, protocol=0)]
        report = await here.examine("bank")
        assert the_failure(report, "grid attends").startswith("the grid does not attend the coordinator any more")
        assert "Start this daemon" in of(report, Status.WARN)["bank attends"].remedy


async def test_of_several_banks_that_do_not_attend_one_is_this_one(tmp_path: Path) -> None:
    own = f"bank {WHO['bank'].org}"
    async with town(tmp_path) as here:
        here.attending[1:] = [attendance(own, attends=False, since=0.0), attendance("bank north", attends=False)]
        report = await here.examine("bank")
        assert "Start this daemon" in of(report, Status.WARN)[f"{own} attends"].remedy
        assert the_failure(report, "bank north attends").startswith("the bank north does not attend the coordinator")
        asked = of(await here.examine("client"), Status.FAIL)
        assert {f"{own} attends", "bank north attends"} <= asked.keys()


async def test_a_daemon_that_does_not_run_yet_or_cannot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "GREET", 0.4)
    async with town(tmp_path) as here:
        values = here.values("grid")
        with socket.create_server(("127.0.0.1", 0)) as other:
            values["listen"] = f"127.0.0.1:{other.getsockname()[1]}"
            assert "says nothing" in the_failure(await here.examine("grid", values), "grid TLS")
        assert "does not run" in of(await here.examine("grid", values), Status.WARN)["grid port"].found
        values["listen"] = "192.0.2.1:7001"
        assert "EADDRNOTAVAIL" in the_failure(await here.examine("grid", values), "grid port")


async def test_the_cas_key_and_an_open_folder_are_warned_of(tmp_path: Path) -> None:
    async with town(tmp_path) as here:
        (tmp_path / "acme-ca.key").rename(tmp_path / "acme" / "ca.key")
        (tmp_path / "bank-data").chmod(0o755)
        warnings = of(await here.examine("bank"), Status.WARN)
        assert set(warnings) == {"CA key", "data folder"}


async def test_an_organisation_that_is_not_trusted_yet(tmp_path: Path) -> None:
    async with town(tmp_path) as here:
        (tmp_path / "acme" / "trust" / "volt.pem").unlink()
        failures = of(await here.examine("bank"), Status.FAIL)
        assert set(failures) == {"trust volt", "grid identity"}
        assert "wattscore certs trust" in failures["trust volt"].remedy


async def test_a_plan_is_held_against_policy_and_datasets(tmp_path: Path) -> None:
    plan = tmp_path / "plan.toml"
    async with town(tmp_path) as here:
        for text, said in (
            ('grid = { dataset = "table" }\nbank = { dataset = "tables" }', "the bank has no dataset 'tables'"),
            ('grid = { dataset = "table" }\nbank = { dataset = "table" }\nlimits = { min_rows = 5 }', "policy does not allow"),
        ):
            plan.write_text(text)
            assert said in the_failure(await here.examine("bank", plan=plan), "plan")
        plan.write_text('grid = { dataset = "table" }\nbank = { dataset = "table" }')
        assert "plan" in of(await here.examine("bank", plan=plan), Status.PASS)
        plan.write_text("rows = 5")
        assert "unknown key 'rows'" in the_failure(await here.examine("bank", plan=plan), "configuration")


def test_the_time_limits_add_up() -> None:
    from common.doctor import examine as all_checks

    assert remote.CONNECT + remote.GREET < 5 and remote.CONNECT + remote.GREET + remote.ANSWER < 8
    assert all_checks._DISK <= 5


async def test_a_trust_folder_of_another_user(tmp_path: Path) -> None:
    async with town(tmp_path) as here:
        await here.examine("bank")
        (tmp_path / "bank.toml").chmod(0o644)
        (tmp_path / "acme").chmod(0o755)
        (tmp_path / "acme" / "trust").chmod(0o700)
        with nobody(tmp_path):
            report = await examine(tmp_path / "bank.toml", LOAD["bank"], machine=ROOMY)
        assert any("cannot be read (Permission denied)" in finding.found for finding in of(report, Status.FAIL).values())


@pytest.mark.parametrize("name", ["https_proxy", "http_proxy", "grpc_proxy"])
async def test_a_proxy_of_the_environment_is_named_and_not_followed(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with town(tmp_path) as here:
        monkeypatch.setenv(name, "http://127.0.0.1:9")
        report = await here.examine("client")
        assert report.ok and list(of(report, Status.WARN)) == ["proxy"]
        assert name in of(report, Status.WARN)["proxy"].found
