#!/usr/bin/env python3
"""What a run tells while it goes on: its files, Prometheus, Grafana's dashboard, TensorBoard, MLflow, web hooks. The judges are real where they
can be: Debian's prometheus and push gateway, PyPI's tensorboard. (A real MLflow server: scripts/check_mlflow.py.)"""
import functools
import glob
import http.server
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import peer  # noqa: E402

peer.run_with(["tensorboard==2.21.0"])

import debian  # noqa: E402
from cli import BIN, check, fails, main, refused, run, start, wait_for  # noqa: E402
from mlflow_server import Server as MlflowServer  # noqa: E402
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # noqa: E402

BUILD = os.environ.get("DS_BUILD", os.path.join(BIN, ".."))
TINY = ["--data", "digits", "--model", "cnn", "--model.width", 4, "--threads", 1, "--format", "json", "--progress", "none"]
LONG = 2000  # epochs that no test waits for
NOISY = [*TINY, "--epochs", 1, "--batch-size", 4, "--set", "anomaly.loss_rise=0.000001"]  # some steps are above the mean of those before


def lines(path):
    return [json.loads(line) for line in open(path)]


def steady(row):
    """What does not differ from run to run."""
    return {key: value for key, value in row.items() if key not in ("time", "elapsed_s", "samples_per_sec", "step_seconds", "memory_bytes", "resident_bytes", "peak_mem_bytes")}


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def fetch(url):
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read().decode()


def answers(url):
    try:
        fetch(url)
        return True
    except OSError:
        return False


def finish(process):
    if process.poll() is None:
        process.kill()
    process.communicate()


class Listener:
    """A server that keeps what is posted to it. `silent`: takes connections and says nothing."""

    def __init__(self, status=200, silent=False):
        self.got = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.got.append((self.path, self.headers["Content-Type"], body))
                if silent:
                    time.sleep(20)
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


def test_a_run_folder_has_a_line_a_logged_step_and_an_epoch(folder):
    run("ds-train", *TINY, "--epochs", 2, "--log-interval", 8, "--run-dir", f"{folder}/r")
    rows = lines(f"{folder}/r/metrics.jsonl")
    steps = [row for row in rows if row["kind"] == "step"]
    check([row["step"] for row in steps] == [8, 16, 24, 32, 40], rows)
    for row in steps:
        for key in ("loss", "lr", "gradient_norm", "samples_per_sec", "step_seconds", "memory_bytes", "resident_bytes"):
            check(row[key] > 0, key, row)
        check(row["epoch"] == (1 if row["step"] <= 20 else 2), row)
        check(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", row["time"]), row)
    epochs = [row for row in rows if row["kind"] == "epoch"]
    table = open(f"{folder}/r/metrics.csv").read().splitlines()
    for row, line in zip(epochs, table[1:], strict=True):
        told = dict(zip(table[0].split(","), line.split(",")))
        for key in ("epoch", "step", "train_loss", "val_loss", "val_top1", "lr"):
            check(row[key] == float(told[key]), key, row, line)
    page = open(f"{folder}/r/report.html").read()
    for part in ("2 / 2", "epochs, done", "40 / 40", "<figcaption>Loss ", "<figcaption>Gradient norm ", "<figcaption>Samples a second ", "cnn on digits"):
        check(part in page, part)
    # Two that are reproducible tell the same, and nothing of the clock.
    texts = []
    for name in ("a", "b"):
        run("ds-train", *TINY, "--epochs", 1, "--reproducible", "--run-dir", f"{folder}/{name}")
        check(sorted(os.listdir(f"{folder}/{name}")) == ["args.yaml", "best.h5", "last.h5", "metrics.csv", "metrics.jsonl", "report.html"], os.listdir(f"{folder}/{name}"))
        texts.append(open(f"{folder}/{name}/metrics.jsonl").read())
    check(texts[0] == texts[1] and "time" not in texts[0] and "bytes" not in texts[0], texts)


def points_of(folder):
    reader = EventAccumulator(folder, size_guidance={"scalars": 0})
    reader.Reload()
    return {tag: [(event.step, event.value) for event in reader.Scalars(tag)] for tag in reader.Tags()["scalars"]}


def test_a_run_killed_at_any_moment_leaves_no_gap_and_no_double_line(folder):
    job = [*TINY, "--epochs", 12, "--log-interval", 3]
    whole = run("ds-train", *job, "--run-dir", f"{folder}/whole")
    expected = [steady(row) for row in lines(f"{folder}/whole/metrics.jsonl")]
    draw = random.Random(5)
    kills = 0
    for _ in range(40):
        process = start("ds-train", *job, "--run-dir", f"{folder}/parts", "--resume", "auto", stdin=subprocess.DEVNULL)
        wait_for(lambda: process.poll() is not None or os.path.exists(f"{folder}/parts/lock"))
        time.sleep(draw.uniform(0, 0.3))
        if kills < 6 and process.poll() is None:
            process.send_signal(signal.SIGKILL if draw.random() < 0.7 else signal.SIGTERM)
        out, err = process.communicate(timeout=120)
        check(process.returncode in (0, -9, 75), process.returncode, err)
        if process.returncode == 0:
            break
        kills += 1
    check(process.returncode == 0 and kills > 0, process.returncode, kills)
    last = [next(output["digest"] for output in record["outputs"] if output["name"] == "last") for record in (whole.record, json.loads(out))]
    check(last[0] == last[1], "another digest than that of one run")
    got = [steady(row) for row in lines(f"{folder}/parts/metrics.jsonl")]
    check(got == expected, f"{kills} kills:", got, expected)
    rows = [line.split(",")[:7] for line in open(f"{folder}/parts/metrics.csv")]
    check(rows == [line.split(",")[:7] for line in open(f"{folder}/whole/metrics.csv")], rows)
    # TensorBoard joins the event files of all parts, and takes back what a killed one had too much.
    ours, theirs = points_of(f"{folder}/parts"), points_of(f"{folder}/whole")
    check(ours.keys() == theirs.keys() and len(ours) > 8, ours.keys())
    for tag in ("train/loss", "train/lr", "train/gradient_norm", "val/loss", "val/top1", "epoch/train_loss"):
        check(ours[tag] == theirs[tag] and len(ours[tag]) >= 12, tag, ours[tag], theirs[tag])


def test_tensorboard_reads_what_metrics_jsonl_tells(folder):
    run("ds-train", *TINY, "--epochs", 2, "--log-interval", 5, "--run-dir", f"{folder}/r")
    points = points_of(f"{folder}/r")
    rows = lines(f"{folder}/r/metrics.jsonl")
    for tag, key, kind in (("train/loss", "loss", "step"), ("train/lr", "lr", "step"), ("val/top1", "val_top1", "epoch"), ("epoch/train_loss", "train_loss", "epoch")):
        told = [(row["step"], row[key]) for row in rows if row["kind"] == kind]
        check([step for step, _ in points[tag]] == [step for step, _ in told], tag, points[tag], told)
        for (_, value), (_, expected) in zip(points[tag], told):
            check(abs(value - expected) <= 1e-6 * abs(expected), tag, value, expected)


# --- Prometheus -------------------------------------------------------------------------------------------------


def promtool(text):
    tool = f"{debian.unpacked('prometheus')}/usr/bin/promtool"
    done = subprocess.run([tool, "check", "metrics"], input=text.encode(), capture_output=True)
    check(done.returncode == 0 and not done.stderr, "promtool:", done.stderr.decode(), text)


class Prometheus:
    def __init__(self, folder, targets):
        self.port = free_port()
        config = {"global": {"scrape_interval": "200ms", "scrape_timeout": "200ms"},
                  "scrape_configs": [{"job_name": f"j{i}", "honor_labels": True, "static_configs": [{"targets": [target]}]} for i, target in enumerate(targets)]}
        open(f"{folder}/prometheus.yml", "w").write(json.dumps(config))
        self.process = subprocess.Popen([f"{debian.unpacked('prometheus')}/usr/bin/prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/tsdb",
                                         f"--web.listen-address=127.0.0.1:{self.port}"], stdout=subprocess.DEVNULL, stderr=open(f"{folder}/prometheus.log", "w"))
        wait_for(lambda: answers(f"http://127.0.0.1:{self.port}/-/ready"), 30)

    def query(self, expression):
        answer = json.loads(fetch(f"http://127.0.0.1:{self.port}/api/v1/query?" + urllib.parse.urlencode({"query": expression})))
        check(answer["status"] == "success", expression, answer)
        return answer["data"]["result"]


def serve_folder(folder):
    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


def test_every_panel_of_the_dashboard_shows_data_of_a_run_on_a_real_prometheus(folder):
    # A run that is done, over tokens, tells by a file; one that goes on, with two GPUs of a driver that is not there, by a port.
    os.makedirs(f"{folder}/www")
    run("ds-train", "--data", "synthetic:kind=tokens", "--model", "gru", "--model.dim", 8, "--epochs", 1, "--threads", 1, "--progress", "none", "--metrics-file", f"{folder}/www/metrics.prom")
    done = open(f"{folder}/www/metrics.prom").read()
    promtool(done)
    check(os.listdir(f"{folder}/www") == ["metrics.prom"], os.listdir(f"{folder}/www"))
    success = float(re.search(r"^ds_last_success_timestamp_seconds\{.*\} (.*)$", done, re.M).group(1))
    check(abs(success - time.time()) < 300, success)
    os.rename(f"{folder}/www/metrics.prom", f"{folder}/www/metrics")
    process = start("ds-train", *TINY, "--epochs", LONG, "--run-dir", f"{folder}/run one", "--metrics-port", 0,
                    env={**os.environ, "LD_LIBRARY_PATH": f"{BUILD}/fake_nvml"})
    try:
        url = next(line for line in process.stderr if "/metrics" in line).split()[-1]
        check(re.fullmatch(r"http://127\.0\.0\.1:\d+/metrics", url), url)
        wait_for(lambda: "ds_epoch_metric" in fetch(url))
        text = fetch(url)
        promtool(text)
        for series, value in (('ds_gpu_utilization_ratio{gpu="1",', "0.75"), ('ds_gpu_memory_used_bytes{gpu="0",', "20000000000")):
            line = next(line for line in text.splitlines() if line.startswith(series))
            check('job="ds-train",model="cnn",run="run one"} ' + value in line, line)
        prometheus = Prometheus(folder, [url.split("/")[2], f"127.0.0.1:{serve_folder(folder + '/www')}"])
        try:
            run("ds-report", "--dashboard", f"{folder}/d.json")
            board = json.load(open(f"{folder}/d.json"))
            expressions = {target["expr"]: panel["title"] for panel in board["panels"] for target in panel["targets"]}
            check(len(expressions) >= 20 and len(board["panels"]) >= 14, len(expressions), len(board["panels"]))
            for variable in board["templating"]["list"][1:]:
                metric, label = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable["definition"]).groups()
                wait_for(lambda: len({series["metric"][label] for series in prometheus.query(metric)}) >= (1 if label == "job" else 2), 30)
            for expression, title in expressions.items():
                asked = re.sub(r"\$(job|model|run)", ".*", expression).replace("$__rate_interval", "4s")
                check("$" not in asked, asked)
                # The first scrapes give no rate yet.
                wait_for(lambda: any(result["value"][1] != "NaN" for result in prometheus.query(asked)), 30)
            (rate,) = prometheus.query('rate(ds_train_samples_total{run="run one"}[4s])')
            check(float(rate["value"][1]) > 0, rate)
        finally:
            finish(prometheus.process)
    finally:
        finish(process)


def test_a_push_gateway_gets_the_metrics(folder):
    port = free_port()
    gateway = subprocess.Popen([f"{debian.unpacked('prometheus-pushgateway')}/usr/bin/prometheus-pushgateway", f"--web.listen-address=127.0.0.1:{port}"],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: answers(f"http://127.0.0.1:{port}/-/ready"), 30)
        result = run("ds-train", *TINY, "--epochs", 1, "--run-dir", f"{folder}/a b", "--pushgateway", f"http://127.0.0.1:{port}", "--set", "watch.metrics_job=night/ly")
        check("push gateway" not in result.err, result.err)
        text = fetch(f"http://127.0.0.1:{port}/metrics")
        check(re.search(r'^ds_train_steps_total\{instance="",job="night/ly",model="cnn",run="a b"\} 20$', text, re.M), text)
        check('push_failure_time_seconds{instance="",job="night/ly",model="cnn",run="a b"} 0' in text, text)
    finally:
        finish(gateway)


def test_servers_that_are_not_there_change_nothing(folder):
    dead = f"http://127.0.0.1:{free_port()}"
    plain = run("ds-train", *NOISY, "-o", f"{folder}/plain.h5")
    watched = run("ds-train", *NOISY, "-o", f"{folder}/watched.h5", "--pushgateway", dead, "--mlflow", dead, "--webhook", dead,
                  "--set", "watch.metrics_interval=0.1")
    digests = [next(output["digest"] for output in result.record["outputs"]) for result in (plain, watched)]
    check(digests[0] == digests[1], digests)
    for what in ("push gateway", "mlflow", "webhook"):
        said = [line for line in watched.err.splitlines() if line.startswith(f"warning: {what}") and "no connection" in line]
        check(len(said) == 1, what, watched.err)


def test_bad_options_are_told_before_the_first_step(folder):
    job = ["ds-train", *TINY, "--epochs", 1, "-o", f"{folder}/m.h5"]
    fails([*job, "--mlflow", "localhost:5000"], 2, "watch.mlflow", "localhost:5000", folder=folder)
    fails([*job, "--webhook", "http://me:secret@host/"], 2, "watch.webhook", "@FILE", folder=folder)
    fails([*job, "--pushgateway", "env:NOT_THERE"], 2, "watch.pushgateway", "NOT_THERE", folder=folder)
    fails([*job, "--metrics-file", f"{folder}/m.txt"], 2, "watch.metrics_file", ".prom", folder=folder)
    fails([*job, "--metrics-file", f"{folder}/none/m.prom"], 4, "watch.metrics_file", "none", folder=folder)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        fails([*job, "--metrics-port", taken.getsockname()[1]], 4, "watch.metrics_port", "in use", folder=folder)
    refused(run("ds-report", expect=2), "FILE")
    refused(run("ds-report", "--dashboard", "-", "--replay-mlflow", "x", expect=2), "three jobs")
    fails(["ds-report", "--replay-mlflow", f"{folder}/none.jsonl"], 3, "none.jsonl", folder=folder)


# --- web hook ---------------------------------------------------------------------------------------------------


def test_alarms_go_to_the_web_hook(folder):
    hook = Listener()
    open(f"{folder}/url", "w").write(hook.url + "/T0/secret\n")
    result = run("ds-train", *TINY, "--epochs", 1, "--run-dir", f"{folder}/r", "--webhook", f"@{folder}/url", "--set", "anomaly.gradient_norm=0.000001",
                 "--set", "anomaly.gradient_norm_after=3", expect=5)
    check("secret" not in result.err + result.out + open(f"{folder}/r/args.yaml").read(), result.err)
    ((path, kind, body),) = hook.got
    alarm = json.loads(body)
    check(path == "/T0/secret" and kind == "application/json", path, kind)
    check(alarm["event"] == "alarm" and alarm["kind"] == "gradient_norm" and alarm["limit"] == 1e-6 and alarm["value"] > 1e-6, alarm)
    check(alarm["run"] == "r" and alarm["model"] == "cnn" and alarm["epoch"] == 1, alarm)
    (line,) = [row for row in lines(f"{folder}/r/metrics.jsonl") if row["kind"] == "alarm"]
    check(line["text"] == alarm["text"] and line["step"] == alarm["step"], line, alarm)


def test_a_web_hook_that_fails_or_hangs_stops_nothing(folder):
    for listener, said in ((Listener(status=500), "answers 500"), (Listener(silent=True), "no answer")):
        begun = time.monotonic()
        result = run("ds-train", *NOISY, "--webhook", listener.url + "/T0/secret")
        check(result.record["status"] == "done" and listener.got, result.out)
        check(sum("webhook" in line for line in result.err.splitlines()) == 1 and said in result.err and "secret" not in result.err, result.err)
        check(time.monotonic() - begun < 18, "it waited for the hook")


# --- MLflow -----------------------------------------------------------------------------------------------------


def history(server, index=0):
    return list(server.runs.values())[index]


def test_mlflow_gets_parameters_and_metrics(folder):
    server = MlflowServer(token="t0ken")
    job = ["ds-train", *TINY, "--epochs", 2, "--log-interval", 4, "--mlflow", server.url, "--mlflow-experiment", "my tests/é"]
    result = run(*job, "--run-dir", f"{folder}/r", env={"MLFLOW_TRACKING_TOKEN": "t0ken"})
    check(not server.problems and "mlflow" not in result.err, server.problems, result.err)
    told = history(server)
    check(told["name"] == "r" and told["status"] == "FINISHED" and told["end"] > 1e12 and "my tests/é" in server.experiments, told)
    check(told["params"]["train.epochs"] == "2" and told["params"]["model.arch"] == "cnn" and not any("watch" in key for key in told["params"]), told["params"])
    rows = lines(f"{folder}/r/metrics.jsonl")
    for key, name, kind in (("train/loss", "loss", "step"), ("train/gradient_norm", "gradient_norm", "step"), ("val/top1", "val_top1", "epoch")):
        expected = [(row["step"], row[name]) for row in rows if row["kind"] == kind]
        got = told["metrics"][key]
        check([step for step, _, _ in got] == [step for step, _ in expected], key, got)
        check(all(abs(value - wanted) <= 1e-6 * abs(wanted) for (_, value, _), (_, wanted) in zip(got, expected)), key, got, expected)
    check(not glob.glob(f"{folder}/r/mlflow*"), os.listdir(f"{folder}/r"))
    result = run(*job, "-o", f"{folder}/m.h5")  # no token
    check("answers 401: no token" in result.err and f"--replay-mlflow {folder}/m.h5.mlflow.jsonl" in result.err, result.err)
    check("t0ken" not in open(f"{folder}/m.h5.mlflow.jsonl").read() + open(f"{folder}/r/args.yaml").read(), "the token is kept")
    server.close()


def test_what_a_dead_mlflow_server_missed_is_sent_later(folder):
    server = MlflowServer()
    process = start("ds-train", *TINY, "--epochs", LONG, "--log-interval", 5, "--run-dir", f"{folder}/r", "--mlflow", server.url)
    try:
        wait_for(lambda: server.runs and history(server)["metrics"].get("train/loss"))
        server.broken = True
        wait_for(lambda: os.path.exists(f"{folder}/r/mlflow.jsonl"))
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=60)
    finally:
        finish(process)
    check(process.returncode == 75, err)
    (said,) = [line for line in err.splitlines() if "mlflow" in line]
    check("answers 503" in said and f"'ds-report --replay-mlflow {folder}/r/mlflow.jsonl'" in said, said)
    spool = open(f"{folder}/r/mlflow.jsonl").read()
    fails(["ds-report", "--replay-mlflow", f"{folder}/r/mlflow.jsonl"], 1, "answers 503")
    check(open(f"{folder}/r/mlflow.jsonl").read() == spool, "it was changed")
    server.broken = False
    record = run("ds-report", "--replay-mlflow", f"{folder}/r/mlflow.jsonl", "--format", "json").record
    check(not server.problems and len(server.runs) == 1 and record["mlflow"]["points"] > 0, server.problems, record)
    check(os.path.exists(f"{folder}/r/mlflow.jsonl.sent") and not os.path.exists(f"{folder}/r/mlflow.jsonl"), os.listdir(f"{folder}/r"))
    told = history(server)
    logged = [row["step"] for row in lines(f"{folder}/r/metrics.jsonl") if row["kind"] == "step"]
    check(told["status"] == "KILLED", told["status"])
    check([step for step, _, _ in told["metrics"]["train/loss"]] == logged, told["metrics"]["train/loss"], logged)
    server.close()


def test_a_resumed_run_goes_on_in_its_mlflow_run(folder):
    server = MlflowServer()
    job = [*TINY, "--log-interval", 5, "--mlflow", server.url, "--run-dir", f"{folder}/r", "--resume", "auto", "--epochs", 60]
    process = start("ds-train", *job)
    try:
        wait_for(lambda: os.path.exists(f"{folder}/r/mlflow.id") and os.path.exists(f"{folder}/r/last.h5") and process.poll() is None)
    finally:
        finish(process)
    run("ds-train", *job)
    check(not server.problems and len(server.runs) == 1, server.problems, len(server.runs))
    told = history(server)
    check(told["status"] == "FINISHED", told["status"])
    for key, steps in (("train/loss", list(range(5, 1201, 5))), ("val/top1", list(range(20, 1201, 20)))):
        check([step for step, _, _ in told["metrics"][key]] == steps, key, told["metrics"][key])
    server.close()


if __name__ == "__main__":
    main(__name__)
