"""`wattscore demo`: from both companies' dirty monthly records to a report and decisions. `collect-demo`: the bank's part."""

from __future__ import annotations

import csv
import json
import shlex
import shutil
import sys
import tempfile
import time
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click
from pydantic import ConfigDict
from rich.console import Console
from rich.table import Table

from common.client.client import Client, failure
from common.client.progress import follow
from common.client.show import print_production
from common.config import StrictModel, to_toml
from common.disk.data_folder import Name
from common.disk.lock import Lock
from common.disk.pages import beside
from common.errors import ConfigError
from common.party import Party
from common.plan.read import AnyPlan
from common.process.settings import Remote, load_settings
from common.trial.demo import (
    DAEMONS,
    NEWEST,
    SETTINGS,
    Side,
    build_side,
    lay_out,
    promotion,
    scoring_plan,
    training_plan,
    watching_plan,
)
from common.trial.demo_watch import as_values, heard, look, print_alarms
from common.trial.forkserver import ForkServer, fork_server
from common.trial.own import read_own, write_report
from common.trial.processes import COORDINATOR, Trial, end_in_order
from common.trial.remote import await_coordinator, check_folder, run_through
from common.trial.result import as_json, disclosures, print_costs, settle
from common.wire import coordinator_pb2 as wire

RESULT, DECISIONS, REPORT, MONITOR = "result.json", "decisions.csv", "report.html", "monitor.html"

_OUT = click.option(
    "--out", type=click.Path(path_type=Path), default=Path("demo-out"), show_default=True, help="Folder for all it makes."
)


_FIRST = "Run the demo first: it trains, then scores."
_SYNTHETIC = "The world is synthetic: the gain says nothing of real data."


class _Bank(StrictModel):
    """The part of the bank's configuration that is read here."""

    model_config = ConfigDict(extra="ignore")

    data: Path
    coordinator: Remote


@click.command()
@_OUT
@click.option(
    "--enterprises", type=click.IntRange(min=1200), default=4000, show_default=True, help="Size of the synthetic world."
)
@click.option("--seed", default=7, show_default=True, help="Of the synthetic world.")
@click.option(
    "--through",
    type=click.Path(path_type=Path),
    envvar="WATTSCORE_DEMO_THROUGH",
    help="Start nothing: train and score through the daemons of `setup-demo` by this client configuration.",
)
def demo(out: Path, enterprises: int, seed: int, through: Path | None) -> None:
    """A SYNTHETIC world made into features, a joint model and decisions, from both companies' dirty monthly records on."""
    console = Console()
    check_folder(out)
    if through is None:
        with (
            ExitStack() as ended,
            tempfile.TemporaryDirectory(prefix=".demo-", dir=out) as made,  # an earlier run's stays whole until this one is
            fork_server() as forks,
        ):
            if (out / DAEMONS).exists():
                ended.callback(Lock(out / DAEMONS).release)  # nobody looks at an earlier one meanwhile
            _demo_here(Path(made), out, enterprises, seed, console, forks)
    else:
        _demo_through(out, through, console)


def _demo_here(made: Path, out: Path, enterprises: int, seed: int, console: Console, forks: ForkServer | None) -> None:
    """Makes everything in `made`, and then moves it to `out`."""
    start = time.monotonic()
    end_in_order()
    homes = {party: made / party.value for party in Party}
    for home in homes.values():
        home.mkdir(exist_ok=True)
    _say(console, f"[bold]1.[/] A synthetic world of {enterprises:,} enterprises, as each company would export it")
    lay_out(homes, enterprises, seed)
    _say(console, "[bold]2.[/] Each company cleans its own records and makes features of them")
    sides = {party: build_side(party, home.resolve()) for party, home in homes.items()}
    _print_sides(sides.values(), console)
    _say(console, "[bold]3.[/] Three processes train on history, then score the newest month, then two quarters more")
    datasets = {party.value: side.datasets for party, side in sides.items()}
    (folder := made.resolve() / DAEMONS).mkdir(mode=0o700)
    trial = Trial(folder, datasets, SETTINGS, forks=forks)
    jobs = _run(trial, Console(stderr=True))
    _say(console, "[bold]4.[/] The bank's report and decisions")
    _print_decided(collect(folder / "bank.toml", made, forks), console)
    _say(console, "[bold]5.[/] Each side watches its own columns: in the last quarter something has drifted")
    configs = {party: folder / f"{party.value}.toml" for party in Party}
    found = {party.value: look(party, configs[party], homes[party] / MONITOR, forks) for party in Party}
    print_alarms(found, console)
    features = {party.value: len(side.history.columns) for party, side in sides.items()}
    values = _result(jobs, time.monotonic() - start, made, alarms=as_values(found), features=features)
    _clear(out)
    _move(made, out)
    for config in (out / DAEMONS).glob("*.toml"):
        moved = _renamed(tomllib.loads(config.read_text(encoding="utf-8")), made.resolve(), out.resolve())
        config.write_text(to_toml(moved), encoding="utf-8")
    _print_result(values, console)
    console.print(f"\nIn {out}/: {REPORT}, {DECISIONS}, {RESULT}.", highlight=False)
    for what, name in (("What cleaning did", "quality.html"), ("What drifted", MONITOR)):
        console.print(f"{what}: {' and '.join(f'{out}/{party.value}/{name}' for party in Party)}.", highlight=False)
    console.print(_SYNTHETIC)
    console.print("The three processes have ended. They run again, with pages of each in a browser, by:", highlight=False)
    program = sys.argv[0] if Path(sys.argv[0]).name == "wattscore" else "wattscore"
    click.echo(shlex.join([program, "demo-console", "--out", str(out)]))


def _clear(out: Path) -> None:
    """Removes an earlier run's results: none may pass for those of this one."""
    for name in (RESULT, DECISIONS, REPORT, MONITOR, *(f"{party.value}/{MONITOR}" for party in Party)):
        (out / name).unlink(missing_ok=True)
    shutil.rmtree(beside(out / REPORT)[1], ignore_errors=True)
    shutil.rmtree(out / DAEMONS, ignore_errors=True)


def _move(made: Path, out: Path) -> None:
    """Moves every file of `made` to its place in `out`, over an earlier one."""
    for file in sorted(made.rglob("*")):
        place = out / file.relative_to(made)
        if file.is_dir():
            place.mkdir(mode=file.stat().st_mode & 0o777, exist_ok=True)
        else:
            file.replace(place)


def _renamed(value: Any, made: Path, out: Path) -> Any:
    """A configuration whose paths below `made` are those below `out`."""
    if isinstance(value, Mapping):
        return {key: _renamed(one, made, out) for key, one in value.items()}
    if isinstance(value, list):
        return [_renamed(one, made, out) for one in value]
    below = isinstance(value, str) and Path(value).is_relative_to(made)
    return str(out / Path(value).relative_to(made)) if below else value


def _demo_through(out: Path, config: Path, console: Console) -> None:
    start, progress = time.monotonic(), Console(stderr=True)
    with Client.from_config(config) as client:
        await_coordinator(client)
        jobs = [run_through(client, training_plan(), progress)]
        for plan in _plans_after(jobs[0]):
            jobs.append(run_through(client, plan, progress))
    _clear(out)
    print_production(jobs[-1], console)
    _print_result(_result(jobs, time.monotonic() - start, out), console)
    console.print(
        f"\n{RESULT} is in {out}/. Report, decisions and alarms are the bank's: `docker compose run --rm report`"
        " brings them beside it.",
        highlight=False,
    )
    console.print(_SYNTHETIC)


def _plans_after(trained: wire.Job) -> Sequence[AnyPlan]:
    """The model becomes the champion, which scores the newest month and then the later ones."""
    return promotion(trained.id), scoring_plan(), watching_plan()


@click.command("collect-demo")
@click.option("--config", type=click.Path(path_type=Path), default=Path("bank.toml"), show_default=True, help="The bank's.")
@_OUT
def collect_demo(config: Path, out: Path) -> None:
    """At the bank: what the demo has left there, into OUT: the report of its model, its decisions, what has drifted since."""
    check_folder(out)
    console = Console()
    if load_settings(_Bank, config).coordinator.who != COORDINATOR:
        raise ConfigError(f"{config}: not the demo's bank", remedy="Use `bank-party report`, whose file stays private.")
    _print_decided(collect(config, out), console)
    print_alarms({Party.BANK.value: look(Party.BANK, config, out / MONITOR)}, console)
    for name in (DECISIONS, REPORT, MONITOR):
        (out / name).chmod(0o644)  # synthetic, and to be read by another user of the container's host
    console.print(f"{REPORT}, {DECISIONS} and {MONITOR} are in {out}/.", highlight=False)


def collect(config: Path, out: Path, forks: ForkServer | None = None) -> Counter[str]:
    """At the bank whose configuration this is; how many rows were approved, referred and declined. forks: who does it."""
    models = read_own(Party.BANK, "models", "--config", config, forks=forks)["models"]
    if not models:
        raise ConfigError(f"{config}: this bank has no model", remedy=_FIRST)
    write_report(config, models[-1]["job"], out / REPORT, forks)
    scores = (load_settings(_Bank, config).data / Name.SCORES).glob("*.csv")
    newest = max(filter(_decides, scores), key=lambda file: file.stat().st_mtime_ns, default=None)
    if newest is None:
        raise ConfigError(f"{config}: this bank has decided nothing", remedy=_FIRST)
    shutil.copyfile(newest, out / DECISIONS)
    with (out / DECISIONS).open(encoding="utf-8-sig", newline="") as stream:
        return Counter(row["decision"] for row in csv.DictReader(stream))


def _decides(scores: Path) -> bool:
    """Whether a file of scores is of the newest month, and not of the later quarters, whose rows are scored by month."""
    with scores.open(encoding="utf-8-sig", newline="") as stream:
        return next((row["period"] for row in csv.DictReader(stream)), None) == NEWEST


def _run(trial: Trial, console: Console) -> list[wire.Job]:
    """Trained, promoted, scored, watched. Raises the first failure, after the daemons have ended."""
    with trial, trial.client() as client:
        jobs = [follow(client.watch(client.submit(training_plan()).id), console, warnings=False)]
        for plan in _plans_after(jobs[0]):
            if failure(jobs[-1]) is None:
                jobs.append(follow(client.watch(client.submit(plan).id), console, warnings=False))
    for job in jobs:
        settle(trial, job, console)
    return jobs


def _result(jobs: Sequence[wire.Job], seconds: float, out: Path, **more: Any) -> dict[str, Any]:
    """Writes what `wattscore try --json` does to `out`, but with the disclosures of all jobs.

    decisions: the scoring job of the newest month; monitored: of the later quarters; drift: what the client hears of these.
    """
    trained, _, scored, watched = jobs
    own = {"disclosures": disclosures(*jobs), "decisions": scored.id, "monitored": watched.id, "drift": heard(watched)}
    values = as_json(trained, seconds, None) | own | more
    (out / RESULT).write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
    return values


def _say(console: Console, text: str) -> None:
    console.print(text, highlight=False)


def _print_sides(sides: Iterable[Side], console: Console) -> None:
    table = Table("", "rows read", "cleaned", "samples", "features", box=None)
    for side in sides:
        touched = sum(finding.rows for finding in side.cleaned.findings)
        rows = f"{side.cleaned.rows:,}", f"{touched:,}", f"{side.history.count:,} + {side.new.count:,} new"
        table.add_row(side.party.value, *rows, str(len(side.history.columns)))
    console.print(table)


def _print_decided(found: Counter[str], console: Console) -> None:
    told = ", ".join(f"{found[verdict]:,} {verdict}" for verdict in ("approve", "refer", "decline"))
    _say(console, f"decisions of {found.total():,} enterprises: {told}")


def _inputs(values: Mapping[str, Any], side: str, of: str) -> str:
    """How many features a side has and, as bins and categories, columns. A client knows only these."""
    columns = values["columns"][side]
    if "features" not in values:
        return f"{columns} coded columns of {of}"
    return f"{values['features'][side]} features of {of} ({columns} coded)"


def _print_result(values: Mapping[str, Any], console: Console) -> None:
    auc, gained = values["auc"], values["auc_difference"]
    known = Table("who", "knew", "held-out AUC", title="What each side knew, and what the joint model gained (synthetic)")
    known.add_row("bank alone", f"{_inputs(values, 'bank', 'tax and loans')}, label", f"{auc['bank_only']:.3f}")
    known.add_row("grid", f"{_inputs(values, 'grid', 'consumption and arrears')}, no label", "")
    known.add_row(
        "joint",
        "both, neither seeing the other's rows",
        f"{auc['joint']:.3f}  ({gained['value']:+.3f}, 95 %: {gained['low']:+.3f} to {gained['high']:+.3f})",
    )
    console.print(known)
    learned = Table("what was opened", "to whom", title="Who learned what, all of it")
    for d in values["disclosures"]:
        learned.add_row(d["what"], ", ".join(d["to"]))
    console.print(learned)
    print_costs(dict(values), console)
