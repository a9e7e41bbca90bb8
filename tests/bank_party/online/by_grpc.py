"""Requests by gRPC as a program of the bank's own sends them."""

from __future__ import annotations

import grpc

from common.wire import scoring_pb2 as wire
from tests.common.web.pki import Pki
from tests.patience import patience


class GrpcCaller:
    """One connection of one program, by its certificate."""

    def __init__(self, port: int, pki: Pki, who: str = "loan-desk") -> None:
        ca, own, certificate = ((pki.folder / name).read_bytes() for name in ("ca.pem", f"{who}.key", f"{who}.pem"))
        options = (("grpc.enable_http_proxy", 0), ("grpc.use_local_subchannel_pool", 1))  # else programs share connections
        credentials = grpc.ssl_channel_credentials(ca, own, certificate)
        self._channel = grpc.secure_channel(f"127.0.0.1:{port}", credentials, options)
        self._ask = self._channel.unary_unary(
            "/wattscore.online.v1.Scoring/Score",
            request_serializer=wire.ScoreRequest.SerializeToString,
            response_deserializer=wire.ScoreReply.FromString,
        )

    def connect(self) -> None:
        """Until the connection stands."""
        grpc.channel_ready_future(self._channel).result(patience(30))

    def score(self, key: str, *ids: str) -> wire.ScoreReply:
        """Raises grpc.RpcError."""
        request = wire.ScoreRequest(rows=[wire.Row(id=id) for id in ids])
        found: wire.ScoreReply = self._ask(request, metadata=(("idempotency-key", key),), timeout=patience(30))
        return found

    def close(self) -> None:
        self._channel.close()
