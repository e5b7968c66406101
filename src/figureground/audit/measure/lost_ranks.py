"""Notice at once when a rank has gone, so that no other waits for it.

A collective operation tells only whoever takes part in it, which may be hours later. So every rank keeps a connection
to the first one open and listens: the system closes it when its process ends, however it ends, and ends it itself where
a machine no longer answers. A process that is merely slow, or busy for long in one call, is not taken for lost.
"""

from __future__ import annotations

import hmac
import os
import secrets
import selectors
import socket
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field

#: Seconds until an idle connection is asked whether its other end is there, between questions, and how many.
IDLE, BETWEEN, QUESTIONS = 15, 5, 4
#: Seconds within which all ranks must have connected.
CONNECT = 120.0
_ENDED = b"E"
_TOKEN = 32
OUT_OF_A_RESOURCE = 5


def ended_by(rank: int) -> None:
    """End this process: nothing that it could still do would be waited for. What is written is kept."""
    sys.stderr.write(
        f"RANK_LOST rank {rank}: found its process gone; expected all ranks to the end; "
        "fix: run the same command with --resume, with as many ranks as there are\n"
    )
    sys.stderr.flush()
    os._exit(OUT_OF_A_RESOURCE)


@dataclass(frozen=True)
class Address:
    """Where the first rank listens, and what shows that it is one of us who connects."""

    host: str
    port: int
    token: bytes = field(repr=False)


@dataclass
class Lookout:
    """Listens to other ranks in a thread.

    Attributes
    ----------
    links : sequence of (int, socket)
        Connections, and the rank at the other end.
    lost : callable
        Called with the rank that has gone.
    """

    links: Sequence[tuple[int, socket.socket]]
    lost: Callable[[int], None] = ended_by
    _ended: threading.Event = field(default_factory=threading.Event, repr=False)

    def start(self) -> Lookout:
        """Begin to listen."""
        threading.Thread(target=self._listen, daemon=True, name="lookout").start()
        return self

    def end(self) -> None:
        """Tell the others that this is the end, and no loss."""
        self._ended.set()
        for _, link in self.links:
            with suppress(OSError):
                link.sendall(_ENDED)
                link.shutdown(socket.SHUT_RDWR)
            link.close()

    def _listen(self) -> None:
        with selectors.DefaultSelector() as ready:
            for rank, link in self.links:
                ready.register(link, selectors.EVENT_READ, rank)
            while not self._ended.is_set():
                for key, _ in ready.select(timeout=0.25):
                    if self._ended.is_set() or _said(key.fileobj) == _ENDED:
                        return
                    self.lost(int(key.data))
                    return


def _said(link: object) -> bytes:
    assert isinstance(link, socket.socket)  # noqa: S101  (what was registered)
    try:
        return link.recv(1)
    except OSError:
        return b""


def listening(host: str, *, alone: bool) -> tuple[socket.socket, Address]:
    """A server on the first rank; ``alone``: all ranks are on this machine, and nobody else can connect."""
    server = socket.create_server(("127.0.0.1" if alone else "", 0))
    server.settimeout(CONNECT)
    where = "127.0.0.1" if alone else host
    return server, Address(where, server.getsockname()[1], secrets.token_bytes(_TOKEN))


def accepted(server: socket.socket, address: Address, others: int) -> Lookout:
    """The lookout of the first rank, once so many others have connected; strangers are sent away."""
    links: dict[int, socket.socket] = {}
    with closing(server):
        while len(links) < others:
            link, _ = server.accept()
            link.settimeout(CONNECT)
            greeting = _exactly(link, _TOKEN + 4)
            if not hmac.compare_digest(greeting[:_TOKEN], address.token):
                link.close()
                continue
            links[int.from_bytes(greeting[_TOKEN:])] = _kept(link)
    return Lookout(sorted(links.items()))


def connected(address: Address, rank: int) -> Lookout:
    """The lookout of any other rank."""
    link = socket.create_connection((address.host, address.port), timeout=CONNECT)
    link.sendall(address.token + rank.to_bytes(4))
    return Lookout([(0, _kept(link))])


def _exactly(link: socket.socket, n: int) -> bytes:
    found = b""
    with suppress(OSError):
        while len(found) < n and (more := link.recv(n - len(found))):
            found += more
    return found


def _kept(link: socket.socket) -> socket.socket:
    """Without a limit of time, and asked by the system whether its other end is there."""
    link.settimeout(None)
    link.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_KEEPIDLE", IDLE), ("TCP_KEEPINTVL", BETWEEN), ("TCP_KEEPCNT", QUESTIONS)):
        if hasattr(socket, name):
            link.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    return link
