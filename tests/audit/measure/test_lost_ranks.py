"""A rank that has gone is noticed by its connection, however it went; an end is no loss; strangers are sent away."""

from __future__ import annotations

import pickle
import queue
import socket
import subprocess
import sys
import threading

import pytest
from torch import nn

from figureground.audit.measure.handing import packed, told
from figureground.audit.measure.lost_ranks import Address, accepted, connected, listening
from figureground.audit.measure.ranks import Asked, current
from figureground.errors import ResourceError, UsageError

PATIENCE = 30
#: A rank of its own, that says so and waits to be killed.
OTHER = """
import sys, time
from figureground.audit.measure.handing import packed, told
from figureground.audit.measure.lost_ranks import Address, connected
link = connected(Address("127.0.0.1", int(sys.argv[1]), bytes.fromhex(sys.argv[2])), int(sys.argv[3]))
print("there", flush=True)
time.sleep(600)
"""


@pytest.fixture
def joined():
    """Makes the lookout of the first rank and those of others, all in this process; closes them in the end."""
    made = []

    def make(others, before=None):
        server, address = listening("", alone=True)
        first: queue.Queue = queue.Queue()
        threading.Thread(target=lambda: first.put(accepted(server, address, others)), daemon=True).start()
        if before is not None:
            before(address)
        made.extend(connected(address, rank) for rank in range(1, others + 1))
        made.insert(0, first.get(timeout=PATIENCE))
        return made[0], made[1:]

    yield make
    for one in made:
        one.end()


def heard(lookout):
    """What a lookout says is lost."""
    lost: queue.Queue = queue.Queue()
    lookout.lost = lost.put
    lookout.start()
    return lost


def test_a_closed_connection_is_a_lost_rank(joined):
    first, theirs = joined(3)
    lost = heard(first)
    theirs[1].links[0][1].close()
    assert lost.get(timeout=PATIENCE) == 2


def test_the_others_notice_the_first(joined):
    first, theirs = joined(2)
    lost = [heard(one) for one in theirs]
    for _, link in first.links:
        link.close()
    assert [one.get(timeout=PATIENCE) for one in lost] == [0, 0]


def test_an_end_is_no_loss(joined):
    first, theirs = joined(2)
    lost = [heard(one) for one in (first, *theirs)]
    first.end()
    for one in theirs:
        one.end()
    for thread in [one for one in threading.enumerate() if one.name == "lookout"]:
        thread.join(PATIENCE)
        assert not thread.is_alive()
    assert [one.empty() for one in lost] == [True, True, True]


def test_a_stranger_is_sent_away(joined):
    refused = []

    def stranger(address):
        with socket.create_connection((address.host, address.port)) as link:
            link.sendall(bytes(36))
            link.settimeout(PATIENCE)
            refused.append(link.recv(1))

    first, _ = joined(1, before=stranger)
    assert refused == [b""]
    assert [rank for rank, _ in first.links] == [1]


def test_the_token_is_not_shown():
    assert "secret" not in repr(Address("host", 1, b"secret"))


def test_a_killed_process_is_a_lost_rank():
    server, address = listening("", alone=True)
    other = subprocess.Popen(
        [sys.executable, "-c", OTHER, str(address.port), address.token.hex(), "7"], stdout=subprocess.PIPE, text=True
    )
    first = accepted(server, address, 1)
    assert other.stdout is not None
    assert other.stdout.readline() == "there\n"
    lost = heard(first)
    other.kill()
    assert lost.get(timeout=PATIENCE) == 7
    first.end()
    other.communicate()


@pytest.mark.parametrize("asked", [{"devices": 0}, {"num_nodes": 0}, {"strategy": "fsdp"}, {"strategy": "ddp_spawn"}])
def test_what_cannot_be_had_is_told_before_anything_starts(asked):
    with pytest.raises(UsageError, match=r"^RANKS devices") as caught:
        Asked(**asked).check()
    assert caught.value.exit_code == 2


def test_a_process_without_ranks_is_alone():
    assert current() is None


def test_what_cannot_be_handed_over_istold():
    class Open(nn.Module):
        def __init__(self):
            super().__init__()
            self.session = threading.Lock()

    with pytest.raises(UsageError, match=r"RANKS_HANDED measure: .*TypeError"):
        packed(Open(), "measure")


def test_errors_of_other_ranks_can_be_read_by_the_first():
    class Odd(Exception):
        def __init__(self, a, b):
            super().__init__(a)

    full = ResourceError("DISK_FULL", "x", found="f", expected="e", fix="f")
    for error, kind in ((Odd(1, 2), RuntimeError), (MemoryError(), ResourceError), (full, ResourceError)):
        back = pickle.loads(pickle.dumps(told(error, 3)))  # noqa: S301
        assert type(back) is kind
    assert str(told(Odd("why", 2), 3)) == "rank 3: Odd: why"
