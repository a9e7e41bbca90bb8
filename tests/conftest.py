import common.wire.tls  # noqa: F401, I001  (before anything imports grpc: it sets what TLS may be negotiated)

import signal

import hypothesis

# A shell that starts the tests in its background has them ignore Ctrl-C, and with them all processes that they send it to.
signal.signal(signal.SIGINT, signal.default_int_handler)

# The machine that runs the tests is shared: how long one example takes says nothing.
hypothesis.settings.register_profile("shared", deadline=None)
hypothesis.settings.load_profile("shared")
