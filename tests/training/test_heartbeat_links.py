"""Connections between ranks: how they find each other, and messages that arrive in pieces."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest

from hpcgan.training import links
from hpcgan.training.links import BEAT, ENDING, LEAVING, Link, Reception, connect

TOKEN = b"t" * 16
NOWHERE = "no-such-host.invalid"


@pytest.fixture
def reception() -> Iterator[Reception]:
    """Return the reception of rank 3, whom ranks 7 and 8 may call."""
    made = Reception(TOKEN, 3, {7, 8}, here=True)
    yield made
    for connection in made.close().values():
        connection.close()


def test_a_host_with_a_name_that_nobody_resolves_is_found_by_an_address(reception) -> None:
    called = connect([NOWHERE, "127.0.0.1"], reception.port, TOKEN, 7, wanted=3)
    assert called is not None
    (rank,), (taken,) = zip(*reception.close().items(), strict=True)
    assert rank == 7
    called.sendall(b"x")
    assert taken.recv(1) == b"x"


def test_a_name_that_no_host_can_have_is_passed_over(reception) -> None:
    assert connect(["x" * 70, "127.0.0.1"], reception.port, TOKEN, 8, wanted=3) is not None


@pytest.mark.parametrize(
    ("token", "rank", "wanted"),
    [(b"u" * 16, 7, 3), (TOKEN, 9, 3), (TOKEN, 7, 4)],
    ids=["of another run", "a rank that may not call", "for another rank"],
)
def test_who_is_not_taken_in_learns_of_it(reception, token: bytes, rank: int, wanted: int) -> None:
    """As at an address that leads to a host where others listen: it then tries the next one."""
    assert connect(["127.0.0.1"], reception.port, token, rank, wanted) is None
    assert reception.close() == {}


def test_who_says_something_else_or_nothing_is_shut_out_and_stops_nobody(reception) -> None:
    silent = socket.create_connection(("127.0.0.1", reception.port))
    with silent, socket.create_connection(("127.0.0.1", reception.port)) as other:
        other.sendall(b"GET / HTTP/1.1\r\n\r\n")
        other.shutdown(socket.SHUT_WR)
        assert connect(["127.0.0.1"], reception.port, TOKEN, 7, wanted=3) is not None
        with contextlib.suppress(ConnectionResetError):
            assert other.recv(1) == b""
    assert list(reception.close()) == [7]


def test_a_rank_that_calls_again_is_taken_by_its_last_call(reception) -> None:
    first, second = (connect(["127.0.0.1"], reception.port, TOKEN, 7, wanted=3) for _ in range(2))
    assert first is not None
    assert second is not None
    assert first.recv(1) == b""
    second.sendall(b"x")
    assert reception.close()[7].recv(1) == b"x"


def test_nobody_is_reached_where_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert connect([NOWHERE, "127.0.0.1"], port, TOKEN, 7, wanted=3) is None


def test_a_service_of_others_that_answers_is_none_of_the_run() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(100)
                connection.sendall(b"220 ready\r\n")

        thread = threading.Thread(target=serve)
        thread.start()
        assert connect(["127.0.0.1"], server.getsockname()[1], TOKEN, 7, wanted=3) is None
        thread.join()


def test_the_addresses_of_this_host_are_those_that_others_may_call() -> None:
    found = links.own_addresses()
    assert all(not each.startswith("127.") and socket.inet_aton(each) for each in found)
    # The one that leads to other hosts is among them, if any does.
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return
        assert probe.getsockname()[0] in found


class Narrow:
    """A connection that has room for a few bytes at a time, as a full one has."""

    def __init__(self, connection: socket.socket, room: list[int]) -> None:
        self._connection = connection
        self._room = iter(room)
        self.setblocking = connection.setblocking
        self.shutdown = connection.shutdown
        self.fileno = connection.fileno

    def send(self, content: bytes) -> int:
        room = next(self._room)
        if not room:
            raise BlockingIOError
        return self._connection.send(content[:room])


def test_a_message_that_is_sent_in_parts_shifts_none_of_those_after_it() -> None:
    here, there = socket.socketpair()
    with here, there:
        link = Link(Narrow(here, [99, 4, 0, 3, 99, 99]))
        for step in range(1, 7):
            link.send(BEAT, step)
        # Those that found no room at all gave way to newer ones; what had begun was ended.
        assert list(Link(there).take()) == [(BEAT, step) for step in (1, 2, 5, 6)]


def test_messages_that_arrive_in_parts_are_taken_whole() -> None:
    here, there = socket.socketpair()
    with here, there:
        ours, theirs = Link(here), Link(there)
        ours.send(BEAT, 2**40)
        ours.send(LEAVING, 2**40 + 1)
        content = there.recv(100)
        again, other = socket.socketpair()
        with again, other:
            taken = []
            other_end = Link(other)
            for place in range(len(content)):
                again.sendall(content[place : place + 1])
                taken += list(other_end.take())
            assert taken == [(BEAT, 2**40), (LEAVING, 2**40 + 1)]
            assert not other_end.has_ended
        assert list(theirs.take()) == []
        assert theirs.has_ended


@pytest.mark.parametrize("kind", [LEAVING, ENDING])
def test_a_last_message_ends_the_connection_and_is_still_heard(kind: int) -> None:
    here, there = socket.socketpair()
    with here, there:
        ours, theirs = Link(here), Link(there)
        ours.send(kind, 5)
        assert list(theirs.take()) == [(kind, 5)]
        assert list(theirs.take()) == []
        assert theirs.has_ended


def test_a_neighbour_that_is_gone_is_nothing_to_die_of() -> None:
    here, there = socket.socketpair()
    with here:
        link = Link(here)
        assert list(link.take()) == []
        assert not link.has_ended
        there.close()
        link.send(BEAT, 1)
        link.send(ENDING, 2)
        assert list(link.take()) == []
        assert link.has_ended
