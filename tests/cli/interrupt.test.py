"""What has nothing to save ends at once when it is told to: exit code 130, one line, a record that says so, nothing written."""
import json
import os
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../support"))
from cli import check, loaded, main, start, wait_for  # noqa: E402
from lab import trained  # noqa: E402

MANY = "synthetic:shape=1x8x8,classes=10,train=100000,val=100000,test=10"  # seconds of work after the signal, were it not heard


def interrupted(folder, *call):
    for stop in (signal.SIGINT, signal.SIGTERM):
        process = start(*call, "--data", MANY, "--threads", 1, "--format", "json", "--progress", "none", "-o", f"{folder}/out.h5")
        wait_for(lambda: loaded(process) or process.poll() is not None)
        check(process.poll() is None, call, "is done already")
        process.send_signal(stop)
        out, err = process.communicate(timeout=120)
        check(process.returncode == 130, call, stop, process.returncode, err)
        check(err == f"{call[0]}: interrupted: stopped by a signal\n", err)
        check(json.loads(out)["status"] == "stopped", out)
        check(os.listdir(folder) == [], os.listdir(folder))


def test_quantize(folder):
    interrupted(folder, "ds-quantize", trained("cnn"), "--samples", 100000)


def test_prune_without_fine_tuning(folder):
    interrupted(folder, "ds-prune", trained("cnn"))


if __name__ == "__main__":
    main(__name__)
