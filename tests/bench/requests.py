"""What one ``track`` and one ``decide`` a request add to a Flask view, in CPU of all threads of the process.

Each kind of view runs in a process of its own (``python -m tests.bench.requests KIND FOLDER ADDRESS``), so that no
background thread of one is counted for another. All of them serve a number of requests by turns; what their threads
still have to do for those is waited for and counted.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import cycle
from pathlib import Path
from statistics import median
from typing import Any

from tests.bench.decide import prepare
from tests.bench.harness import MICRO, Figure, Limit, Scale, by_turns, in_words
from tests.bench.peers import captured, posthog_client
from tests.bench.product import DONE, QUESTIONS, client

ROOT = Path(__file__).parents[2]
BARE, THREAD, EXTERNAL, POSTHOG = KINDS = ("bare", "thread", "external", "posthog")
VIEW = "a bare Flask view's CPU"
PACED = 1000


def measure(folder: Path, scale: Scale) -> Iterator[Figure]:
    """Yield what requests cost more with the SDK, and with PostHog."""
    folder.mkdir()
    with ExitStack() as stack:
        address = stack.enter_context(_sink())
        served = {kind: stack.enter_context(_serving(kind, folder / kind, address)) for kind in KINDS}
        stack.enter_context(_worker(folder / EXTERNAL))
        hot = by_turns({kind: partial(each, scale.requests, 0) for kind, each in served.items()}, scale.turns // 2 or 1)
        paced = by_turns({kind: partial(each, scale.paced, PACED) for kind, each in served.items()}, scale.few)
    for kind, how, bound in ((THREAD, "drained in process", 0.25), (EXTERNAL, "drained by `nudge worker`", 0.15)):
        yield _share(kind, f"one `track` and one `decide` a request, {how}", hot, bound)
        yield _share(kind, f"the same, {PACED:,} paced requests a second", paced, None)
    added = {kind: [each - bare for each, bare in zip(hot[kind], hot[BARE], strict=True)] for kind in KINDS}
    yield Figure(
        "requests_posthog",
        "one `track` and one `decide` a request, drained in process",
        [ours / theirs for ours, theirs in zip(added[THREAD], added[POSTHOG], strict=True)],
        "of the CPU that one PostHog `capture` adds, sending to a sink on the same machine",
        Limit("at most", 1 / 5),
        {f"{kind}_us": round(median(seconds) * MICRO, 1) for kind, seconds in hot.items()},
        "1/n",
        f"{in_words(added[THREAD])} beside {in_words(added[POSTHOG])}",
    )


def _share(kind: str, what: str, found: dict[str, list[float]], bound: float | None) -> Figure:
    return Figure(
        f"requests_{kind}{'' if bound else '_paced'}",
        what,
        [ours / bare - 1 for ours, bare in zip(found[kind], found[BARE], strict=True)],
        f"of {VIEW}, added",
        Limit("at most", bound) if bound else None,
        {f"{each}_us": round(median(seconds) * MICRO, 1) for each, seconds in found.items()},
        "%",
        " on ".join(in_words([each]) for each in _added(found, kind)),
    )


def _added(found: dict[str, list[float]], kind: str) -> tuple[float, float]:
    bare = median(found[BARE])
    return median(found[kind]) - bare, bare


@contextmanager
def _serving(kind: str, folder: Path, address: str) -> Iterator[Callable[[int, int], float]]:
    """Run a view in a process of its own; give what asks it for requests and returns the CPU seconds of one."""
    prepare(folder)
    command = [sys.executable, "-m", "tests.bench.requests", kind, str(folder), address]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None

        def serve(number: int, a_second: int) -> float:
            print(number, a_second, file=process.stdin, flush=True)
            return float(process.stdout.readline())  # type: ignore[union-attr]

        serve(200, 0)
        yield serve
        process.stdin.close()
        process.wait(60)


@contextmanager
def _worker(folder: Path) -> Iterator[None]:
    store = f"sqlite:///{folder / 'nudge.db'}"
    command = [sys.executable, "-m", "nudge_sdk.cli", "worker", "--store", store, "--journal"]
    process = subprocess.Popen([*command, str(folder / "journals")], cwd=ROOT, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait(60)


@contextmanager
def _sink() -> Iterator[str]:
    """Take in whatever is sent, in this process; its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Sink)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Sink(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length") or 0))
        body = b'{"status": 1}'
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Say nothing."""


def _main(kind: str, folder: Path, address: str) -> None:
    """Serve as many requests as each line says; print the CPU seconds of one."""
    from flask import Flask

    app = Flask("bench")
    handle, settle = _HANDLERS[kind](folder, address)

    @app.get("/")
    def view() -> str:
        handle()
        return "ok"

    for line in sys.stdin:
        number, a_second = map(int, line.split())
        began = time.process_time()
        _request(app.wsgi_app, number, a_second)
        settle()
        print((time.process_time() - began) / number, flush=True)


def _request(app: Any, number: int, a_second: int) -> None:
    environ = {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/",
        "QUERY_STRING": "",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.url_scheme": "http",
        "wsgi.errors": sys.stderr,
    }
    due = time.perf_counter()
    for _ in range(number):
        if a_second:
            due += 1 / a_second
            time.sleep(max(0.0, due - time.perf_counter()))
        answer = app(dict(environ), _expect_ok)
        assert b"".join(answer) == b"ok"
        answer.close()


def _expect_ok(status: str, headers: Any, exc_info: Any = None) -> Any:
    assert status == "200 OK", status


Handler = tuple[Callable[[], object], Callable[[], object]]
"""What a view does, and what waits until all of it is done."""


def _bare(folder: Path, address: str) -> Handler:
    return lambda: None, lambda: None


def _ours(drain: str, folder: Path, address: str) -> Handler:
    ours = client(folder, drain=drain, max_staleness=2.0, refresh_seconds=2.0)
    asked, done = cycle(QUESTIONS), cycle(DONE)

    def handle() -> None:
        event, question = next(done), next(asked)
        ours.track(event.user, event.event, event.properties, account=event.account)
        ours.decide(question.placement, user=event.user, account=event.account, context=question.context)

    def settle() -> None:
        while ours.drainer is not None and ours.drainer.lag():
            time.sleep(0.02)

    return handle, settle if drain == THREAD else lambda: None


def _posthog(folder: Path, address: str) -> Handler:
    capturing = posthog_client(address, send=True)
    capture, done = captured(capturing), cycle(DONE)
    return lambda: capture(next(done)), capturing.flush


_HANDLERS: dict[str, Callable[[Path, str], Handler]] = {
    BARE: _bare,
    THREAD: partial(_ours, THREAD),
    EXTERNAL: partial(_ours, EXTERNAL),
    POSTHOG: _posthog,
}


if __name__ == "__main__":
    _main(sys.argv[1], Path(sys.argv[2]), sys.argv[3])
