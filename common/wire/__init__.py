"""The network, in every process: the only package that knows gRPC and protobuf.

Knows nothing of what is computed. TLS comes first: it must be set up before grpc is imported.
"""

from common.wire import tls as _tls

__all__ = ["_tls"]
