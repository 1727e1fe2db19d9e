"""A tracking server that holds a client to what MLflow's REST API documents: fields, limits, parameters that cannot change."""
import http.server
import json
import threading
import urllib.parse

ROOT = "/api/2.0/mlflow/"
STATUS = {"RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED"}


class Refused(Exception):
    def __init__(self, code, message, status=400):
        self.status, self.body = status, {"error_code": code, "message": message}


class Server:
    def __init__(self, token=None):
        self.token, self.experiments, self.runs, self.requests, self.problems, self.broken = token, {"Default": "0"}, {}, [], [], False
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                outer.answer(self, "GET")

            def do_POST(self):
                outer.answer(self, "POST")

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def answer(self, handler, method):
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        url = urllib.parse.urlparse(handler.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        try:
            if self.broken:
                raise Refused("TEMPORARILY_UNAVAILABLE", "is being moved", 503)
            if self.token and handler.headers.get("Authorization") != f"Bearer {self.token}":
                raise Refused("UNAUTHENTICATED", "no token", 401)
            if len(body) > 1 << 20:
                raise Refused("REQUEST_LIMIT_EXCEEDED", "more than 1 MB")
            name = url.path.removeprefix(ROOT)
            if method == "POST" and handler.headers.get("Content-Type") != "application/json":
                raise Refused("BAD_REQUEST", "Content-Type is not application/json")
            self.requests.append(f"{method} {name}")
            call = getattr(self, f"{method}_{name.replace('/', '_').replace('-', '_')}", None)
            if not url.path.startswith(ROOT) or call is None:
                raise Refused("ENDPOINT_NOT_FOUND", url.path, 404)
            status, result = 200, call(json.loads(body) if body else query)
        except Refused as refused:
            status, result = refused.status, refused.body
            if status == 400:
                self.problems.append(refused.body)
        except Exception as error:
            status, result = 500, {"error_code": "INTERNAL_ERROR", "message": repr(error)}
            self.problems.append(result)
        text = json.dumps(result).encode()
        handler.send_response(status)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(text)))
        handler.end_headers()
        handler.wfile.write(text)

    @staticmethod
    def only(fields, *allowed):
        extra = set(fields) - set(allowed)
        if extra:
            raise Refused("INVALID_PARAMETER_VALUE", f"unknown fields {sorted(extra)}")

    def GET_experiments_get_by_name(self, q):
        self.only(q, "experiment_name")
        if q["experiment_name"] not in self.experiments:
            raise Refused("RESOURCE_DOES_NOT_EXIST", q["experiment_name"], 404)
        return {"experiment": {"experiment_id": self.experiments[q["experiment_name"]], "name": q["experiment_name"]}}

    def POST_experiments_create(self, body):
        self.only(body, "name", "artifact_location", "tags")
        if body["name"] in self.experiments:
            raise Refused("RESOURCE_ALREADY_EXISTS", body["name"])
        self.experiments[body["name"]] = str(len(self.experiments))
        return {"experiment_id": self.experiments[body["name"]]}

    def POST_runs_create(self, body):
        self.only(body, "experiment_id", "run_name", "start_time", "tags", "user_id")
        if body["experiment_id"] not in self.experiments.values() or not isinstance(body["start_time"], int):
            raise Refused("INVALID_PARAMETER_VALUE", "experiment_id or start_time")
        run_id = f"{len(self.runs):032x}"
        self.runs[run_id] = {"experiment": body["experiment_id"], "name": body["run_name"], "status": "RUNNING", "params": {}, "metrics": {}, "end": None}
        return {"run": {"info": {"run_id": run_id, "status": "RUNNING"}, "data": {}}}

    def run(self, body):
        if body.get("run_id") not in self.runs:
            raise Refused("RESOURCE_DOES_NOT_EXIST", f"run {body.get('run_id')}", 404)
        return self.runs[body["run_id"]]

    def GET_runs_get(self, q):
        metrics = [{"key": key, "value": points[-1][1], "step": str(points[-1][0]), "timestamp": points[-1][2]} for key, points in self.run(q)["metrics"].items()]
        return {"run": {"info": {"run_id": q["run_id"]}, "data": {"metrics": metrics}}}

    def POST_runs_log_batch(self, body):
        self.only(body, "run_id", "metrics", "params", "tags")
        run, metrics, params = self.run(body), body.get("metrics", []), body.get("params", [])
        if len(metrics) > 1000 or len(params) > 100 or len(metrics) + len(params) > 1000:
            raise Refused("INVALID_PARAMETER_VALUE", "too many items")
        for item in metrics + params:
            if not item["key"] or len(item["key"]) > 250 or not all(c.isalnum() or c in "_-./ " for c in item["key"]):
                raise Refused("INVALID_PARAMETER_VALUE", f"key {item['key']!r}")
        for param in params:
            self.only(param, "key", "value")
            if not isinstance(param["value"], str) or len(param["value"]) > 500 or run["params"].setdefault(param["key"], param["value"]) != param["value"]:
                raise Refused("INVALID_PARAMETER_VALUE", f"parameter {param['key']}")
        for m in metrics:
            self.only(m, "key", "value", "timestamp", "step")
            if not isinstance(m["value"], (int, float)) or not isinstance(m["step"], int) or m["timestamp"] < 1e12:
                raise Refused("INVALID_PARAMETER_VALUE", f"metric {m}")
            run["metrics"].setdefault(m["key"], []).append((m["step"], m["value"], m["timestamp"]))
        return {}

    def POST_runs_update(self, body):
        self.only(body, "run_id", "status", "end_time", "run_name")
        if body["status"] not in STATUS:
            raise Refused("INVALID_PARAMETER_VALUE", body["status"])
        self.run(body).update(status=body["status"], end=body.get("end_time"))
        return {"run_info": {"run_id": body["run_id"]}}
