import common.wire.tls  # noqa: F401, I001  (before anything imports grpc: it sets what TLS may be negotiated)

import hypothesis

# The machine that runs the tests is shared: how long one example takes says nothing.
hypothesis.settings.register_profile("shared", deadline=None)
hypothesis.settings.load_profile("shared")
