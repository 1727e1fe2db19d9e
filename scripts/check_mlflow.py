#!/usr/bin/env python3
"""check_mlflow.py

Holds what ds-train sends to a real tracking server of MLflow, which PyPI has (850 MB in the cache, so CI uses a strict stand-in,
tests/support/mlflow_server.py): a run that is done, one whose server dies, its replay, and one that is killed and goes on.

Environment: DS_BIN, the folder of the tools (default: build/bin); that of the tools.
"""
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
os.environ.setdefault("DS_BIN", os.path.join(ROOT, "build/bin"))
sys.path.insert(0, os.path.join(ROOT, "tests/support"))
import peer  # noqa: E402

peer.run_with(["mlflow==3.17.2"])

import mlflow  # noqa: E402
from cli import check, run, start, wait_for  # noqa: E402

TINY = ["--data", "digits", "--model", "cnn", "--model.width", 4, "--threads", 1, "--format", "json", "--progress", "none", "--log-interval", 5]


class Server:
    def __init__(self, folder):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        self.folder, self.url = folder, f"http://127.0.0.1:{self.port}"

    def up(self):
        python = os.path.join(sys.prefix, "bin", "python3")
        self.process = subprocess.Popen([python, "-m", "mlflow", "server", "--backend-store-uri", f"sqlite:///{self.folder}/m.db", "--port", str(self.port), "--workers", "1"],
                                        stdout=open(f"{self.folder}/server.log", "a"), stderr=subprocess.STDOUT, start_new_session=True)
        wait_for(self.ready, 120)

    def ready(self):
        try:
            return urllib.request.urlopen(self.url + "/health", timeout=2).status == 200
        except OSError:
            return False

    def down(self):
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def steps(client, run_id, key):
    return [m.step for m in client.get_metric_history(run_id, key)]


def logged(folder, kind="step"):
    return [row["step"] for row in map(json.loads, open(f"{folder}/metrics.jsonl")) if row["kind"] == kind]


def main(folder):
    server = Server(folder)
    server.up()
    try:
        client = mlflow.MlflowClient(server.url)
        told = lambda: {r.info.run_name: r for r in client.search_runs([e.experiment_id for e in client.search_experiments()])}  # noqa: E731
        watch = ["--mlflow", server.url, "--mlflow-experiment", "ds"]
        run("ds-train", *TINY, *watch, "--epochs", 3, "--run-dir", f"{folder}/plain")
        one = told()["plain"]
        check(one.info.status == "FINISHED" and one.data.params["train.epochs"] == "3", one)
        check(steps(client, one.info.run_id, "train/loss") == logged(f"{folder}/plain"), "train/loss")
        check(steps(client, one.info.run_id, "val/top1") == logged(f"{folder}/plain", "epoch"), "val/top1")
        print("ok   a run that is done", len(one.data.metrics), "metrics,", len(one.data.params), "parameters")

        process = start("ds-train", *TINY, *watch, "--epochs", 2000, "--run-dir", f"{folder}/dead")
        wait_for(lambda: "dead" in told() and told()["dead"].data.metrics)
        server.down()
        wait_for(lambda: os.path.exists(f"{folder}/dead/mlflow.jsonl"))
        time.sleep(1)
        process.send_signal(signal.SIGTERM)
        err = process.communicate()[1]
        check(process.returncode == 75 and err.count("mlflow") >= 1, err)
        server.up()
        sent = run("ds-report", "--replay-mlflow", f"{folder}/dead/mlflow.jsonl", "--format", "json").record["mlflow"]
        one = told()["dead"]
        check(one.info.status == "KILLED" and sent["run_id"] == one.info.run_id, one)
        check(steps(client, one.info.run_id, "train/loss") == logged(f"{folder}/dead"), "train/loss after the replay")
        print("ok   a server that died,", sent["points"], "points replayed")

        job = [*TINY, *watch, "--epochs", 60, "--run-dir", f"{folder}/killed", "--resume", "auto"]
        process = start("ds-train", *job)
        wait_for(lambda: os.path.exists(f"{folder}/killed/mlflow.id") and os.path.exists(f"{folder}/killed/last.h5"))
        process.kill()
        process.communicate()
        run("ds-train", *job)
        one = told()["killed"]
        check(one.info.status == "FINISHED", one)
        check(steps(client, one.info.run_id, "train/loss") == logged(f"{folder}/killed"), "train/loss after the kill")
        print("ok   a run that was killed and went on,", len(logged(f"{folder}/killed")), "points without a gap or a double")
    finally:
        server.down()


if __name__ == "__main__":
    if any(word in ("-h", "--help") for word in sys.argv[1:]):
        print(__doc__)
    else:
        with tempfile.TemporaryDirectory(prefix="ds-mlflow-") as folder:
            main(folder)
