"""As much of a W&B server, on this machine, as it takes to receive runs: which rows arrive, and how often, is what counts."""

import gzip
import json
import threading
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, cast

_ENTITY = {"id": "E", "name": "team"}


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        server = cast(_Server, self.server)
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Content-Encoding") == "gzip":
            content = gzip.decompress(content)
        answer: dict[str, Any] = {}
        if self.path.endswith("/graphql"):
            asked = json.loads(content)
            answer = {"data": _answer(asked["query"], asked.get("variables") or {}, server.rows, server.server_port)}
        elif self.path.endswith("/file_stream"):
            history = (json.loads(content).get("files") or {}).get("wandb-history.jsonl", {"content": []})
            server.rows[self.path.split("/")[-2]] += [json.loads(line) for line in history["content"]]
        self._send(json.dumps(answer).encode())

    def do_PUT(self) -> None:
        self.do_POST()

    def _send(self, content: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name that the library gave it
        pass


class _Server(ThreadingHTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.rows: dict[str, list[dict[str, Any]]] = defaultdict(list)

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # a client that went away


class WandbServer:
    """Serves while its `with` block lasts; `rows` are the history rows that were received, by run id."""

    def __init__(self) -> None:
        self._server = _Server()
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self.rows = self._server.rows
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> "WandbServer":
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _answer(query: str, variables: dict[str, Any], rows: dict[str, list[dict[str, Any]]], port: int) -> dict[str, Any]:
    run_id = variables.get("name")
    project = {"id": "P", "name": variables.get("project"), "entity": _ENTITY}
    if "UpsertBucket" in query:
        run = {"id": f"B-{run_id}", "name": run_id, "displayName": run_id, "config": "{}", "project": project}
        return {"upsertBucket": {"bucket": run, "inserted": True}}
    if "RunResumeStatus" in query:
        return {"model": {**project, "bucket": _received(str(run_id), rows[str(run_id)])} if rows.get(str(run_id)) else None}
    if "CreateRunFiles" in query:
        files = [{"name": name, "uploadUrl": f"http://127.0.0.1:{port}/file"} for name in variables["files"]]
        return {"createRunFiles": {"runID": "B", "uploadHeaders": [], "files": files}}
    if "Viewer" in query:
        return {"viewer": {"id": "U", "entity": "team", "username": "user", "flags": "{}", "teams": {"edges": []}}}
    return {"serverInfo": {"features": []}}


def _received(run_id: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    last = json.dumps(rows[-1])
    return {
        "id": f"B-{run_id}",
        "name": run_id,
        "displayName": run_id,
        "summaryMetrics": last,
        "historyLineCount": len(rows),
        "historyTail": json.dumps([last]),
        "eventsLineCount": 0,
        "eventsTail": "[]",
        "logLineCount": 0,
        "config": "{}",
        "tags": [],
        "wandbConfig": '{"t": 1}',
    }
