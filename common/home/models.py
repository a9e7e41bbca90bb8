"""A party's models on disk: one folder a training job, whole or not at all, on disk before anything names it."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

from common.disk.files import make_folder, write_private
from common.errors import ConfigError, DataError, JobNotFound
from common.learn.learner import Half, Packed
from common.learn.learners import pack, parse

CHAMPION = "champion"  # stands for a job's name
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


def is_job_name(text: str) -> bool:
    """Whether `text` may name a job, and so a file: letters, digits, - and _."""
    return _NAME.fullmatch(text) is not None and text != CHAMPION


class ModelStore:
    """Models under one folder, one sub-folder a training job."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def save(self, model: Half) -> str:
        """Writes the model; its digest, SHA-256 in hexadecimal, covers every byte of it."""
        return self.write(model.job, pack(model))

    def write(self, job: str, packed: Packed) -> str:
        """Writes a packed model, as `save` does; afterwards it outlasts a power cut, and a registry may name it."""
        make_folder(folder := self._place(job))
        for name, data in (("arrays.npz", packed.arrays), ("model.json", packed.text)):
            write_private(folder / name, data)
        return packed.digest

    def digest(self, job: str) -> str:
        """The digest of what is stored, after checking that it can be loaded; raises as `load` does."""
        self.load(job)
        return hashlib.sha256((self._place(job) / "model.json").read_bytes()).hexdigest()

    def attach(self, job: str, name: str, content: dict[str, Any]) -> None:
        """Writes a JSON report of the job's model beside it, for its owner."""
        make_folder(folder := self._place(job))
        write_private(folder / name, json.dumps(content, indent=1, ensure_ascii=False).encode())

    def has(self, job: str) -> bool:
        return (self._place(job) / "model.json").exists()

    def folder(self, job: str) -> Path:
        """The folder a model is kept in; what else belongs to it may stand beside it."""
        return self._place(job)

    def load(self, job: str) -> Half:
        """Raises JobNotFound for an unknown job, DataError for files that are not what was written."""
        folder = self._place(job)
        try:
            head = json.loads((folder / "model.json").read_bytes())
            arrays = (folder / "arrays.npz").read_bytes()
        except FileNotFoundError:
            raise JobNotFound(
                f"no model of job {job} is stored here", remedy="Train it first, or check the job's name."
            ) from None
        except ValueError:
            raise _damaged(job) from None
        try:
            model = parse(head, arrays)
        except (ValueError, KeyError, TypeError, AttributeError, EOFError, BadZipFile, ConfigError):
            raise _damaged(job) from None
        if model.job != job:
            raise _damaged(job)
        return model

    def _place(self, job: str) -> Path:
        if not is_job_name(job):
            raise JobNotFound(f"{job!r} is not a job's name")
        return self._folder / job


def _damaged(job: str) -> DataError:
    message = f"the stored model of job {job} is damaged or of another format"
    return DataError(message, public=message, remedy="Restore it from a back-up, or train again.")
