#!/usr/bin/env bash
# grpcio 1.85.1: which environment variables send a channel to 127.0.0.1 through an HTTP proxy.
# Expected, as of curl and of Python's urllib: HTTPS_PROXY counts like https_proxy, no_proxy=* exempts everything, and so does
# NO_PROXY with the host's name.
# Seen on 2026-11-28, Python 3.11, Linux ("proxy": the proxy was sent CONNECT; "straight": the server was reached):
#   none: straight
#   http_proxy: proxy                      https_proxy: proxy                        grpc_proxy: proxy
#   HTTP_PROXY: straight                   HTTPS_PROXY: straight
#   http_proxy, no_proxy=*: proxy          http_proxy, NO_PROXY=127.0.0.1: proxy     http_proxy, no_proxy=127.0.0.1: straight
# The option grpc.enable_http_proxy = 0 of a channel turns it off.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet --disable-pip-version-check grpcio==1.85.1
"$folder/env/bin/python" - <<'END'
import os
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from selectors import EVENT_READ, DefaultSelector

import grpc

DIAL = 'import sys, grpc; c = grpc.insecure_channel(sys.argv[1], [("grpc.enable_http_proxy", int(sys.argv[2]))])\n'
DIAL += 'grpc.channel_ready_future(c).result(timeout=60); print("straight", flush=True)'
CASES = [
    ({}, 1, "straight"),
    ({"http_proxy": "URL"}, 1, "proxy"),
    ({"https_proxy": "URL"}, 1, "proxy"),
    ({"grpc_proxy": "URL"}, 1, "proxy"),
    ({"HTTP_PROXY": "URL"}, 1, "straight"),
    ({"HTTPS_PROXY": "URL"}, 1, "straight"),
    ({"http_proxy": "URL", "no_proxy": "*"}, 1, "proxy"),
    ({"http_proxy": "URL", "NO_PROXY": "127.0.0.1"}, 1, "proxy"),
    ({"http_proxy": "URL", "no_proxy": "127.0.0.1"}, 1, "straight"),
    ({"http_proxy": "URL"}, 0, "straight"),
]


def way(target: str, variables: dict[str, str], enabled: int) -> str:
    """Whether a process that dials `target` asks the proxy or reaches the server."""
    with socket.create_server(("127.0.0.1", 0)) as proxy, DefaultSelector() as ready:
        url = f"http://127.0.0.1:{proxy.getsockname()[1]}"
        clean = {name: value for name, value in os.environ.items() if not name.lower().endswith("proxy")}
        env = clean | {name: value.replace("URL", url) for name, value in variables.items()}
        command = [sys.executable, "-c", DIAL, target, str(enabled)]
        child = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        ready.register(proxy, EVENT_READ)
        ready.register(child.stdout, EVENT_READ)
        first = ready.select(timeout=90)[0][0].fileobj
        said = "straight" if first is child.stdout and child.stdout.readline() else "nothing"
        if first is proxy and proxy.accept()[0].recv(7) == b"CONNECT":
            said = "proxy"
        child.kill()
        child.wait()
        return said


server = grpc.server(ThreadPoolExecutor(1))
target = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
server.start()
seen = [way(target, variables, enabled) for variables, enabled, _ in CASES]
for (variables, enabled, _), what in zip(CASES, seen):
    words = ", ".join(f"{n}={v}" for n, v in variables.items()) or "none"
    print(f"{words}{'' if enabled else ', grpc.enable_http_proxy=0'}: {what}")
server.stop(0)
raise SystemExit(seen != [stated for _, _, stated in CASES])
END
