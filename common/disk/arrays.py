"""Arrays by name in one file, as numpy writes them, never pickled."""

from __future__ import annotations

from threading import Lock
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

_one_at_a_time = Lock()


def read_arrays(stream: BinaryIO) -> dict[str, npt.NDArray[Any]]:
    """The arrays of an .npz file. Raises ValueError, EOFError, OSError or BadZipFile for what is none, or is damaged.

    One thread at a time: numpy reads an array's header by `ast`, which CPython 3.11 may refuse to two threads at once.
    """
    with _one_at_a_time, np.load(stream, allow_pickle=False) as found:
        return dict(found)
