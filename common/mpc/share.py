"""One additive half of a secret array: the two halves sum to the secret modulo 2^64."""

from __future__ import annotations

from typing import NoReturn

import numpy as np
import numpy.typing as npt

from common.mpc.fixedpoint import Words


class Share:
    """This party's half of a secret vector at a scale. It says nothing by itself and shows nothing by accident.

    words: uint64, wrapping. Linear operations with public integers are local. The only way out is `learn.linear.reveal`.
    """

    __slots__ = ("scale", "words")

    def __init__(self, words: Words, scale: int) -> None:
        self.words, self.scale = words, scale

    @classmethod
    def zero(cls, size: int, scale: int) -> Share:
        return cls(np.zeros(size, np.uint64), scale)

    def __add__(self, other: Share) -> Share:
        self._same_scale(other)
        return Share(self.words + other.words, self.scale)

    def __sub__(self, other: Share) -> Share:
        self._same_scale(other)
        return Share(self.words - other.words, self.scale)

    def times(self, factor: int, scale: int = 0) -> Share:
        """The secret times a public integer that stands for factor / 2^scale."""
        return Share(self.words * np.array(factor, np.int64).view(np.uint64), self.scale + scale)

    def __getitem__(self, part: slice) -> Share:
        return Share(self.words[part], self.scale)

    def __len__(self) -> int:
        return len(self.words)

    def _same_scale(self, other: Share) -> None:
        if self.scale != other.scale:
            raise ValueError(f"shares at scales {self.scale} and {other.scale} do not add")

    def __repr__(self) -> str:
        return f"Share({len(self.words)} words at scale {self.scale})"

    def __bool__(self) -> NoReturn:
        raise TypeError("the truth of a share is not known to one party")

    def __iter__(self) -> NoReturn:
        raise TypeError("a share is not iterated over")

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> NoReturn:
        raise TypeError("a share does not become an array by accident")

    def __reduce__(self) -> NoReturn:
        raise TypeError("a share is not pickled")
