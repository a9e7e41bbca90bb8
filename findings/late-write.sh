#!/usr/bin/env bash
# grpcio 1.85.1, asyncio: a client that is writing when the server ends a two-way stream seldom learns why it ended.
# The server refuses each stream at once with PERMISSION_DENIED, a text and trailing metadata. Two clients write messages of 64 KiB until
# they fail or are through, then ask the call for its status; one leaves a pause between writes.
# Expected: PERMISSION_DENIED for both, whenever it is found out.
# Seen on 2026-11-29, Python 3.11, of 40 streams each (the first varies by a few):
#   without a pause: INTERNAL 'Internal error from Core', no metadata, of 32; the refusal of 8
#   with a pause: PERMISSION_DENIED 'too many columns' with its metadata, of 40
# The write fails first, and its failure becomes the status of the call: `code()`, `details()` and `trailing_metadata()` keep it. So a
# program that streams must have the refusal said in another way too, as by a message before the end.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet --disable-pip-version-check grpcio==1.85.1
GRPC_VERBOSITY=NONE "$folder/env/bin/python" - <<'END'
import asyncio
from collections import Counter

import grpc
from grpc import aio


class Refusing(grpc.GenericRpcHandler):
    def service(self, details):
        async def refuse(messages, context):
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, "too many columns", trailing_metadata=(("why", "policy"),))

        return grpc.stream_stream_rpc_method_handler(refuse)


async def status(pause):
    server = aio.server()
    server.add_generic_rpc_handlers((Refusing(),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        await channel.channel_ready()
        call = channel.stream_stream("/peer/Exchange")()
        try:
            for _ in range(200):
                await call.write(bytes(65536))
                await asyncio.sleep(pause)
            await call.read()
        except (aio.AioRpcError, asyncio.InvalidStateError):
            pass
        found = (await call.code()).name, await call.details(), bool(await call.trailing_metadata())
    await server.stop(0)
    return found


async def main():
    at_once = Counter([await status(0) for _ in range(40)])
    paused = Counter([await status(0.005) for _ in range(40)])
    print(f"without a pause: {dict(at_once)}\nwith a pause: {dict(paused)}")
    refused = ("PERMISSION_DENIED", "too many columns", True)
    return paused[refused] >= 30 and at_once["INTERNAL", "Internal error from Core", False] >= 10


raise SystemExit(not asyncio.run(main()))
END
