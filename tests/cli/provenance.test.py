"""The chain of steps in a checkpoint: what each tool says of itself, and what --reproducible leaves out."""
import json
import os
import socket
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../support"))
from cli import check, main, run  # noqa: E402

SMALL = ["--threads", 1, "--format", "json", "--progress", "none", "--seed", 5]


def provenance(path):
    """The document as it lies in the file: canonical JSON in one block."""
    data = open(path, "rb").read()
    begin = data.index(b'[{"argv":')
    return json.JSONDecoder().raw_decode(data[begin:].decode("utf-8", "replace"))[0]


def chain(*more, cwd):
    """Calls of the tools that write a model, one on the other's output; names are relative to `cwd`. Returns (output, record) of each."""
    calls = [["ds-train", "--data", "digits", "--model", "cnn", "--model.width", 4, "--epochs", 1, "-o", "a.h5"],
             ["ds-train", "--init", "a.h5", "--epochs", 1, "-o", "b.h5"],
             ["ds-prune", "b.h5", "--ratio", 0.25, "--finetune-epochs", 1, "-o", "c.h5"],
             ["ds-distill", "c.h5", "--teacher", "a.h5", "--epochs", 1, "-o", "d.h5"],
             ["ds-quantize", "d.h5", "-o", "e.h5"],
             ["ds-distill", "e.h5", "--teacher", "a.h5", "--epochs", 1, "-o", "f.h5"],
             ["ds-prune", "f.h5", "--ratio", 0.25, "-o", "g.h5"]]
    return [(call, run(*call, *SMALL, *more, cwd=cwd).record) for call in calls]


def test_every_step_says_what_it_was(folder):
    done = chain(cwd=folder)
    digests = {}
    for number, (call, record) in enumerate(done):
        output = record["outputs"][0]
        digests[call[-1]] = output["digest"]
        steps = provenance(output["path"])
        step = steps[-1]
        said = f"{call}: {step}"
        check(step["tool"] == call[0] and step["argv"][1:len(call)] == [str(word) for word in call[1:]], said)
        check(step["version"] == record["version"] and step["config_digest"] == record["config_digest"], said)
        check(step["seed"] == 5 and step["device"] == "cpu" and step["isa"] == record["isa"] and step["threads"] == 1, said)
        check(step["host"] == socket.gethostname() and step["time"].startswith("20"), said)
        check(step["data"]["name"] == "digits" and len(step["data"]["fingerprint"]) == 64, said)
        check(step["parents"] == [entry["digest"] for entry in record.get("inputs", [])], said)
        check(0 <= step["metrics"]["val_top1"] <= 1 and step["metrics"]["parameters"] > 0, said)
        check(("before_val_top1" in step["metrics"]) == (number > 0), said)
    check([step["tool"] for step in steps] == ["ds-train", "ds-train", "ds-prune", "ds-distill", "ds-quantize", "ds-distill", "ds-prune"], steps)
    check(steps[3]["parents"] == [digests["c.h5"], digests["a.h5"]], steps[3])
    # What a step calls before is what the step before it calls after.
    check(steps[2]["metrics"]["before_val_top1"] == steps[1]["metrics"]["val_top1"], steps[1:3])
    check(steps[4]["metrics"]["before_val_top1"] == steps[3]["metrics"]["val_top1"], steps[3:5])


def test_reproducible_files_are_equal_bytes_and_tell_nothing_of_the_place(folder):
    files = []
    for place in ("here", "there"):
        at = os.path.join(folder, place)
        os.mkdir(at)
        done = chain("--reproducible", cwd=at)
        run("ds-convert", "g.h5", "--reproducible", "-o", "h.h5", cwd=at)
        run("ds-train", "--data", "digits", "--model", "mlp", "--epochs", 1, "--reproducible", "--run-dir", "run", *SMALL, cwd=at)
        names = [name for name in os.listdir(at) if name != "run"] + [f"run/{name}" for name in os.listdir(f"{at}/run")]
        files.append({name: open(f"{at}/{name}", "rb").read() for name in sorted(names)})
    made = [f"{name}.h5" for name in "abcdefgh"] + [f"run/{name}" for name in ("args.yaml", "best.h5", "last.h5", "metrics.csv", "metrics.jsonl", "report.html")]
    check(sorted(files[0]) == made, sorted(files[0]))
    for name, data in files[0].items():
        check(data == files[1][name], name, "differs")
        for word in (folder, socket.gethostname(), *(() if name.endswith(".csv") else ("latency", "samples_per_sec", "peak_mem", "elapsed"))):
            check(len(word) < 6 or word.encode() not in data, name, "holds", word)  # a short name of a host may stand in weights by chance
    check(all("time" not in step and "host" not in step for step in provenance(done[-1][1]["outputs"][0]["path"])), "times")


if __name__ == "__main__":
    main(__name__)
