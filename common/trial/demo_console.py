"""`wattscore demo-console`: the demo's three processes once more, each with its pages for its own people."""

from __future__ import annotations

import signal
import subprocess
import sys
import tomllib
from contextlib import ExitStack
from pathlib import Path

import click

from common.disk.lock import Lock
from common.errors import ConfigError, PeerLost
from common.party import Party
from common.trial.demo import DAEMONS, SETTINGS
from common.trial.processes import Trial, end_in_order, free_ports


@click.command("demo-console")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("demo-out"),
    show_default=True,
    help="Folder of a demo that has ended.",
)
def demo_console(out: Path) -> None:
    """Start the three processes of a demo that has ended and print a link to the pages of each, until Ctrl-C."""
    folder = out / DAEMONS
    if not folder.is_dir():
        raise ConfigError(f"{out}: no demo has ended here", remedy="Run `wattscore demo` first, with the same --out.")
    in_use, folder = Lock(folder), folder.resolve()
    end_in_order()
    datasets = {party.value: _datasets(folder / f"{party.value}.toml", out.resolve() / party.value) for party in Party}
    names = "coordinator", *datasets
    try:
        with ExitStack() as held:
            ports = zip(names, free_ports(len(names), held), strict=True)
            pages = {name: {"listen": f"127.0.0.1:{port}"} for name, port in ports}
            settings = {name: {**SETTINGS.get(name, {}), "console": pages[name]} for name in names}
            trial = held.enter_context(Trial(folder, datasets, settings))
            while True:
                for name in ("bank", "grid", "coordinator"):
                    _print_link(trial, name)
                click.echo("Browsers do not know these certificates: compare the SHA-256. Enter: new links. Ctrl-C: the end.")
                if not sys.stdin.readline():  # nobody is there to press a key
                    signal.pause()
    except KeyboardInterrupt:
        click.echo("The three processes have ended.")
    finally:
        in_use.release()


def _datasets(config: Path, home: Path) -> dict[str, dict[str, object]]:
    """A party's datasets as the demo had them, with its files where the demo's folder is by now."""
    raw: dict[str, dict[str, object]] = tomllib.loads(config.read_text(encoding="utf-8"))["datasets"]
    return {name: {**dataset, "path": home / Path(str(dataset["path"])).name} for name, dataset in raw.items()}


def _print_link(trial: Trial, name: str) -> None:
    """By the daemon's own command, as its people have it. Raises PeerLost where the daemon has ended."""
    if trial.processes[name].poll() is not None:
        raise PeerLost(f"the {name} has ended", remedy=f"Its log is {trial.log(name)}.")
    command = [*trial.command(name), "console", "--config", str(trial.folder / f"{name}.toml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise PeerLost(f"no link to the pages of the {name}: {done.stderr.strip()}", remedy="Run the demo again.")
    click.echo(f"{name}: {done.stdout.strip()}")
    click.echo("  " + " ".join(done.stderr.split()))
