"""A cache of the test's own, and a web server that says what it is told to."""

import http.server
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fwrnn_core import paths


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder; nothing of the checkout's is seen or touched."""
    monkeypatch.setenv("FWRNN_HOME", str(tmp_path))
    monkeypatch.delenv("FWRNN_OFFLINE", raising=False)
    return paths.data_cache()


@pytest.fixture
def serve() -> Iterator[Callable[..., str]]:
    """``serve({"/name": content}, claimed={"/name": length})`` returns the server's address."""
    servers = []

    def start(content: dict[str, bytes], claimed: dict[str, int] | None = None) -> str:
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path not in content:
                    self.send_error(404)
                    return
                body = content[self.path]
                length = (claimed or {}).get(self.path, len(body))
                self.send_response(200)
                self.send_header("Content-Length", str(length))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_address[1]}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()
