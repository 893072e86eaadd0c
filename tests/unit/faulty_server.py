"""A web server on this machine that fails in the ways that servers fail."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PAGE = b"<!DOCTYPE html><html><head><title>Please  sign in</title></head><body>...</body></html>"


class FaultyServer(ThreadingHTTPServer):
    """Serves `files`; the faults of a path are used up, one a request.

    Faults: "cut" and "stall" (half of what is left, then the connection is closed, or nothing
    more comes), "slow" (a little at a time), "page" (a web page with status 200), a status such as
    "404", "elsewhere" (another part than asked for), "" (none). Paths in
    `no_range` are always sent from the start; `headers` are sent along.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.faults: dict[str, list[str]] = {}
        self.headers: dict[str, dict[str, str]] = {}
        self.no_range: set[str] = set()
        self.asked: list[tuple[str, str | None]] = []
        self.over = threading.Event()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_port}{path}"

    def ranges(self, path: str) -> list[str | None]:
        """What the requests for a path asked for: None is the whole file."""
        return [wanted for asked, wanted in self.asked if asked == path]


class Handler(BaseHTTPRequestHandler):
    server: FaultyServer

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        wanted = self.headers.get("Range")
        self.server.asked.append((path, wanted))
        faults = self.server.faults.get(path, [])
        fault = faults.pop(0) if faults else ""
        if fault.isdecimal():
            return self.answer(int(fault), b"" if fault == "202" else PAGE)
        if fault == "page":
            return self.answer(200, PAGE)
        if path not in self.server.files:
            return self.answer(404, PAGE)
        body, start = self.server.files[path], 0
        if wanted and path not in self.server.no_range:
            start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1])
            if start >= len(body):
                return self.answer(416, b"", {"Content-Range": f"bytes */{len(body)}"})
        if start and fault == "elsewhere":
            start //= 2
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        for name, value in self.server.headers.get(path, {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        left = body[start:]
        if fault in ("cut", "stall"):
            self.wfile.write(left[: len(left) // 2])
            self.wfile.flush()
            if fault == "stall":
                self.server.over.wait(10)
        elif fault == "slow":
            for i in range(0, len(left), 1 + len(left) // 5):
                self.wfile.write(left[i : i + 1 + len(left) // 5])
                self.wfile.flush()
                self.server.over.wait(0.02)
        else:
            self.wfile.write(left)

    def answer(self, status: int, body: bytes, headers: dict | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def handle(self) -> None:
        with suppress(ConnectionError):  # the client hung up
            super().handle()

    def log_message(self, *args) -> None:
        pass


@contextmanager
def running() -> Iterator[FaultyServer]:
    with FaultyServer() as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server
        server.over.set()
        server.shutdown()
