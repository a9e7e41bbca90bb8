"""The dealing of a job, or a stock, replayed from the seeds that both parties open: the first array that these do not give.

The auditor learns what the dealer knew, no more, and must see no message between the parties. PROTOCOL.md section 17.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import MISSING, dataclass

from common.errors import DataError, PeerLost, PeerProtocolError
from common.home.dealt import RUN_PLACES, Common, Opening, array_hash, array_key
from common.learn.dealings import MESSAGES, TOGETHER, dealings, together
from common.mpc.correlations.asked import Demand
from common.mpc.dealer import Dealer
from common.mpc.prg import SEED_BYTES
from common.mpc.seeds import fingerprint, own_seed
from common.mpc.session import Array, Kind, Round
from common.mpc.several.dealer import SeveralDealer
from common.mpc.several.seeds import common_nonce
from common.party import Party
from common.plan.read import parse_plan
from common.plan.several import SeveralPlan

MEMORY = 1 << 30  # bytes of masks that are kept
_SEEDS = (Kind.SEED, Kind.NONCES)  # not noted: all else follows from them
Line = Mapping[Party, Opening]


@dataclass(frozen=True)
class Verdict:
    """What is wrong, a line each, and how many arrays were compared.

    stock: whether the job took others from one. taken: of a stock, which job took it.
    """

    wrong: tuple[str, ...]
    compared: int
    stock: bool = False
    taken: str = ""


def by_job(openings: Sequence[Opening]) -> dict[str, list[Opening]]:
    """They in the order given, by the job that was dealt to: a stock has the name of the one that dealt it."""
    found: dict[str, list[Opening]] = {}
    for one in openings:
        found.setdefault(one.job, []).append(one)
    return found


async def replay(openings: Sequence[Opening]) -> Verdict:
    """openings: one of each party, or of several banks all lines' of the grid and one of each bank.

    Raises DataError where they are not of one job, lack one, or say unlike things of commitments or demands.
    """
    first = openings[0]
    if any((one.job, one.attempt, one.plan) != (first.job, first.attempt, first.plan) for one in openings):
        raise _unlike("are of different jobs, attempts or plans")
    if any(one.taken != first.taken for one in openings):
        raise _unlike(f"of stock {first.job} say different things of which job took it")
    plan = parse_plan(first.plan, f"job {first.job}")
    banks = [f"bank {who.org}" for who in plan.identities] if isinstance(plan, SeveralPlan) else [Party.BANK.value]
    lines = _lines(openings, banks, several=isinstance(plan, SeveralPlan))
    wrong = tuple(text for line, name in zip(lines, banks, strict=True) for text in _seeds(line, name))
    if isinstance(plan, SeveralPlan):
        wrong += tuple(_common(lines, banks))
    if wrong:
        return Verdict(wrong, 0, taken=first.taken)
    names = [{Party.GRID: f"grid on the line to the {bank}" if len(banks) > 1 else "grid", Party.BANK: bank} for bank in banks]
    pairs = zip(lines, names, strict=True)
    ends = [{party: _Compared(line[party], name[party]) for party in Party} for line, name in pairs]
    most = _asked_together(lines)
    demands = [{party: _asked(line[party], most) for party in Party} for line in lines]
    nonces = [{party: bytes.fromhex(line[party].nonce) for party in Party} for line in lines]
    keys, dealt = dict.fromkeys(Party, bytes(SEED_BYTES)), dealings(plan, MEMORY)
    apart: dict[int, dict[Party, _Compared]] = {}

    async def runs(run: int) -> dict[Party, _Compared]:
        if run not in apart:
            apart[run] = {party: _Compared(lines[0][party], names[0][party], run) for party in Party}
        return apart[run]

    seeds = iter(bytes.fromhex(one.dealt) for one in _in_order(lines))
    try:
        if isinstance(plan, SeveralPlan):
            brought = [{p: bytes.fromhex(c.nonce) for p in Party if (c := line[p].common) is not None} for line in lines]
            several = SeveralDealer(ends, nonces, [keys] * len(lines), brought, banks, lambda: next(seeds))
            await several.serve(demands, dealt, together(plan, MEMORY))
        else:
            await Dealer(dict(ends[0]), lambda: next(seeds), nonces=nonces[0], keys=keys, runs=runs).serve(demands[0], dealt)
    except (PeerProtocolError, PeerLost) as error:
        raise DataError(f"the demands of job {first.job}: {error.message}", public="demands that no dealer serves") from None
    all_ends = [end for line in (*ends, *apart.values()) for end in line.values()]
    wrong, stock = tuple(text for end in all_ends for text in end.said()), getattr(plan, "dealt", "online") == "ahead"
    return Verdict(wrong, sum(end.compared for end in all_ends), stock, first.taken)


def _lines(openings: Sequence[Opening], banks: Sequence[str], *, several: bool) -> list[Line]:
    """By line and party, each with one of both. Raises DataError for one that is missing, there twice, or of no line."""
    found = {(one.line - several, one.party): one for one in openings}
    needed = {(line, party) for line in range(len(banks)) for party in Party}
    if missing := sorted((banks[line] if party is Party.BANK else party.value) for line, party in needed - found.keys()):
        text = f"there is no opening of job {openings[0].job} of the {missing[0]}"
        raise DataError(text, public=text, remedy="All parties of the job open it: give the files of all of them.")
    if len(openings) != len(found) or found.keys() != needed:
        raise _unlike("are of one party twice, or of a line that the plan does not have")
    lines: list[Line] = [{party: found[line, party] for party in Party} for line in range(len(banks))]
    if any(line[Party.GRID].commitments != line[Party.BANK].commitments for line in lines):
        raise _unlike("say different things of what the dealer committed itself to")
    return lines


def _seeds(line: Line, bank: str) -> list[str]:
    """Whether each party opens the seed that the dealer committed itself to."""
    names = {Party.GRID: "grid", Party.BANK: bank}
    return [
        f"the {names[party]} opens another seed than the dealer committed itself to: that party is wrong"
        for party in Party
        if fingerprint(line[party].seed).hex() != line[party].commitments[party.index]
    ]


def _common(lines: Sequence[Line], banks: Sequence[str]) -> list[str]:
    """The same of the seeds of the sums over banks."""
    ends = {"grid": lines[0][Party.GRID].common} | {
        bank: line[Party.BANK].common for bank, line in zip(banks, lines, strict=True)
    }
    shown = {name: common for name, common in ends.items() if common is not None}
    if len(shown) < len(ends) or len({common.commitments for common in shown.values()}) > 1:
        raise _unlike("say different things of what the dealer committed itself to for all banks")
    brought = common_nonce([bytes.fromhex(shown[bank].nonce) for bank in banks])
    nonces = {name: brought if name in banks else bytes.fromhex(common.nonce) for name, common in shown.items()}
    wrong = []
    for name, common in shown.items():
        try:
            made = fingerprint(own_seed(bytes.fromhex(common.dealt), nonces[name])).hex()
        except ValueError:
            made = ""
        if made != common.commitments[name in banks]:
            wrong.append(name)
    if len(wrong) >= len(banks) > 1 and "grid" not in wrong:
        return ["what the banks brought is not what the dealer made their common seed with: one of them opens another nonce"]
    return [
        f"the {name} opens another seed of all banks than the dealer committed itself to: that party is wrong" for name in wrong
    ]


def _in_order(lines: Sequence[Line]) -> list[Opening | Common]:
    """What the dealer drew seeds for, in its order."""
    own: list[Opening | Common] = [line[party] for line in lines for party in Party]
    return own + [common for party in Party if (common := lines[0][party].common) is not None]


def _asked_together(lines: Sequence[Line]) -> int:
    """Of how many things all lines have asked together: a job that ended early may have come further on one of them."""
    return min(sum(name in TOGETHER for name, _ in line[party].demands) for line in lines for party in Party)


class _Compared:
    """A channel to one party that compares what is dealt with what the party notes."""

    def __init__(self, opening: Opening, name: str, run: int = 0) -> None:
        """run: of rows, from 1, which has a channel of its own; 0: none."""
        self._name, self._at, self._run = f"{name}, run {run} of rows" if run else name, 0, run
        noted = opening.runs[run - 1 : run] if run else (opening.arrays,)
        self._noted = noted[0] if noted else ()  # of a job that ended before it had runs there are none
        self._key = array_key(opening.seed)
        self.compared, self.wrong = 0, ""

    async def send(self, round: Round, values: Array) -> None:
        if round.kind in _SEEDS or self.wrong or self._at == len(self._noted):
            return
        kind, number, noted = self._noted[self._at]
        self._at += 1
        if (kind, number) != (round.kind.value, round.number):
            self._is_wrong(f"{kind}/{number} where the seeds give {round}")
            return
        if round.kind is Kind.DEALT_TAGS:  # of lasting keys, which are not opened
            return
        self.compared += 1
        if noted != await asyncio.to_thread(array_hash, self._key, self._run << RUN_PLACES | self._at - 1, round, values):
            self._is_wrong(f"{round}, {values.dtype} {values.shape}, is not what the seeds give")

    def said(self) -> list[str]:
        """What is wrong, at most one line."""
        left = len(self._noted) - self._at
        if not self.wrong and left:
            return [f"the {self._name} notes {left} arrays more than the demands give"]
        return [self.wrong] if self.wrong else []

    def _is_wrong(self, text: str) -> None:
        self.wrong = f"array {self._at} to the {self._name}: {text}"

    async def receive(self, round: Round) -> Array:
        raise PeerProtocolError("an auditor is sent nothing", got=round)


async def _asked(opening: Opening, together: int) -> AsyncGenerator[Demand]:
    """What the party asked for, as far as that was dealt: of what all lines ask together so many."""
    for name, fields in opening.demands:
        if name in TOGETHER:
            together -= 1
        if together < 0:
            return
        kind = MESSAGES.get(name)
        if kind is None or not _required(kind) <= set(fields) <= set(kind.__dataclass_fields__):
            raise DataError(f"a demand of no kind: {name!r}", public="a demand of no kind")
        yield kind(**fields)


def _required(kind: type[Demand]) -> set[str]:
    """The numbers that a demand of this kind has had from the first: others were added with what they were before."""
    return {name for name, one in kind.__dataclass_fields__.items() if one.default is MISSING}


def _unlike(text: str) -> DataError:
    message = f"the openings {text}"
    return DataError(message, public=message, remedy="Compare `dealt` of the job's last entry in the parties' audit logs.")
