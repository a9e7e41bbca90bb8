"""The product of a training, kept at both parties or at neither."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from common.home.record import Record, save_record
from common.learn.learner import Packed
from common.monitor import reference
from common.mpc.session import Kind
from common.stages.champion import digest_words
from common.stages.job import Kept, PartyJob
from common.unheard import unheard

_LAST_WORD = 5.0  # seconds in which the others still say how they ended, once a job is stopped here


@dataclass(frozen=True)
class Product:
    """All that a training leaves. chosen: which columns were binned how, if any were."""

    packed: Packed
    known: reference.Reference
    kept: Kept
    record: Record
    chosen: Any


async def keep_both(job: PartyJob, product: Product) -> None:
    """Each tells its fingerprint, writes its half down, and says so; what one could not write, neither keeps.

    Raises OSError where the disk refuses, and the other's error where it failed. A job that is stopped meanwhile is kept if
    the other has it, since that one is through.
    """
    theirs = await job.session.exchange(Kind.REGISTRY, digest_words(bytes.fromhex(product.packed.digest)))  # both are through
    peer = theirs.tobytes().hex()
    written = asyncio.create_task(_keep_if_both(job, product, peer))
    try:
        await asyncio.shield(written)
    except asyncio.CancelledError:
        await last_word(written)
        raise


async def last_word(written: asyncio.Task[None]) -> None:
    """Waits for what a job that is stopped writes down until others say no more, then stops that, and waits for what it undoes.

    Itself stopped once more it leaves that to go on: else half a model would stay.
    """
    await asyncio.wait({unheard(written)}, timeout=_LAST_WORD)
    if not written.done():
        written.cancel()
        await asyncio.wait({written})


async def _keep_if_both(job: PartyJob, product: Product, peer: str) -> None:
    writing = unheard(asyncio.ensure_future(asyncio.to_thread(keep, job, product, peer)))
    try:
        await asyncio.shield(writing)
        await job.session.exchange(Kind.REGISTRY, digest_words(bytes.fromhex(peer)))
    except BaseException:
        await asyncio.wait([writing])
        await asyncio.to_thread(discard, job)
        raise


def keep(job: PartyJob, product: Product, peer_digest: str, peers: Mapping[str, str] | None = None) -> None:
    """The model after what stands beside it, and the registry's entry after the model. peers: see `Registry.enter`."""
    models = job.home.models
    folder = models.folder(job.id)
    save_record(product.record, folder)
    if product.chosen is not None:
        models.attach(job.id, "features.json", product.chosen)
    product.kept.save(folder)
    reference.save(product.known, folder)
    job.outcome.model_digest = models.write(job.id, product.packed)
    job.home.registry.enter(job.id, product.packed.digest, peer_digest, job.whole.digest().hex(), peers)


def discard(job: PartyJob) -> None:
    """Nothing of the job's model is left, nor of its number in the registry."""
    job.home.discard(job.id)
