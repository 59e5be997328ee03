"""What the benchmarks behind servers measure does the work that it is measured for."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.benchmarks.apps import make_direct
from tests.benchmarks.end_to_end import __main__ as runner
from tests.benchmarks.end_to_end import table
from tests.benchmarks.end_to_end.events import HOST, to_bytes, verify_answer
from tests.benchmarks.end_to_end.figures import GOALS, METERS, Figure, make_figures
from tests.benchmarks.end_to_end.load import CONNECTIONS, Load, run_wrk
from tests.benchmarks.end_to_end.rounds import Rounds
from tests.benchmarks.end_to_end.servers import find_missing, run_variant, share_cores
from tests.benchmarks.end_to_end.variants import BARE, BY_HAND, CASES, PEER, SETUPS, Case, Setup
from tests.benchmarks.references import EVENTS, call, make_environ

GRANIAN = Setup("granian", 1)


def skip_where_something_is_missing(variants: Sequence[str] = (), servers: Sequence[str] = ()) -> None:
    missing = find_missing(variants, servers)
    if missing is not None:
        pytest.skip(missing)


class Recorder(socketserver.ThreadingTCPServer):
    """A server that keeps what it is sent, and gives all requests the same answer."""

    daemon_threads = True
    request_queue_size = CONNECTIONS

    def __init__(self, size: int, status: str) -> None:
        super().__init__((HOST, 0), RecordingHandler)
        self.size = size
        self.status = status
        self.received: set[bytes] = set()
        self.clients: set[object] = set()


class RecordingHandler(socketserver.StreamRequestHandler):
    server: Recorder

    def handle(self) -> None:
        with suppress(ConnectionError):  # wrk goes without reading the last answers
            while len(request := self.rfile.read(self.server.size)) == self.server.size:
                self.server.received.add(request)
                self.server.clients.add(self.client_address)
                self.wfile.write(f"HTTP/1.1 {self.server.status}\r\nContent-Length: 3\r\n\r\nack".encode())


@contextmanager
def recorder(event: str, status: str = "200 OK") -> Iterator[Recorder]:
    with Recorder(len(to_bytes(event)), status) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def load(tmp_path: Path) -> Callable[[Recorder, str], Load]:
    """Loads a recorder with an event for a second."""
    skip_where_something_is_missing()

    def run(server: Recorder, event: str) -> Load:
        request = tmp_path / event
        request.write_bytes(to_bytes(event))
        return run_wrk(server.server_address[1], request, 1, share_cores(1)[1])

    return run


@pytest.mark.parametrize("event", EVENTS)
def test_wrk_sends_the_very_bytes_of_an_event_over_all_connections(
    event: str, load: Callable[[Recorder, str], Load]
) -> None:
    with recorder(event) as server:
        found = load(server, event)
    assert server.received == {to_bytes(event)}
    assert len(server.clients) == CONNECTIONS
    assert found.throughput > CONNECTIONS
    assert 0 < found.p50 <= found.p99


def test_a_load_whose_answers_are_errors_counts_for_nothing(load: Callable[[Recorder, str], Load]) -> None:
    with recorder("message", "401 UNAUTHORIZED") as server, pytest.raises(RuntimeError, match="were answered with an"):
        load(server, "message")


@pytest.mark.parametrize(
    ("variant", "setup"),
    [
        (BARE, GRANIAN),
        (BY_HAND, GRANIAN),
        ("ours", Setup("gunicorn", 2)),
        ("ours, direct", GRANIAN),
        (PEER, Setup("granian", 2)),
    ],
    ids=str,
)
def test_a_variant_does_the_work_that_is_measured(variant: str, setup: Setup) -> None:
    skip_where_something_is_missing([variant], [setup.server])
    with run_variant(variant, setup, share_cores(setup.workers)[0]) as port:
        for event in EVENTS:
            verify_answer(port, event, bare=variant == BARE)
            if variant == BARE:
                with pytest.raises(AssertionError, match=f"The answer to the event {event!r} is"):
                    verify_answer(port, event)


def test_the_direct_app_answers_before_flask_builds_a_request() -> None:
    app = make_direct()
    app.before_request(lambda: "a request")
    assert call(app, *EVENTS["message"])[2] == b"ack"
    assert call(app, make_environ("", b"", "", PATH_INFO="/other"), b"")[2] == b"a request"


def test_a_run_writes_a_line_for_each_figure_of_which_the_tables_are_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    skip_where_something_is_missing([], ["waitress"])
    file = tmp_path / "figures.jsonl"
    only = ["message, ours", "*, nobody's"]
    assert runner.main(["--servers", "waitress", "--rounds", "1", "--only", *only, "--json", str(file)]) == 0
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [(line["server"], line["workers"], line["event"], line["variant"], line["meter"]) for line in lines] == [
        ("waitress", 1, "message", "ours", meter) for meter in ("requests/s", "p50 ms", "p99 ms")
    ]
    assert all(line["value"] > 0 and line["waitress"] and line["wrk"] and line["Flask"] for line in lines)
    capsys.readouterr()
    table.main(str(file))
    printed = capsys.readouterr().out
    assert ".. list-table::" in printed
    assert f"   * - waitress, 1 worker\n     - ours\n     - {lines[0]['value']:,.0f}\n" in printed


def make_rounds(ours: float, direct: float) -> Rounds:
    """Two rounds of all cases, in which everything else has a throughput of 100 and of 200."""
    speed = {"ours": ours, "ours, direct": direct}
    return {
        case: [Load(speed.get(case.variant, 1.0) * machine, 1.0, 2.0) for machine in (100.0, 200.0)] for case in CASES
    }


def test_ratios_are_taken_within_a_round() -> None:
    rounds = {
        Case(BARE, "message"): [Load(100, 1, 1), Load(10, 1, 1), Load(50, 1, 1)],
        Case("ours", "message"): [Load(50, 1, 1), Load(6, 1, 1), Load(35, 1, 1)],
    }
    found = {(figure.case.variant, figure.meter): figure.value for figure in make_figures(GRANIAN, rounds)}
    assert found["ours", "requests/s"] == 35
    assert found["ours", "/ bare"] == 0.6
    assert ("bare", "/ bare") not in found
    assert ("ours", "/ peer") not in found


@pytest.mark.parametrize(("ours", "direct", "code"), [(1.0, 2.5, 0), (0.99, 2.5, 1), (1.0, 2.49, 1)])
def test_a_missed_goal_is_the_exit_code(
    ours: float, direct: float, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    skip_where_something_is_missing([PEER], [setup.server for setup in SETUPS])
    monkeypatch.setattr(runner, "run_rounds", lambda *arguments: make_rounds(ours, direct))
    assert runner.main(["--json", str(tmp_path / "figures.jsonl")]) == code


def test_every_goal_is_one_of_a_figure() -> None:
    figures = [figure for setup in SETUPS for figure in make_figures(setup, make_rounds(1, 1))]
    assert {figure.goal for figure in figures} == {None} | {goal.least for goal in GOALS}
    # No slower than by hand: two events behind each server. Of bare Flask and the peer: granian alone.
    assert sum(figure.goal is not None for figure in figures) == 2 * len(SETUPS) + 2 + 1
    assert {figure.meter for figure in figures} == set(METERS)
    assert not Figure(GRANIAN, Case("ours", "message"), "/ bare", 0.77).met


def test_what_is_missing_is_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("PATH", "")
    assert runner.main([]) == 2
    assert capsys.readouterr().err == "wrk is not installed.\n"


def test_a_case_that_there_is_not_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert runner.main(["--only", "massage, *"]) == 2
    assert capsys.readouterr().err == "No case is like massage, *.\n"
