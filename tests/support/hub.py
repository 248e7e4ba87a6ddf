"""A hub on this machine, and processes that load from it.

The server speaks what huggingface_hub needs to download a file: HEAD and GET of `/owner/name/resolve/revision/file`
with the commit, an ETag and a length, error codes in a header, and for tensors, as for all large files there, a
redirect to another host, which gives parts of them, too. It can be told to break off, to be silent or to fail.

huggingface_hub reads where its hub and its cache are when it is imported: so each client is a process.
"""

import hashlib
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

LARGE = (".safetensors", ".bin")
PATIENCE = 120  # seconds, after which a client is ended


class Request(NamedTuple):
    """What the server was asked for: for a large file at its other address, the repository and the file, too."""

    method: str
    repository: str
    revision: str
    file: str
    range: str | None


class Behaviour:
    """What the server does wrong with a file."""

    def __init__(self, *, until: int | None = None, times: float = 0, shorter: int = 0, silent: bool = False):
        """
        Args:
            until: The byte at which a transfer breaks off.
            times: How many do.
            shorter: How many bytes the file lacks of what was announced.
            silent: Whether nothing comes after `until`, in place of an end.
        """
        self.until, self.times, self.shorter, self.silent = until, times, shorter, silent


class Hub:
    """The server: its repositories, what it was asked for, and what it does wrong."""

    def __init__(self) -> None:
        self.commits: dict[tuple[str, str], dict[str, bytes]] = {}
        self.requests: list[Request] = []
        self.behaviour: dict[tuple[str, str], Behaviour] = {}
        self.errors: dict[tuple[str, str], tuple[int, str]] = {}  # repository and file → status and error code
        self.reached = threading.Event()  # that a silent transfer got so far
        self.closing = threading.Event()
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_HEAD(self) -> None:
                hub.answer(self)

            def do_GET(self) -> None:
                hub.answer(self)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        # The same server by another name, and so, for a client, another host.
        self.elsewhere = f"http://localhost:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05})
        self.thread.start()

    def close(self) -> None:
        self.closing.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def publish(self, repository: str, files: Mapping[str, bytes], revision: str = "main") -> str:
        """Makes `revision` a commit of these files. Returns the commit."""
        listed = json.dumps([repository, {name: sha(content) for name, content in sorted(files.items())}])
        commit = hashlib.sha1(listed.encode()).hexdigest()
        self.commits[repository, revision] = self.commits[repository, commit] = {**files, "": commit.encode()}
        return commit

    def asked(self, repository: str, method: str | None = None, file: str | None = None) -> list[Request]:
        return [
            request
            for request in list(self.requests)
            if request.repository == repository and method in (None, request.method) and file in (None, request.file)
        ]

    # What it answers

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        found = re.fullmatch(r"/(cdn/)?([^/]+/[^/]+)/resolve/([^/]+)/([^?]+)", handler.path)
        if not found:
            self.requests.append(Request(handler.command, handler.path, "", "", None))
            return reply(handler, 404, {})
        redirected, (repository, revision, file) = found[1], (unquote(part) for part in found.groups()[1:])
        self.requests.append(Request(handler.command, repository, revision, file, handler.headers.get("Range")))
        if (repository, file) in self.errors:
            status, code = self.errors[repository, file]
            return reply(handler, status, {"X-Error-Code": code, "X-Error-Message": "it is said here"})
        if not any(name == repository for name, _ in self.commits):
            return reply(handler, 404, {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"})
        if (repository, revision) not in self.commits:
            return reply(handler, 404, {"X-Error-Code": "RevisionNotFound", "X-Error-Message": "Invalid rev id"})
        files = self.commits[repository, revision]
        commit = files[""].decode()
        if file not in files:
            return reply(handler, 404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": commit})
        content = files[file]
        headers = {"X-Repo-Commit": commit, "ETag": f'"{sha(content)}"', "Accept-Ranges": "bytes"}
        if file.endswith(LARGE) and not redirected:
            linked = {"X-Linked-ETag": f'"{sha(content)}"', "X-Linked-Size": str(len(content))}
            location = {"Location": f"{self.elsewhere}/cdn/{repository}/resolve/{commit}/{file}"}
            return reply(handler, 302, {**headers, **linked, **location})
        return self.send(handler, content, headers, self.behaviour.get((repository, file)) or Behaviour())

    def send(
        self, handler: BaseHTTPRequestHandler, content: bytes, headers: dict[str, str], behaviour: Behaviour
    ) -> None:
        content = content[: len(content) - behaviour.shorter]
        status, part = 200, content
        if asked := re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range", "")):
            first = int(asked[1])
            status, part = 206, content[first:]
            headers["Content-Range"] = f"bytes {first}-{len(content) - 1}/{len(content)}"
        if handler.command == "HEAD" or behaviour.until is None or behaviour.times <= 0:
            return reply(handler, status, headers, part)
        behaviour.times -= 1
        reply(handler, status, headers, part, end=max(0, behaviour.until - (len(content) - len(part))))
        if behaviour.silent:
            self.reached.set()
            self.closing.wait()
        handler.close_connection = True
        return None


def reply(
    handler: BaseHTTPRequestHandler, status: int, headers: dict[str, str], content: bytes = b"", end: int | None = None
) -> None:
    handler.send_response(status)
    for name, value in {**headers, "Content-Length": str(len(content))}.items():
        handler.send_header(name, value)
    handler.end_headers()
    if handler.command == "GET":
        handler.wfile.write(content[:end])
        handler.wfile.flush()


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


# Clients

PROGRAM = """
import hashlib, json, sys, time

sleep = time.sleep
time.sleep = lambda seconds: sleep(seconds / 100)  # huggingface_hub waits up to eight seconds between its attempts

import keras

from keras_se.weights import load, preprocessing
from keras_se.weights.locate import find_source


def sha(content):
    return hashlib.sha256(content).hexdigest()


def found(address):
    source = find_source(address)
    return {"file": source.tensors.name, "sha": sha(source.tensors.read_bytes()), "config": source.config}


def loaded(address, **options):
    values = {v.path: keras.ops.convert_to_numpy(v).tobytes() for v in load(address, **options).weights}
    return {path: sha(value) for path, value in values.items()}


def described(address):
    return {"size": preprocessing(address).size}


print("ready", flush=True)
for line in sys.stdin:
    call, address, options = json.loads(line)
    start = time.monotonic()
    try:
        answer = {"result": {"find": found, "load": loaded, "preprocessing": described}[call](address, **options)}
    except Exception as error:
        kind = "OSError" if type(error) is OSError else type(error).__name__
        answer = {"error": kind, "message": str(error)}
    print(json.dumps({**answer, "seconds": time.monotonic() - start}), flush=True)
"""


class Client:
    """A process that finds and loads what it is asked to."""

    def __init__(self, process: subprocess.Popen):
        self.process = process

    def ask(self, call: str, address: str, **options: Any) -> dict[str, Any]:
        self.send(call, address, **options)
        return self.receive()

    def send(self, call: str, address: str, **options: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps([call, address, options]) + "\n")
        self.process.stdin.flush()

    def receive(self) -> dict[str, Any]:
        line = self.line()
        assert line, "the client has ended; its own error stands above"
        return json.loads(line)

    def line(self) -> str:
        assert self.process.stdout is not None
        timer = threading.Timer(PATIENCE, self.process.kill)
        timer.start()
        try:
            return self.process.stdout.readline()
        finally:
            timer.cancel()


@contextmanager
def client(endpoint: str, home: Path, **settings: str) -> Iterator[Client]:
    """A client of the hub at `endpoint`, with its cache in `home`, whatever else the environment says of hubs."""
    kept = {name: value for name, value in os.environ.items() if not re.match(r"HF_|HUGGING|(?i:.*_proxy$)", name)}
    environment = {
        **kept,
        "HF_ENDPOINT": endpoint,
        "HF_HOME": str(home),
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "KERAS_BACKEND": "numpy",  # it starts soonest, and computes nothing here
        "PYTHONWARNINGS": "ignore",
        **settings,
    }
    command = [sys.executable, "-c", PROGRAM]
    with subprocess.Popen(
        command, env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        made = Client(process)
        try:
            assert made.line() == "ready\n"
            yield made
        finally:
            process.kill()
