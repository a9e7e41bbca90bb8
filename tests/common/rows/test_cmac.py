"""Tags of many texts at once: RFC 4493's vectors, and what the library's CMAC gives one text at a time."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from cryptography.hazmat.primitives.ciphers import algorithms
from cryptography.hazmat.primitives.cmac import CMAC
from hypothesis import given
from hypothesis import strategies as st

from common.rows import cmac as module
from common.rows.cmac import cmac

# RFC 4493, section 4
KEY = bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c")
MESSAGE = bytes.fromhex(
    "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710"
)
TAGS = {
    0: "bb1d6929e95937287fa37d129b756746",
    16: "070a16b46b4d4144f79bdd9dd04a287c",
    40: "dfa66747de9ae63030ca32611497c827",
    64: "51f0bebf7e3b9d92fc49741779363cfe",
}


def one_by_one(text: str, key: bytes) -> bytes:
    mac = CMAC(algorithms.AES128(key))
    mac.update(text.encode())
    return mac.finalize()


def test_the_vectors_of_the_rfc() -> None:
    texts = pa.array([MESSAGE[:size] for size in TAGS], pa.binary())
    assert [tag.tobytes().hex() for tag in cmac(texts, KEY)] == list(TAGS.values())


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


@given(
    st.lists(texts, max_size=30), st.binary(min_size=16, max_size=16), st.integers(0, 5), st.sampled_from([16, 100, 1 << 20])
)
def test_many_are_as_one_by_one(many: list[str], key: bytes, skipped: int, at_once: int) -> None:
    array = pa.array(many, pa.string())[skipped:]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_PASS", at_once)
        patch.setattr(module, "_TEXTS", 7)
        found = cmac(array, key)
    assert found.shape == (len(array), 2)
    assert [tag.tobytes() for tag in found] == [one_by_one(text, key) for text in many[skipped:]]


@pytest.mark.parametrize("text", ["", "A", "0123456789ABCDEF", "电力公司 0123456789ABCDEF-x"])
def test_a_text_by_itself_has_the_tag_that_it_has_among_others(text: str) -> None:

    np.testing.assert_array_equal(cmac(pa.array([text]), KEY)[0], cmac(pa.array(["other", text]), KEY)[1])
