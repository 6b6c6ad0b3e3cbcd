"""Downloads over a local web server, and package clients that fail."""

import hashlib
import os
import socket
import sys
import time

import pytest

from fwrnn_core.data import download
from fwrnn_core.errors import DataError

BODY = bytes(range(256)) * 3000
SHA = hashlib.sha256(BODY).hexdigest()


@pytest.fixture(autouse=True)
def _direct(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def expected(base: str, limit: int = 10**6, sha256: str = SHA) -> download.Expected:
    return download.Expected(f"{base}/file.bin", limit, sha256)


def test_the_right_file_arrives(serve, tmp_path):
    path = download.https(expected(serve({"/file.bin": BODY})), tmp_path)
    assert path == tmp_path / "file.bin"
    assert path.read_bytes() == BODY


def test_a_swapped_file_names_both_hashes(serve, tmp_path):
    with pytest.raises(DataError) as caught:
        download.https(expected(serve({"/file.bin": b"other"})), tmp_path)
    for words in ("file.bin", SHA, hashlib.sha256(b"other").hexdigest(), "discarded unopened"):
        assert words in str(caught.value)


def test_a_connection_that_ends_early_is_said_so(serve, tmp_path):
    base = serve({"/file.bin": BODY}, claimed={"/file.bin": len(BODY) + 5})
    with pytest.raises(DataError, match="ended after 768,000 of 768,005 bytes"):
        download.https(expected(base), tmp_path)


def test_more_than_the_limit_is_stopped(serve, tmp_path):
    with pytest.raises(DataError, match="more than 1,000 bytes"):
        download.https(expected(serve({"/file.bin": BODY}), limit=1000), tmp_path)


def test_http_errors_and_refused_connections_are_sentences(serve, tmp_path):
    with pytest.raises(DataError, match="HTTP 404 Not Found"):
        download.https(expected(serve({})), tmp_path)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    with pytest.raises(DataError, match="no answer: .*refused"):
        download.https(expected(f"http://127.0.0.1:{port}"), tmp_path)


def test_the_next_mirror_serves_when_the_first_is_wrong(serve, tmp_path):
    mirrors = [expected(serve({"/file.bin": b"bad"})), expected(serve({"/file.bin": BODY}))]
    assert download.first_of(mirrors, tmp_path).read_bytes() == BODY
    with pytest.raises(DataError, match=r"HTTP 404.*; .*HTTP 404"):
        download.first_of([expected(serve({})), expected(serve({}))], tmp_path)


def fake_pip(folder, monkeypatch, script: str) -> None:
    """Let ``python -m pip`` run ``script``: the real command line with a client of our own."""
    (folder / "fake").mkdir()
    (folder / "fake" / "pip.py").write_text(script)
    monkeypatch.setenv("PYTHONPATH", str(folder / "fake"))


def test_pip_is_given_the_hash_and_its_file_is_checked(tmp_path, monkeypatch):
    fake_pip(
        tmp_path,
        monkeypatch,
        "import sys, pathlib\n"
        "assert '--require-hashes' in sys.argv and '--no-deps' in sys.argv\n"
        "wanted = pathlib.Path(sys.argv[sys.argv.index('-r') + 1]).read_text()\n"
        f"assert wanted == 'thing==1 --hash=sha256:{SHA}\\n', wanted\n"
        "folder = pathlib.Path(sys.argv[sys.argv.index('--dest') + 1]); folder.mkdir()\n"
        "(folder / 'thing-1.tar.gz').write_bytes(bytes(range(256)) * 3000)\n",
    )
    path = download.pip("thing==1", SHA, 10, tmp_path)
    assert path.read_bytes() == BODY


def test_pip_that_delivers_something_else_is_refused(tmp_path, monkeypatch):
    fake_pip(
        tmp_path,
        monkeypatch,
        "import pathlib; pathlib.Path('pip').mkdir()\n"
        "pathlib.Path('pip/thing-1.tar.gz').write_bytes(b'evil')\n",
    )
    with pytest.raises(DataError, match="thing==1 is not the pinned file"):
        download.pip("thing==1", SHA, 10, tmp_path)


def test_pip_that_fails_says_its_reason(tmp_path, monkeypatch):
    fake_pip(
        tmp_path,
        monkeypatch,
        "import sys\nprint('Looking...')\nprint('ERROR: no such thing', file=sys.stderr)\n"
        "print('a hint')\nsys.exit(3)\n",
    )
    with pytest.raises(DataError, match="ended with status 3: ERROR: no such thing"):
        download.pip("thing==1", SHA, 10, tmp_path)


def test_pip_that_delivers_nothing_is_refused(tmp_path, monkeypatch):
    fake_pip(tmp_path, monkeypatch, "pass")
    with pytest.raises(DataError, match=r"expected one \*\.tar\.gz, got \[\]"):
        download.pip("thing==1", SHA, 10, tmp_path)


def test_a_client_that_hangs_is_ended(tmp_path, monkeypatch):
    note = tmp_path / "pid"
    fake_pip(
        tmp_path,
        monkeypatch,
        "import os, pathlib, time\n"
        f"pathlib.Path({str(note)!r}).write_text(str(os.getpid()))\ntime.sleep(60)\n",
    )
    monkeypatch.setattr(download, "CLIENT_TIMEOUT", 0.5)
    began = time.monotonic()
    with pytest.raises(DataError, match="gave up after"):
        download.pip("thing==1", SHA, 10, tmp_path)
    assert time.monotonic() - began < 30
    with pytest.raises(ProcessLookupError):
        os.kill(int(note.read_text()), 0)


def test_npm_that_is_not_installed_is_said_so(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DataError, match="npm is not installed"):
        download.npm("thing@1", SHA, 10, tmp_path)


def test_npm_runs_no_script_of_the_package(tmp_path, monkeypatch):
    program = tmp_path / "bin" / "npm"
    program.parent.mkdir()
    program.write_text(
        f"#!{sys.executable}\nimport sys, pathlib\n"
        "assert sys.argv[1:3] == ['pack', 'thing@1'] and '--ignore-scripts' in sys.argv\n"
        "folder = pathlib.Path(sys.argv[sys.argv.index('--pack-destination') + 1])\n"
        "(folder / 'thing-1.tgz').write_bytes(bytes(range(256)) * 3000)\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))
    assert download.npm("thing@1", SHA, 10, tmp_path).read_bytes() == BODY
