#!/usr/bin/env bash
# grpcio 1.85.1, asyncio: to a server that reads a stream of messages, a client that was killed has ended it in order.
# A client sends 3 rows and ends its stream; another was to send 10 and is killed after 3. The server counts the rows of each.
# Expected: an error for the second, or at least a context that tells that the call is over.
# Seen on 2026-11-30, Python 3.11, by `async for` and by `read()` alike:
#   ended: the stream is at its end after 3 rows; cancelled() False, done() False
#   killed: the stream is at its end after 3 rows; cancelled() False, done() False
# Only then is the handler cancelled, at the next thing for which it waits: what it does with the rows before, it does with a part
# of them. A connection that is reset, or found dead by pings, reads the same. So a stream must say by itself how long it is.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet --disable-pip-version-check grpcio==1.85.1
GRPC_VERBOSITY=NONE "$folder/env/bin/python" - <<'END'
import asyncio
import sys

import grpc
from grpc import aio

CLIENT = """
import sys, time, grpc
def rows():
    for _ in range(3):
        yield b"row"
    print("sent", flush=True)
    if sys.argv[2] == "killed":
        time.sleep(600)
for answer in grpc.insecure_channel(f"127.0.0.1:{sys.argv[1]}").stream_stream("/bank/Rows")(rows()):
    pass
"""


class Counting(grpc.GenericRpcHandler):
    def __init__(self, each):
        self.each, self.found = each, asyncio.get_running_loop().create_future()

    def service(self, details):
        return grpc.stream_stream_rpc_method_handler(self.count)

    async def count(self, messages, context):
        rows = 0
        if self.each:
            async for _ in messages:
                rows += 1
        else:
            while await context.read() is not aio.EOF:
                rows += 1
        told = f"cancelled() {context.cancelled()}, done() {context.done()}"
        self.found.set_result(f"the stream is at its end after {rows} rows; {told}")


async def seen(how, each):
    server, counting = aio.server(), Counting(each)
    server.add_generic_rpc_handlers((counting,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    client = await asyncio.create_subprocess_exec(sys.executable, "-c", CLIENT, str(port), how, stdout=asyncio.subprocess.PIPE)
    await client.stdout.readline()
    if how == "killed":
        await asyncio.sleep(1.0)
        client.kill()
    told = await counting.found
    await client.wait()
    await server.stop(0)
    return told


async def main():
    found = [(how, await seen(how, each)) for each in (True, False) for how in ("ended", "killed")]
    for how, told in found:
        print(f"{how}: {told}")
    return {told for _, told in found} == {"the stream is at its end after 3 rows; cancelled() False, done() False"}


raise SystemExit(not asyncio.run(main()))
END
