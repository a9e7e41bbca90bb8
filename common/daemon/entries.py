"""What a party's command line lists; nothing of it is imported before it is called."""

from __future__ import annotations

from common.process.group import LazyGroup, entries
from common.process.memory import share_one_heap, take_arrow_from_the_heap

share_one_heap()  # first: Arrow has threads from its import on
take_arrow_from_the_heap()


def party_group(name: str, about: str, module: str, **own: str) -> LazyGroup:
    """The command `name`: `serve` of the `seat` beside `module`, which has the others; own: further ones, with their help."""
    seat = f"{module.rpartition('.')[0]}.seat"
    listed = entries(seat, serve="Serve until SIGTERM or Ctrl-C, then end running jobs in order.")
    listed |= entries(
        module,
        doctor="Check this side, and through it the other.",
        budget="Show what is spent and left of each budget, and what each client has had.",
        allow="Let CLIENT (wattscore://org/role) have more than the policy's rates, for a while.",
        approve="Let a held JOB run, after being shown what it would open and cost; without JOB, list those that wait.",
        deny="Refuse a held JOB.",
        grant="Sign, show or withdraw what a dataset may be used for.",
        jobs="List the jobs this party was offered, refused ones too.",
        audit="Show or check the account of what this party was offered, decided and opened.",
        models="List this party's models: version, stage, and how the champion changed.",
        monitor="Show how what was scored has changed since training.",
        report="Write the report of a training JOB for review and signature.",
        index="Write one page of what this party has: models, jobs, datasets, scores, stocks, budgets, alarms, other pages.",
        console="Print a link to this party's pages, which its daemon serves.",
        prune="Delete what is older than so many DAYS of what may go.",
        backup="Copy to OUT, a new folder, what is backed up of this party's data.",
        restore="Put a back-up in the place of this party's data folder.",
        verify="Compare a REPORT with its JSON and CSV, and with what this party's folder gives now.",
        **own,
    )
    return LazyGroup(name, about, listed)
