"""A small BigQuery for tests: tables, load jobs and statements over the wire of the real client.

Statements are translated by sqlglot and carried out by DuckDB. It keeps to what the tables build
on: a job's name is taken once (409), a failed job changes nothing, a transaction is whole or not at
all, a column that the schema of a load does not know is refused. It gives no rows: `rows` reads
them here.
"""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any, cast

import duckdb
import pyarrow.parquet as pq
import sqlglot
from pyarrow import BufferReader

TYPES = {"STRING": "VARCHAR", "INTEGER": "BIGINT", "FLOAT": "DOUBLE", "TIMESTAMP": "TIMESTAMPTZ"}
Resource = dict[str, Any]


@dataclass
class Trouble:
    """What shall go wrong, one after the other: reasons for jobs of a kind (`load`, `query`) to
    fail, and how many answers to requests for jobs are lost. `held` jobs go on running."""

    failing: dict[str, list[str]] = field(default_factory=lambda: {"load": [], "query": []})
    lost_answers: int = 0
    held: bool = False


class Refused(Exception):
    """A request that is answered with a status and a reason."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status, self.reason, self.message = status, reason, message


_NUMBERS = count()


@cache
def _database() -> duckdb.DuckDBPyConnection:
    """The database of all servers, each in a schema of its own: another takes long to make."""
    made = duckdb.connect(":memory:")
    made.execute("SET GLOBAL TimeZone = 'UTC'")
    return made


class BigQueryServer:
    """The data of one project with one data set; `objects` gives the bytes of gs:// addresses."""

    def __init__(self, objects: Callable[[str], bytes]) -> None:
        self.objects = objects
        self.tables: dict[str, Resource] = {}
        self.jobs: dict[str, Resource] = {}
        self.begun: list[str] = []  # names of the jobs, in order
        self.statements: list[str] = []
        self.repeats = 0  # requests for a job that was there
        self.trouble = Trouble()
        self.bytes = 10 << 20  # that any statement would read
        self.url = ""
        self._lock = threading.Lock()
        self._database = _database().cursor()
        self._schema = f"server_{next(_NUMBERS)}"
        for statement in (f"CREATE SCHEMA {self._schema}", f"USE {self._schema}"):
            self._database.execute(statement)

    def close(self) -> None:
        self._database.execute("USE main")
        self._database.execute(f"DROP SCHEMA {self._schema} CASCADE")
        self._database.close()

    def rows(self, table: str, columns: str = "raw, temperature_2m") -> list[Any]:
        with self._lock:
            return sorted(self._database.execute(f'SELECT {columns} FROM "{table}"').fetchall())

    def answer(self, method: str, path: list[str], body: Resource) -> Resource:  # noqa: PLR0911
        with self._lock:
            match method, path:
                case "POST", ["datasets", _, "tables"]:
                    return self._create(body)
                case "GET", ["datasets", _, "tables", name]:
                    return self._table(name)
                case "PATCH", ["datasets", _, "tables", name]:
                    return self._change(name, body)
                case "DELETE", ["datasets", _, "tables", name]:
                    self._table(name)
                    del self.tables[name]
                    self._database.execute(f'DROP TABLE "{name}"')
                    return {}
                case "POST", ["jobs"]:
                    return self._begin(body)
                case "GET", ["jobs", name]:
                    return self._job(name)
                case "GET", ["queries", name]:
                    return self._result(name)
        raise Refused(404, "notFound", f"{method} {path}")

    def _create(self, table: Resource) -> Resource:
        name = table["tableReference"]["tableId"]
        if name in self.tables:
            raise Refused(409, "duplicate", f"Already Exists: Table {name}")
        columns = ", ".join(f'"{f["name"]}" {_type(f)}' for f in table["schema"]["fields"])
        self._database.execute(f'CREATE TABLE "{name}" ({columns})')
        self.tables[name] = table
        return table

    def _table(self, name: str) -> Resource:
        if name not in self.tables:
            raise Refused(404, "notFound", f"Not found: Table p:d.{name}")
        return self.tables[name]

    def _change(self, name: str, change: Resource) -> Resource:
        table = self._table(name)
        there = {one["name"] for one in table["schema"]["fields"]}
        for one in change.get("schema", {}).get("fields", []):
            if one["name"] not in there:
                self._database.execute(f'ALTER TABLE "{name}" ADD "{one["name"]}" {_type(one)}')
        table.update(change)
        return table

    def _begin(self, asked: Resource) -> Resource:
        configuration, reference = asked["configuration"], asked["jobReference"]
        if configuration.get("dryRun"):
            statistics = {"query": {"totalBytesProcessed": str(self.bytes)}}
            return {**asked, "status": {"state": "DONE"}, "statistics": statistics}
        name = reference["jobId"]
        if name in self.jobs:
            self.repeats += 1
            raise Refused(409, "duplicate", f"Already Exists: Job p:{name}")
        self.begun.append(name)
        job = self.jobs[name] = {**asked, "status": {"state": "RUNNING"}, "statistics": {}}
        kind = "load" if "load" in configuration else "query"
        try:
            if self.trouble.failing[kind]:
                raise Refused(400, "backendError", self.trouble.failing[kind].pop(0))
            do = self._load if kind == "load" else self._query
            job["statistics"] = do(configuration[kind])
            job["ended"] = {"state": "DONE"}
        except (Refused, duckdb.Error) as error:
            reason = getattr(error, "reason", "invalidQuery")
            told = {"reason": reason, "message": str(error)}
            job["ended"] = {"state": "DONE", "errorResult": told, "errors": [told]}
        if self.trouble.lost_answers:
            self.trouble.lost_answers -= 1
            raise ConnectionAbortedError
        return self._job(name)

    def _job(self, name: str) -> Resource:
        if name not in self.jobs:
            raise Refused(404, "notFound", f"Not found: Job p:{name}")
        job = self.jobs[name]
        shown = {key: value for key, value in job.items() if key != "ended"}
        return shown if self.trouble.held else {**shown, "status": job["ended"]}

    def _result(self, name: str) -> Resource:
        job = self._job(name)
        if error := job["status"].get("errorResult"):
            raise Refused(500, error["reason"], error["message"])
        return {"jobComplete": True, "jobReference": job["jobReference"], "totalRows": "0"}

    def _load(self, load: Resource) -> Resource:
        assert load["parquetOptions"] == {"enableListInference": True}
        target = load["destinationTable"]["tableId"]
        known = [one["name"] for one in load["schema"]["fields"]]
        loaded = 0
        if target not in self.tables:
            self._create({"tableReference": load["destinationTable"], "schema": load["schema"]})
        with self._whole():
            if load["writeDisposition"] == "WRITE_TRUNCATE":
                self._database.execute(f'DELETE FROM "{target}"')
            for uri in load["sourceUris"]:
                rows = pq.read_table(BufferReader(self.objects(uri)))
                if unknown := set(rows.column_names) - set(known):
                    raise Refused(400, "invalid", f"{uri}: unknown columns {unknown}")
                self._database.register("file", rows)
                self._database.execute(f'INSERT INTO "{target}" BY NAME SELECT * FROM file')
                self._database.unregister("file")
                loaded += rows.num_rows
        return {"load": {"outputRows": str(loaded), "inputFiles": str(len(load["sourceUris"]))}}

    def _query(self, query: Resource) -> Resource:
        if self.bytes > int(query.get("maximumBytesBilled", self.bytes)):
            raise Refused(
                500,
                "bytesBilledLimitExceeded",
                f"Query exceeded limit for bytes billed: {query['maximumBytesBilled']}. "
                f"{self.bytes} or higher required.",
            )
        self.statements.append(query["query"])
        given = {one["name"]: _value(one) for one in query.get("queryParameters", [])}
        with self._whole():
            for tree in sqlglot.parse(query["query"], read="bigquery"):
                assert tree is not None
                if isinstance(tree, sqlglot.exp.Transaction | sqlglot.exp.Commit):
                    continue
                for table in tree.find_all(sqlglot.exp.Table):
                    self._table(table.name)
                    table.replace(sqlglot.exp.to_table(f'"{table.name}"'))
                named = {one.name for one in tree.find_all(sqlglot.exp.Parameter)}
                self._database.execute(
                    tree.sql(dialect="duckdb"), {name: given[name] for name in named}
                )
        return {"query": {"totalBytesProcessed": str(self.bytes), "statementType": "SCRIPT"}}

    @contextmanager
    def _whole(self) -> Iterator[None]:
        self._database.execute("BEGIN")
        try:
            yield
        except BaseException:
            self._database.execute("ROLLBACK")
            raise
        self._database.execute("COMMIT")


def _type(one: Resource) -> str:
    if one["type"] == "RECORD":
        inner = ", ".join(f'"{part["name"]}" {_type(part)}' for part in one["fields"])
        return f"STRUCT({inner})[]"
    return TYPES[one["type"]]


def _value(parameter: Resource) -> object:
    value = parameter["parameterValue"]
    if "arrayValues" in value:
        return [one["value"] for one in value["arrayValues"]]
    return value["value"]


class _Handler(BaseHTTPRequestHandler):
    bigquery: BigQueryServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def _respond(self) -> None:
        path = self.path.partition("?")[0].removeprefix("/bigquery/v2/projects/p/").split("/")
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else {}
        try:
            status, told = 200, self.bigquery.answer(self.command, path, body)
        except Refused as refused:
            errors = [{"reason": refused.reason, "message": refused.message}]
            status, told = refused.status, {"error": {"message": refused.message, "errors": errors}}
        except ConnectionAbortedError:  # carried out, but nobody hears of it
            self.close_connection = True
            return
        content = json.dumps(told).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PATCH = do_DELETE = _respond  # noqa: N815 - the base class's names

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing is written."""


@contextmanager
def serving(objects: Callable[[str], bytes]) -> Iterator[BigQueryServer]:
    """A running server; `url` is what BIGQUERY_EMULATOR_HOST names."""
    bigquery = BigQueryServer(objects)
    handler = cast(type[BaseHTTPRequestHandler], type("H", (_Handler,), {"bigquery": bigquery}))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    bigquery.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield bigquery
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
        bigquery.close()
