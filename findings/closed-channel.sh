#!/usr/bin/env bash
# grpcio 1.85.1, asyncio: a channel that was closed keeps its TCP connection for as long as a call that is over is held.
# A stream is ended by both sides, its status is OK, its channel is closed. Expected: the connection ends with the channel.
# Seen on 2026-11-29, Python 3.11, Linux:
#   connections: 1 while the channel is open, 1 three seconds after it was closed, 0 once the finished call is let go of
# An object of a call, kept for its status or its metadata, holds the connection open at both ends; who opens a channel for each piece of
# work, and keeps what came of it, ends with as many connections. Closing is not enough: the call has to be forgotten too.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3.11 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet --disable-pip-version-check grpcio==1.85.1
cat > "$folder/closed.py" <<'END'
import asyncio
import gc

import grpc


def connections(port):
    """Those that are established from the server's port, by the kernel's tables."""
    rows = [line.split() for name in ("tcp", "tcp6") for line in open(f"/proc/net/{name}").readlines()[1:]]
    return sum(row[3] == "01" and int(row[1].rsplit(":", 1)[1], 16) == port for row in rows)


async def main():
    async def echo(requests, context):
        async for request in requests:
            yield request

    server = grpc.aio.server()
    methods = {"Echo": grpc.stream_stream_rpc_method_handler(echo)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("finding", methods),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}")
    call = channel.stream_stream("/finding/Echo")()
    await call.write(b"a word")
    assert await call.read() == b"a word"
    await call.done_writing()
    assert await call.code() is grpc.StatusCode.OK
    seen = {"open": connections(port)}
    await channel.close()
    await asyncio.sleep(3.0)
    seen["closed"] = connections(port)
    del call
    gc.collect()
    for _ in range(100):
        await asyncio.sleep(0.1)
        if not connections(port):
            break
    seen["let go"] = connections(port)
    await server.stop(None)
    return seen


seen = asyncio.run(main())
print("connections:", seen)
raise SystemExit(seen != {"open": 1, "closed": 1, "let go": 0})
END
"$folder/env/bin/python" "$folder/closed.py"
