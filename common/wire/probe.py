"""What answers at an address, step by step: name, port, TLS, certificate, so that it can be said which of them fails.

No certificate is shown and no message is sent; what is seen serves to name a fault and is trusted for nothing else.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from common.errors import PeerLost, PeerProtocolError
from common.party import Identity

T = TypeVar("T")


async def unhurried(work: Callable[..., T], *arguments: Any) -> T:
    """`work` in a thread that nobody waits for, should it hang: name servers and network disks do."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def settle(result: Any, error: BaseException | None) -> None:
        if not done.cancelled():
            done.set_result(result) if error is None else done.set_exception(error)

    def run() -> None:
        result, error = None, None
        try:
            result = work(*arguments)
        except Exception as caught:
            error = caught
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=run, daemon=True).start()
    return await done


async def connect(address: str, seconds: float) -> socket.socket:
    """An open connection to HOST:PORT. Raises PeerLost that says what is wrong: name, closed, dropped or no way there."""
    host, _, port = address.rpartition(":")
    try:
        async with asyncio.timeout(seconds):
            found = await unhurried(socket.getaddrinfo, host.strip("[]"), int(port), 0, socket.SOCK_STREAM)
            return await _first(found)
    except socket.gaierror:
        raise PeerLost(f"the name {host} leads to no address", remedy="Check the name, and this machine's resolver.") from None
    except ConnectionRefusedError:
        raise PeerLost(
            f"port {port} of {host} is closed: the machine answers, nobody listens",
            remedy="Start the process there, or correct the port.",
        ) from None
    except TimeoutError:
        raise PeerLost(
            f"no answer from {address} within {seconds:g} s: packets are lost on the way",
            remedy=f"Open TCP port {port} to this machine in the firewalls on the way, or correct the address.",
        ) from None
    except OSError as error:
        raise PeerLost(f"no way to {address}: {error.strerror}", remedy="Check the address and the routes.") from None


async def _first(found: list[Any]) -> socket.socket:
    """To the first address that takes the connection; raises the last one's OSError."""
    error: OSError = OSError("no address")
    for family, kind, number, _, place in found:
        link = socket.socket(family, kind, number)
        link.setblocking(False)
        try:
            await asyncio.get_running_loop().sock_connect(link, place)
            return link
        except OSError as caught:
            link.close()
            error = caught
        except BaseException:
            link.close()
            raise
    raise error


async def certificate_at(link: socket.socket, server: Identity, seconds: float) -> bytes:
    """The certificate (PEM) that a TLS 1.3 server shows on this connection, which is closed then.

    What this side would answer last is not sent: a server that asks for a certificate would log its want as an error.
    Raises PeerLost if it says nothing within `seconds`, PeerProtocolError if it does not speak TLS 1.3.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # looked at, not trusted: see the head of this file
    context.set_alpn_protocols(["h2"])
    try:
        async with asyncio.timeout(seconds):
            shown = await _shown(link, context, server.dns)
    except TimeoutError:
        raise PeerLost(
            f"the port is open, but says nothing within {seconds:g} s",
            remedy="Look for a proxy on the way, a process there that hangs, or a machine too busy to answer (--patience 5).",
        ) from None
    except OSError as error:  # ssl.SSLError is one
        raise PeerProtocolError(
            f"what listens there does not speak TLS 1.3 ({getattr(error, 'reason', None) or error.strerror})",
            remedy="Check the port; a proxy that ends TLS cannot be used.",
        ) from None
    finally:
        link.close()
    if shown is None:
        raise PeerProtocolError("what listens there shows no certificate", remedy="Check the address and the port.")
    return ssl.DER_cert_to_PEM_cert(shown).encode()


async def _shown(link: socket.socket, context: ssl.SSLContext, name: str) -> bytes | None:
    """The server's certificate (DER), all of its flight being read and checked, none of the client's second one sent."""
    loop, heard, said = asyncio.get_running_loop(), ssl.MemoryBIO(), ssl.MemoryBIO()
    talk = context.wrap_bio(heard, said, server_hostname=name)
    while True:
        try:
            talk.do_handshake()
            return talk.getpeercert(binary_form=True)
        except ssl.SSLWantReadError:
            await loop.sock_sendall(link, said.read())
        if got := await loop.sock_recv(link, 1 << 14):
            heard.write(got)
        else:
            raise ConnectionResetError(0, "it closes the connection")
