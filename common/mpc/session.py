"""One job's joint computation as a party sees it: rounds labelled, values exchanged, openings checked against the plan.

Protocol code awaits the verbs of `Session` and knows no sockets; sockets implement `Channel` and know no arithmetic.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, NamedTuple, Protocol, TypeVar, runtime_checkable

import numpy as np
import numpy.typing as npt

from common.disclosure import Opened
from common.errors import LocalProtocolError, PeerProtocolError, PolicyError
from common.mpc.transcript import SUM_BYTES, Transcript
from common.party import Party
from common.unheard import unheard

Array = npt.NDArray[Any]
T = TypeVar("T")

MAX_ARRAY_BYTES = 1 << 30  # above which nobody takes one
_CARRIED = frozenset(map(np.dtype, (np.uint8, np.uint32, np.uint64)))
OFFLOAD_WORDS = 1 << 18  # below this, a hop to a worker thread and back costs about as much as the work


class Kind(Enum):
    """The kind of array a round carries; one typed protobuf field each (protos/common/wire/peer.proto)."""

    __hash__ = object.__hash__  # each is one object; Enum's own is a call of Python
    SEEDS = "seeds"
    PSI_COUNT = "psi_count"
    PSI_POINTS = "psi_points"
    PSI_REPLIES = "psi_replies"
    PSI_SIZES = "psi_sizes"
    PSI_TAGS = "psi_tags"
    PSI_COMMON = "psi_common"
    PERIOD_RANGE = "period_range"
    PERIOD_BITS = "period_bits"
    PERIOD_SHARES = "period_shares"
    SPLIT = "split"
    SHAPE = "shape"
    MASKED_MATRIX = "masked_matrix"
    MASKED_WEIGHTS = "masked_weights"
    MASKED_U = "masked_u"
    MASKED_RESIDUAL = "masked_residual"
    MASKED_UPDATE = "masked_update"
    MASKED_OPERAND = "masked_operand"
    MASKED_HIDDEN = "masked_hidden"
    MASKED_BACK = "masked_back"
    GRADIENT_SHARE = "gradient_share"
    TRAINING_CHECK = "training_check"
    EARLY_STOP = "early_stop"
    GRID_WEIGHT_SHARE = "grid_weight_share"
    BANK_WEIGHT_SHARE = "bank_weight_share"
    TEST_SCORES = "test_scores"
    SCORES = "scores"
    STOCK = "stock"
    GRID_REASONS = "grid_reasons"
    MASKED_BINS = "masked_bins"
    MASKED_COUNTS = "masked_counts"
    BIN_TESTS = "bin_tests"
    BIN_COUNTS = "bin_counts"
    REGISTRY = "registry"
    MASKED_COMPARED = "masked_compared"
    MASKED_CARRIES = "masked_carries"
    SPLIT_TESTS = "split_tests"
    MASKED_THRESHOLDS = "masked_thresholds"
    MASKED_NODES = "masked_nodes"
    MASKED_SUMS = "masked_sums"
    MASKED_BRANCH = "masked_branch"
    MASKED_CHOICE = "masked_choice"
    MASKED_LEAVES = "masked_leaves"
    MASKED_DIGITS = "masked_digits"
    MASKED_SIGNS = "masked_signs"
    MASKED_RANKS = "masked_ranks"
    MASKED_ORDER = "masked_order"
    SPLIT_DIRECTIONS = "split_directions"
    ASKED = "asked"
    RESUME = "resume"
    # under masks that their owner undoes
    LATTICE_SEED = "lattice_seed"
    LATTICE_MATRIX = "lattice_matrix"
    LATTICE_COLUMNS = "lattice_columns"
    LATTICE_WEIGHTS = "lattice_weights"
    LATTICE_RESIDUAL = "lattice_residual"
    LATTICE_BITS = "lattice_bits"
    LATTICE_CARRIES = "lattice_carries"
    LATTICE_PHASORS = "lattice_phasors"
    LATTICE_REPLY = "lattice_reply"
    LATTICE_MODEL = "lattice_model"
    LATTICE_ROWS = "lattice_rows"
    MODEL_MARKS = "model_marks"
    # of several banks
    MASKED_ADDEND = "masked_addend"
    POOLED_SHARE = "pooled_share"
    POOLED_COUNTS = "pooled_counts"
    POOLED_STEP = "pooled_step"
    HEARD = "heard"
    TRANSCRIPT = "transcript"
    # from the dealer
    SEED = "seed"
    DEALT_PERIODS = "dealt_periods"
    DEALT_LINK = "dealt_link"
    DEALT_TRUNCATION = "dealt_truncation"
    DEALT_GRADIENT = "dealt_gradient"
    DEALT_COUNTS = "dealt_counts"
    DEALT_LARGEST = "dealt_largest"
    DEALT_TREES = "dealt_trees"
    DEALT_HIDDEN = "dealt_hidden"
    DEALT_CUT = "dealt_cut"
    DEALT_TAGS = "dealt_tags"
    DEALT_DIGITS = "dealt_digits"
    DEALT_RANKS = "dealt_ranks"
    DEALT_SUM = "dealt_sum"
    NONCES = "nonces"


OPENS: dict[Kind, Opened] = {
    Kind.PSI_COUNT: Opened.MATCHED_IDS,
    Kind.PSI_POINTS: Opened.MATCHED_IDS,
    Kind.PSI_REPLIES: Opened.MATCHED_IDS,
    Kind.PSI_SIZES: Opened.COUNTS,
    Kind.PSI_TAGS: Opened.COUNTS,
    Kind.PSI_COMMON: Opened.MATCHED_IDS,
    Kind.PERIOD_RANGE: Opened.PERIOD_RANGE,
    Kind.PERIOD_SHARES: Opened.MATCHED_ROWS,
    Kind.SPLIT: Opened.SPLIT,
    Kind.SHAPE: Opened.COUNTS,
    Kind.GRADIENT_SHARE: Opened.GRADIENTS,
    Kind.TRAINING_CHECK: Opened.TRAINING_CHECK,
    Kind.EARLY_STOP: Opened.EARLY_STOP,
    Kind.GRID_WEIGHT_SHARE: Opened.GRID_WEIGHTS,
    Kind.BANK_WEIGHT_SHARE: Opened.BANK_WEIGHTS,
    Kind.TEST_SCORES: Opened.TEST_SCORES,
    Kind.SCORES: Opened.SCORES,
    Kind.STOCK: Opened.COUNTS,
    Kind.GRID_REASONS: Opened.GRID_REASONS,
    Kind.BIN_TESTS: Opened.BIN_COUNTS,
    Kind.BIN_COUNTS: Opened.BIN_COUNTS,
    Kind.REGISTRY: Opened.COUNTS,
    Kind.SPLIT_TESTS: Opened.TREE_SPLITS,
    Kind.SPLIT_DIRECTIONS: Opened.TREE_SPLITS,
    Kind.ASKED: Opened.MATCHED_IDS,
    Kind.RESUME: Opened.COUNTS,
    Kind.POOLED_SHARE: Opened.POOLED_MOMENTS,
    Kind.POOLED_COUNTS: Opened.POOLED_METRICS,
    Kind.POOLED_STEP: Opened.POOLED_STEPS,
}
"""What a round of each kind opens. Kinds that are not here carry only masked values: each is uniform by itself."""


class Round(NamedTuple):
    """The label of one array: what it carries and its number in its direction. Both sides must agree on it."""

    kind: Kind
    number: int

    def __str__(self) -> str:
        return f"{self.kind.value}/{self.number}"


class Channel(Protocol):
    """An ordered, authenticated stream of labelled arrays to one other process."""

    async def send(self, round: Round, values: Array) -> None:
        """Queues `values` (C-contiguous uint8, uint32 or uint64, one- or two-dimensional); returns before they arrive."""

    async def receive(self, round: Round) -> Array:
        """The next array, which must carry this label; raises PeerProtocolError, PeerLost or PeerFailed."""


@runtime_checkable
class Holding(Protocol):
    """A channel that can keep small arrays for one message."""

    def hold(self, *, throughout: bool = False) -> AbstractAsyncContextManager[None]:
        """What is sent within leaves together, once an array is waited for or at the end; throughout: and again after that."""

    def keep(self, round: Round, values: Array) -> bool:
        """Takes an array for the message that is held; False where none is held, or it has no room, and `send` is needed."""


class Reporter(Protocol):
    """The listener to whom a running job says how far it is, and what its owner should know."""

    def progress(self, done: int, total: int) -> None: ...

    def warn(self, text: str) -> None: ...


class Silent:
    """A Reporter that keeps warnings and says nothing."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def progress(self, done: int, total: int) -> None:
        pass

    def warn(self, text: str) -> None:
        self.warnings.append(text)


@dataclass
class Traffic:
    """Rounds and payload bytes of a session, for the tests that hold each operation to what it states."""

    rounds: int = 0
    sent: dict[Kind, int] = field(default_factory=dict)


@dataclass
class Openings:
    """The openings of one kind one way: how many arrays, their rows, and their bits as carried."""

    arrays: int = 0
    rows: int = 0
    bits: int = 0


Way = tuple[Opened, str, str]  # what is opened, the kind of array that carries it (empty for none), "out" or "in"
Enter = Callable[[Way, Openings], None]  # enters what is about to be opened for the first time; raises to keep it closed


async def compute(work: Callable[[], T], words: int) -> T:
    """As `Session.compute`, for who has no session."""
    return work() if words < OFFLOAD_WORDS else await asyncio.to_thread(work)


class Session:
    """One job at one party: who I am, the other party, and the numbers of the next arrays each way."""

    def __init__(
        self,
        party: Party,
        peer: Channel,
        reporter: Reporter | None = None,
        *,
        allowed: frozenset[Opened] = frozenset(),
        whom: str = "the other party",
        enter: Enter = lambda way, first: None,
    ) -> None:
        self.party, self._peer, self._allowed, self._whom = party, peer, allowed, whom
        self._holding = peer if isinstance(peer, Holding) else None  # asked once: it is a look through the whole protocol
        self.reporter: Reporter = reporter or Silent()
        self.traffic = Traffic()
        self.openings: dict[Way, Openings] = {}
        self.settled = True  # at the bank: not where a training moved further at its end, or a network in all, than is usual
        self._enter = enter
        self._sent = self._received = 0
        self.said, self.taken = Transcript(), Transcript()
        self._posting: asyncio.Task[None] | None = None

    def beside(self, channel: Channel, whom: str) -> Session:
        """The same job's rounds with a third process, under the same plan, entered in the same book of what was opened."""
        session = Session(self.party, channel, self.reporter, allowed=self._allowed, whom=whom, enter=self._enter)
        session.openings = self.openings
        return session

    async def exchange(self, kind: Kind, mine: Array, *, shape: tuple[int, ...] | None = None) -> Array:
        """One round: sends `mine`, returns the other's array of the same kind and dtype.

        shape: what the other's array must have (default: that of `mine`). Raises PeerProtocolError otherwise.
        """
        await self.post(kind, mine)
        theirs = await self.collect(kind, mine.dtype, mine.shape if shape is None else shape)
        await self._posted()
        return theirs

    async def common(self, kind: Kind, mine: Array) -> Array:
        """`mine`, (n,), with zeros in place of the numbers that not all parties of the job have said here. One round."""
        theirs = await self.exchange(kind, mine)
        return np.where(np.isin(mine, theirs), mine, 0).astype(mine.dtype)

    async def send(self, kind: Kind, mine: Array) -> None:
        """One one-way message; the other party calls `receive` at the same place."""
        await self.post(kind, mine)
        await self._posted()

    async def receive(self, kind: Kind, dtype: npt.DTypeLike, shape: tuple[int, ...]) -> Array:
        """The other's one-way message, of exactly this dtype and shape."""
        theirs = await self.collect(kind, dtype, shape)
        self.traffic.rounds += 1
        return theirs

    async def post(self, kind: Kind, mine: Array) -> None:
        """Sends without waiting, while at most one array before it is still on its way; `mine` must not change any more.

        Both parties post and collect in the same order, so that rounds over blocks of rows overlap with the computation.
        """
        self._check_opens(kind, "out", mine.shape, mine.dtype)
        if mine.dtype not in _CARRIED:
            raise LocalProtocolError(f"a round carries uint8, uint32 or uint64, not {mine.dtype}")
        await self._posted()
        self._sent += 1
        self.traffic.rounds += 1
        self.traffic.sent[kind] = self.traffic.sent.get(kind, 0) + mine.nbytes
        label = Round(kind, self._sent)
        self.said.add(label, mine)
        if self._holding is not None and self._holding.keep(label, mine):
            return
        self._posting = unheard(asyncio.create_task(self._peer.send(label, mine)))

    @asynccontextmanager
    async def together(self, *, throughout: bool = False) -> AsyncIterator[None]:
        """What is posted within travels as one message, as far as it is small and nothing is collected between.

        throughout: also what is posted once something was collected, up to where the next is.
        """
        async with nullcontext() if self._holding is None else self._holding.hold(throughout=throughout):
            yield
            await self._posted()

    async def collect(self, kind: Kind, dtype: npt.DTypeLike, shape: tuple[int, ...]) -> Array:
        """The next array of the other party, which must be of this kind, dtype and shape."""
        self._check_opens(kind, "in", shape, wanted := np.dtype(dtype))
        self._received += 1
        label = Round(kind, self._received)
        theirs = self._checked(label, await self._peer.receive(label), wanted, shape)
        self.taken.add(label, theirs)
        return theirs

    async def compare(self) -> None:
        """One round: whether each took what the other sent until here, of which nothing may be on its way.

        Raises PeerProtocolError where a word is another.
        """
        said, taken = self.said.sum, self.taken.sum
        theirs = await self.exchange(Kind.TRANSCRIPT, np.concatenate([said, taken]))
        for way, own, other in (("took", said, theirs[SUM_BYTES:]), ("sent", taken, theirs[:SUM_BYTES])):
            if not np.array_equal(own, other):
                here = "was sent" if way == "took" else "was taken"
                raise PeerProtocolError(
                    f"what {self._whom} {way} is not what {here} here: a word between them is another",
                    remedy="Submit the job again. If it fails again, a machine is damaged, or one of both lies.",
                )

    async def _posted(self) -> None:
        if self._posting is not None:
            task, self._posting = self._posting, None
            await task

    async def compute(self, work: Callable[[], T], words: int) -> T:
        """Runs `work` over about `words` words: in place if small, else in a thread, so that streams move."""
        return await compute(work, words)

    def begin(self, work: Callable[[], T], words: int) -> asyncio.Future[T]:
        """The same, begun now and awaited later; what is large is computed beside other work."""
        return unheard(asyncio.ensure_future(self.compute(work, words)))

    @property
    def whom(self) -> str:
        """The other party, as errors name it."""
        return self._whom

    @property
    def opened(self) -> set[Opened]:
        return {value for value, _, _ in self.openings}

    def open(self, value: Opened, kind: str = "", way: str = "out", rows: int = 0, bits: int = 0) -> None:
        """Records that `value` is about to be opened; raises PolicyError if the plan does not list it.

        The first one of its kind, each way, is entered before it leaves or is taken.
        """
        if value not in self._allowed:
            raise PolicyError(
                f"the plan does not open {value.value!r}",
                remedy="Add it to the plan's disclosures if both sides agree to open it.",
            )
        key = (value, kind, way)
        if (found := self.openings.get(key)) is None:
            self._enter(key, Openings(1, rows, bits))
            found = self.openings[key] = Openings()
        found.arrays, found.rows, found.bits = found.arrays + 1, found.rows + rows, found.bits + bits

    def _check_opens(self, kind: Kind, way: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        if (opens := OPENS.get(kind)) is not None:
            rows, size = (shape[0] if shape else 1), math.prod(shape) * dtype.itemsize
            self.open(opens, kind.value, way, rows, 8 * size)

    def _checked(self, label: Round, values: Array, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Array:
        if values.dtype != dtype or values.shape != shape:
            raise PeerProtocolError(
                f"{self._whom} sent an array of another shape",
                round=label,
                expected=f"{dtype} {shape}",
                got=f"{values.dtype} {values.shape}",
                remedy="Both sides must run the same version and plan.",
            )
        return values
