"""What a party was dealt in a job, or for a stock, so that the dealing can be replayed: its own seeds, a hash of each array.

A seed of this party's own takes masks off this party's own messages alone; hashes tell nothing. Neither ever goes to the other
party: an auditor gets them sealed. PROTOCOL.md section 17.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Literal

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from pydantic import Field

from common.config import StrictModel
from common.disk.files import by_age, make_folder, write_private
from common.errors import DataError, JobNotFound
from common.mpc.correlations.asked import DealerLink, Demand
from common.mpc.correlations.dealt import DealtSeed
from common.mpc.seeds import own_seed
from common.mpc.session import Array, Round
from common.party import Party

_log = logging.getLogger(__name__)

MOST = 200  # dealings kept
RUN_PLACES = 64  # bits of an array's place on the stream of a run of rows, below the run's number
_SUFFIX = ".json"
_OFFLOAD = 1 << 22  # bytes that are hashed in a thread
_HEX = r"^([0-9a-f]{2})*$"


class Common(StrictModel):
    """What a party was dealt, and brought, to the seed of the sums over several banks, which is the same at each bank.

    dealt, nonce, commitments: as of `Opening`; of a bank's nonce, of which all banks' together make one.
    """

    dealt: str = Field(pattern=_HEX)
    nonce: str = Field(pattern=_HEX)
    commitments: tuple[str, str]

    @classmethod
    def of(cls, dealt: DealtSeed, nonce: bytes) -> Common:
        grid, bank = (mark.hex() for mark in dealt.committed)
        return cls(dealt=dealt.seed.hex(), nonce=nonce.hex(), commitments=(grid, bank))


class Opening(StrictModel):
    """One party's word on the dealing of one attempt at a job: what it asked for, and what it was dealt.

    attempt: how often the job had been interrupted. dealt, nonce: hexadecimal, what its seed was made of. commitments:
    fingerprints of the grid's seed and the bank's, as the dealer told them before anything else. demands: in order, each a name
    and its numbers. arrays: in order, each a kind, a number and a hash. runs: the same of each run of rows, which has a stream
    of its own. line: of several banks the place of the one whose line with the grid it is of, from 1. common: at each bank, and
    at the grid on the first line. taken: of a stock the job that took it, by the audit log; told to an auditor alone.
    """

    version: Literal[1] = 1
    job: str
    attempt: int = 0
    party: Party
    plan: str
    dealt: str = Field(pattern=_HEX)
    nonce: str = Field(pattern=_HEX)
    commitments: tuple[str, str]
    demands: tuple[tuple[str, dict[str, int]], ...] = ()
    arrays: tuple[tuple[str, int, str], ...] = ()
    runs: tuple[tuple[tuple[str, int, str], ...], ...] = ()
    line: int = Field(default=0, ge=0)
    common: Common | None = None
    taken: str = ""

    @classmethod
    def of(
        cls,
        job: str,
        attempt: int,
        party: Party,
        plan: str,
        dealt: DealtSeed,
        nonce: bytes,
        line: int = 0,
        common: Common | None = None,
    ) -> Opening:
        """Before anything is asked for."""
        grid, bank = (mark.hex() for mark in dealt.committed)
        return cls(
            job=job,
            attempt=attempt,
            party=party,
            plan=plan,
            dealt=dealt.seed.hex(),
            nonce=nonce.hex(),
            commitments=(grid, bank),
            line=line,
            common=common,
        )

    @property
    def text(self) -> str:
        """JSON, one line; of one bank as before there could be several."""
        of_one = (set[str]() if self.line else {"line", "common"}) | (set[str]() if self.runs else {"runs"})
        return self.model_dump_json(exclude=of_one if self.taken else of_one | {"taken"})

    @property
    def seed(self) -> bytes:
        """What the party made of both. DataError for sizes that no party makes one of."""
        try:
            return own_seed(bytes.fromhex(self.dealt), bytes.fromhex(self.nonce))
        except ValueError:
            text = f"the {self.party.value}'s opening has a seed or nonce of another size"
            raise DataError(text, public=text, remedy="Ask the party to open it anew.") from None

    @property
    def digest(self) -> str:
        """A hash of all of it but the seeds and `taken`, which a party enters in its audit log."""
        blank = {"dealt": "", "nonce": ""}
        common = self.common.model_copy(update=blank) if self.common is not None else None
        text = self.model_copy(update={**blank, "common": common, "taken": ""}).text
        return hashlib.blake2b(text.encode(), digest_size=32, person=b"wattscore.dealt").hexdigest()


def array_key(seed: bytes) -> bytes:
    """What the arrays of a job are hashed under: of the party's seed, so that whoever opens that seed can compare them."""
    return hashlib.blake2b(b"", key=seed, digest_size=16, person=b"wattscore.array").digest()


def array_hash(key: bytes, place: int, label: Round, values: Array) -> str:
    """A keyed hash of the array at this place with its label, type and shape: AES-GMAC, as a job is dealt much."""
    found = Cipher(algorithms.AES(key), modes.GCM(place.to_bytes(12, "little"))).encryptor()
    found.authenticate_additional_data(f"{label} {values.dtype.str} {values.shape} ".encode())
    found.authenticate_additional_data(np.ascontiguousarray(values).reshape(-1).view(np.uint8).data)
    found.finalize()
    return found.tag.hex()


class HeardRun:
    """The link of one run of rows, from 1, which notes what is dealt on it. seed: this party's."""

    def __init__(self, seed: bytes, run: int, link: DealerLink) -> None:
        self._key, self._run, self._link = array_key(seed), run, link
        self.arrays: list[tuple[str, int, str]] = []

    async def demand(self, demand: Demand) -> None:
        await self._link.demand(demand)

    async def send(self, round: Round, values: Array) -> None:
        await self._link.send(round, values)

    async def receive(self, round: Round) -> Array:
        values = await self._link.receive(round)
        hashed = await _hashed(self._key, self._run, len(self.arrays), round, values)
        self.arrays.append((round.kind.value, round.number, hashed))
        return values


async def _hashed(key: bytes, run: int, place: int, round: Round, values: Array) -> str:
    """As `array_hash`. run: of rows, from 1; 0: of none."""
    about = (key, run << RUN_PLACES | place, round, values)
    return await asyncio.to_thread(array_hash, *about) if values.nbytes > _OFFLOAD else array_hash(*about)


class Heard:
    """A dealer's link after the seed, which notes what is asked and dealt. kinds: names of demands."""

    def __init__(self, opening: Opening, link: DealerLink, kinds: Mapping[str, type[Demand]]) -> None:
        """opening: with no demand and no array yet."""
        self._opening, self._link = opening, link
        self._names = {kind: name for name, kind in kinds.items()}
        self._key = array_key(opening.seed)
        self._demands: list[tuple[str, dict[str, int]]] = []
        self._arrays: list[tuple[str, int, str]] = []
        self.runs: list[Sequence[tuple[str, int, str]]] = []  # of each run of rows, what was dealt on its stream by now

    @property
    def opening(self) -> Opening:
        """What has come by now."""
        come = {"demands": tuple(self._demands), "arrays": tuple(self._arrays), "runs": tuple(map(tuple, self.runs))}
        return self._opening.model_copy(update=come)

    async def demand(self, demand: Demand) -> None:
        self._demands.append((self._names[type(demand)], asdict(demand)))
        await self._link.demand(demand)

    async def send(self, round: Round, values: Array) -> None:
        await self._link.send(round, values)

    async def receive(self, round: Round) -> Array:
        values = await self._link.receive(round)
        hashed = await _hashed(self._key, 0, len(self._arrays), round, values)
        self._arrays.append((round.kind.value, round.number, hashed))
        return values


class DealtBook:
    """A folder of one file for each attempt at a job, of several banks one for each line, the newest of them.

    stays: whether a job's stay whatever is newer, as those of a stock that is not spent.
    """

    def __init__(self, folder: Path, stays: Callable[[str], bool] = lambda job: False) -> None:
        self._folder, self._stays = folder, stays
        make_folder(folder)

    def keep(self, opening: Opening) -> None:
        """Replaces what was kept of the attempt. A disk that refuses is logged and ends no job: it serves a dispute."""
        try:
            write_private(self._file(opening), opening.text.encode())
            for files in [files for (job, _), files in self._kept().items() if not self._stays(job)][:-MOST]:
                for file in files:
                    file.unlink(missing_ok=True)
        except OSError:
            _log.exception("what job %s was dealt is not kept", opening.job)

    def read(self, job: str, attempt: int | None = None) -> tuple[Opening, ...]:
        """One, or of several banks those of all lines. attempt: by default the last one that was dealt anything.

        Raises JobNotFound, and DataError for a damaged file.
        """
        found = [files for (name, number), files in self._kept().items() if name == job and attempt in (None, number)]
        if not found:
            which = "" if attempt is None else f", attempt {attempt}"
            raise JobNotFound(
                f"nothing is kept of what job {job!r}{which} was dealt",
                remedy=f"What the coordinator deals for trainings, scorings and stocks is kept, of the newest {MOST}.",
            )
        every = [[one for file in files for one in read_openings(file.read_bytes(), file.name)] for files in found]
        openings = next((some for some in reversed(every) if any(one.demands for one in some)), every[-1])
        return tuple(sorted(openings, key=lambda one: one.line))

    def of_seed(self, job: str, seed: bytes) -> Opening | None:
        """That of the attempt whose seed, one of this party's, this is; None where it is not kept, or damaged."""
        try:
            found = [one for name, attempt in self._kept() if name == job for one in self.read(job, attempt)]
            return next((one for one in found if one.seed == seed), None)
        except (OSError, DataError, JobNotFound):
            _log.exception("what job %s was dealt cannot be read", job)
            return None

    def renew(self, opening: Opening) -> None:
        """It counts as kept just now."""
        with suppress(OSError):
            os.utime(self._file(opening))

    def _file(self, opening: Opening) -> Path:
        line = f".{opening.line}" if opening.line else ""
        return self._folder / f"{opening.job}.{opening.attempt}{line}{_SUFFIX}"

    def _kept(self) -> dict[tuple[str, int], list[Path]]:
        """The files by job and attempt, the oldest first."""
        found: dict[tuple[str, int], list[Path]] = {}
        for file in by_age(self._folder.glob(f"*{_SUFFIX}")):
            job, attempt, *_ = file.name.split(".")
            found[job, int(attempt)] = [*found.pop((job, int(attempt)), []), file]
        return found


def read_openings(data: bytes, source: str) -> list[Opening]:
    """One a line. Raises DataError for bytes that are no openings."""
    try:
        return [Opening.model_validate_json(line) for line in data.splitlines() or [b""]]
    except ValueError:
        text = f"{source}: not what a party keeps of a dealing, or damaged"
        raise DataError(text, public=text, remedy="Ask the party to open it anew.") from None
