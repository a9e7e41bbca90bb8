"""The only package that knows gRPC and protobuf. TLS comes first: it must be set up before grpc is imported."""

from common.wire import tls as _tls

__all__ = ["_tls"]
