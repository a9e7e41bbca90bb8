"""Frames of an array as protobuf reads them."""

from __future__ import annotations

from collections.abc import Iterator

from common.mpc.session import Array, Round
from common.wire import codec
from common.wire.frames import pack
from common.wire.peer_pb2 import Frame


def encode(label: Round, values: Array) -> Iterator[Frame]:
    for piece in codec.encode(label, values):
        yield Frame.FromString(pack(piece))
