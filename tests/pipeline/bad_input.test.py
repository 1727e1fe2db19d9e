"""Bad files and bad values at every tool: exit code, one line that names the file, nothing written, nothing lost, nothing that hangs or crashes."""
import atexit
import functools
import json
import os
import random
import shutil
import struct
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../support"))
from cli import BIN, SOURCE, check, command, fails, main, run, start  # noqa: E402

BUILD = os.environ.get("DS_BUILD", os.path.join(SOURCE, "build"))
SHIM = os.path.join(BUILD, "lib", "libds_fault.so")
SIGNATURE = b"\x89HDF\r\n\x1a\n"
TINY = "synthetic:shape=1x8x8,classes=3,train=32,val=8,test=8"
QUICK = ["--threads", 1, "--format", "json", "-q"]
NET = ["--model", "mlp", "--set", "model.hidden=[4]"]
BENCH = ["--rounds", 5, "--warmup", 0, "--min-time", 0, "--batch", 1]


@functools.cache
def models():
    """Good checkpoints, made once: `net`, `other` of four classes, `state` of a run that was stopped."""
    place = tempfile.mkdtemp(prefix="ds-bad-")
    atexit.register(shutil.rmtree, place)
    run("ds-train", "--data", TINY, *NET, "--epochs", 1, *QUICK, "-o", f"{place}/net.h5")
    run("ds-train", "--data", TINY.replace("classes=3", "classes=4"), *NET, "--epochs", 1, *QUICK, "-o", f"{place}/other.h5")
    run("ds-train", "--data", TINY, *NET, "--epochs", 1, *QUICK, "--run-dir", f"{place}/run")
    os.rename(f"{place}/run/last.h5", f"{place}/state.h5")
    return {name: f"{place}/{name}.h5" for name in ("net", "other", "state")}


def good(folder, name="net"):
    return shutil.copy(models()[name], f"{folder}/{name}.h5")


def spoil(kind, source, target):
    subprocess.run([os.path.join(BIN, "spoil"), kind, source, target], check=True)
    return target


def write(path, content):
    with open(path, "wb") as file:
        file.write(content)
    return path


def readers(bad, net, folder):
    """Every way in which a tool reads a checkpoint, with `bad` there: name -> call. The outputs are new files of `folder`."""
    out = f"{folder}/out.h5"
    return {
        "eval": ["ds-eval", bad, *QUICK],
        "prune": ["ds-prune", bad, *QUICK, "-o", out],
        "quantize": ["ds-quantize", bad, *QUICK, "-o", out],
        "student": ["ds-distill", bad, "--teacher", net, *QUICK, "-o", out],
        "teacher": ["ds-distill", net, "--teacher", bad, *QUICK, "-o", out],
        "bench": ["ds-bench", net, bad, *BENCH, *QUICK],
        "init": ["ds-train", "--init", bad, *QUICK, "-o", out],
        "rewrite": ["ds-convert", bad, "-o", out],
        "verify": ["ds-convert", "--verify", net, bad],
        "diff": ["ds-convert", "--diff", net, bad],
        "inspect": ["ds-convert", "--inspect", bad],
        "report": ["ds-report", net, bad, "-o", f"{folder}/out.html"],
    }


def resumers(place, net, folder):
    """Every way in which a tool goes on from a state, with the path that it is read from: name -> (path, call)."""
    out, fit = f"{folder}/out.h5", ["--resume", "auto", *QUICK]
    return {
        "train -o": (out + ".partial", ["ds-train", "--data", TINY, *NET, *fit, "-o", out]),
        "train --run-dir": (f"{place}/last.h5", ["ds-train", "--data", TINY, *NET, *fit, "--run-dir", place]),
        "prune": (out + ".partial", ["ds-prune", net, "--finetune-epochs", 1, *fit, "-o", out]),
        "distill": (out + ".partial", ["ds-distill", net, "--teacher", net, "--epochs", 1, *fit, "-o", out]),
    }


def tensor_flip(path, into):
    """One bit of a weight: the first tensor of the file begins where the bytes of the first float of a good copy stand."""
    data = bytearray(open(path, "rb").read())
    digest = run("ds-convert", path, "--inspect", "--format", "json").record["inputs"][0]["digest"]
    for at in range(len(data) - 4, 0, -64 if len(data) % 64 == 0 else -1):
        data[at] ^= 1
        write(into, data)
        result = run("ds-convert", "--verify", into, expect=None)
        if result.code == 3 and "/tensors/" in result.err and "is corrupt" in result.err:
            return into
        data[at] ^= 1
    raise AssertionError(f"no weight found in {path} of {digest}")


# Written by the function into a path; what the message has to say; tools that do not read so far (they read no tensor).
FAULTS = {
    "missing": (lambda path, net: None, "no such file", ()),
    "a folder": (lambda path, net: os.mkdir(path), "is a folder", ()),
    "a FIFO": (lambda path, net: os.mkfifo(path), "is a FIFO", ()),
    "a device": (lambda path, net: os.symlink("/dev/zero", path), "is not a regular file", ()),
    "a loop of links": (lambda path, net: os.symlink(path, path), "cannot be read: Too many levels of symbolic links", ()),
    "empty": (lambda path, net: write(path, b""), "is empty", ()),
    "text": (lambda path, net: write(path, b"hello\n"), "", ()),
    "random": (lambda path, net: write(path, random.Random(1).randbytes(5000)), "no HDF5 signature", ()),
    "a signature": (lambda path, net: write(path, SIGNATURE), "is truncated", ()),
    "garbage behind the signature": (lambda path, net: write(path, SIGNATURE + random.Random(2).randbytes(5000)), "is not a ds checkpoint", ()),
    "garbage behind a superblock": (lambda path, net: write(path, open(net, "rb").read()[:48] + random.Random(3).randbytes(os.path.getsize(net))),
                                    "is not a ds checkpoint, or corrupt", ()),
    **{f"cut at {share}": (lambda path, net, share=share: write(path, open(net, "rb").read()[:int(os.path.getsize(net) * share)]), "is truncated", ())
       for share in (0.001, 0.3, 0.6, 0.9)},
    "cut by one byte": (lambda path, net: write(path, open(net, "rb").read()[:-1]), "is truncated", ()),
    "HDF5 of somebody else": (lambda path, net: spoil("foreign", net, path), "HDF5 file without attributes", ()),
    "old HDF5 of somebody else": (lambda path, net: spoil("foreign-old", net, path), "superblock of version 0", ()),
    "a newer format": (lambda path, net: spoil("newer", net, path), "has checkpoint format 2, this build reads up to 1; use a newer ds", ()),
    "a zero-length tensor": (lambda path, net: spoil("zero", net, path), "tensors/zero: shape [3,0] has no elements", ()),
    "a weight that is not finite": (lambda path, net: spoil("nonfinite", net, path), "is not finite", ("inspect", "report")),
    "a bit of a weight": (lambda path, net: tensor_flip(net, path), "is corrupt", ("inspect", "report")),
}


def test_a_bad_file_at_every_tool(folder):
    net = good(folder)
    for fault, (make, part, blind) in FAULTS.items():
        bad = f"{folder}/bad.h5"
        make(bad, net)
        for name, call in readers(bad, net, folder).items():
            if name in blind:
                run(*call, "-n")
            else:
                said = {("report", "no HDF5 signature"): "neither"}.get((name, part), part)
                if part == "is a folder" and call[0] == "ds-convert":  # which may be one of Hugging Face
                    said = ""
                fails(call, 3, bad, said, folder=folder)
        if os.path.isdir(bad):
            os.rmdir(bad)
        elif os.path.lexists(bad):
            os.unlink(bad)


def test_a_bad_state_is_not_gone_on_from(folder):
    net, state = good(folder), models()["state"]
    place = f"{folder}/run"
    os.mkdir(place)
    for path, call in resumers(place, net, folder).values():
        for fault in ("a folder", "a FIFO", "empty", "cut at 0.6", "garbage behind the signature", "a newer format", "a weight that is not finite"):
            make, part, _ = FAULTS[fault]
            make(path, state)
            fails(call, 3, path, part, "--resume no begins anew", folder=folder)
            os.rmdir(path) if os.path.isdir(path) else os.unlink(path)
        shutil.copy(net, path)  # a model, but no state
        fails(call, 3, path, "holds no state of a training run", "--resume no begins anew", folder=folder)
        os.unlink(path)
    run("ds-train", "--data", TINY, *NET, "--epochs", 1, *QUICK, "--run-dir", place)
    for more, part in ((["--lr", 0.5], "optim.lr was"), (["--seed", 7], "seed was 42, is 7"),
                       (["--data", TINY.replace("train=32", "train=31")], "data.name was")):
        fails(["ds-train", "--data", TINY, *NET, "--epochs", 1, *QUICK, "--run-dir", place, "--resume", "auto", *more], 2, place, part, folder=folder)


def test_a_bit_flip_anywhere_is_refused_or_changes_nothing(folder):
    net, bad = good(folder), f"{folder}/bad.h5"
    wanted = run("ds-eval", net, *QUICK).record
    data, source, unnoticed = open(net, "rb").read(), random.Random(4), []
    for position in [source.randrange(len(data) * 8) for _ in range(200)]:
        flipped = bytearray(data)
        flipped[position // 8] ^= 1 << position % 8
        write(bad, flipped)
        result = run("ds-convert", "--verify", bad, "--format", "json", expect=None)
        check(result.code in (0, 3), position, result.code, result.err)
        if result.code == 0:
            check(result.record["inputs"][0]["digest"] == wanted["inputs"][0]["digest"], "bit", position, "makes another model")
            unnoticed.append(position)
            continue
        check(bad in result.err, position, result.err)
        fails(["ds-eval", bad, *QUICK], 3, bad, folder=folder)
    check(len(unnoticed) < 80, len(unnoticed), "of 200 bits are of no account")
    for position in unnoticed[:4]:
        flipped = bytearray(data)
        flipped[position // 8] ^= 1 << position % 8
        write(bad, flipped)
        record = run("ds-eval", bad, *QUICK).record
        # All that a run does not measure anew each time.
        found, before = ({name: value for name, value in r["metrics"].items() if not name.startswith(("latency_", "samples_per_sec", "peak_mem"))}
                         for r in (record, wanted))
        check(found == before and record["metrics"].keys() == wanted["metrics"].keys() and record["inputs"][0]["digest"] == wanted["inputs"][0]["digest"], position, record)


def test_checkpoints_whose_documents_do_not_fit(folder):
    """Sums and structure are right, what is told is not: as another program might write it."""
    net, bad, out = good(folder), f"{folder}/bad.h5", f"{folder}/out.h5"
    for kind, code, part, calls in (
            ("no-graph", 3, "expected an object", [["ds-eval", bad], ["ds-distill", net, "--teacher", bad, "-o", out]]),
            ("no-config", 2, "does not say which data", [["ds-eval", bad], ["ds-prune", bad, "-o", out]]),
            ("odd-config", 3, "'data.name' is not a text", [["ds-eval", bad]]),
            ("odd-augment", 3, "'data.augment' is not a list of texts", [["ds-prune", bad, "--finetune-epochs", 1, "-o", out]]),
            ("odd-preprocessing", 3, "mean", [["ds-eval", bad], ["ds-quantize", bad, "-o", out]]),
            ("lost-tensor", 3, "the graph names this tensor, the file lacks it", [["ds-eval", bad], ["ds-bench", net, bad, *BENCH]]),
            ("other-shape", 3, "the graph says float32[4]", [["ds-train", "--init", bad]])):
        spoil(kind, net, bad)
        for call in calls:
            fails([*call, *QUICK], code, part, folder=folder)
        os.unlink(bad)


def stdin_calls(folder, net):
    out = f"{folder}/out.h5"
    return [["ds-eval", "-"], ["ds-prune", "-", "-o", out], ["ds-quantize", "-", "-o", out], ["ds-distill", "-", "--teacher", net, "-o", out],
            ["ds-distill", net, "--teacher", "-", "-o", out], ["ds-bench", net, "-"], ["ds-train", "--init", "-"], ["ds-convert", "-", "--inspect"],
            ["ds-convert", "--verify", "-"], ["ds-convert", "-", "-o", out], ["ds-report", "-", "-o", f"{folder}/out.html"]]


def record_of(**more):
    return json.dumps({"schema": "ds-record/1", "tool": "ds-train", **more}).encode()


def test_a_bad_record_on_stdin(folder):
    net = good(folder)
    digest = run("ds-convert", net, "--inspect", "--format", "json").record["inputs"][0]["digest"]
    os.mkfifo(f"{folder}/fifo.h5")
    done = lambda path, **more: record_of(status="done", outputs=[{"name": "model", "path": path, **more}])  # noqa: E731
    cases = {
        "stdin is empty": b"",
        "status 'failed', expected 'done'": record_of(status="failed"),
        "status 'stopped', expected 'done'": b"schema: ds-record/1\nstatus: stopped\n",
        "names no output": record_of(status="done"),
        "relative path 'net.h5', expected an absolute one": done("net.h5"),
        "no such file": done(f"{folder}/none.h5"),
        "is a FIFO": done(f"{folder}/fifo.h5"),
        "is a folder": done(folder),
        "has root digest": done(net, digest="0" * 64),
        "neither a checkpoint": b"\x00\x01garbage",
        "truncated": open(net, "rb").read()[:1000],
    }
    for part, stdin in cases.items():
        for call in (["ds-convert", "-", "--inspect"], ["ds-report", "-", "-o", f"{folder}/out.html"]):
            if call[0] == "ds-report" and part in ("names no output", "neither a checkpoint"):
                continue  # takes records of ds-bench and ds-eval, too
            fails(call, 3, part, folder=folder, stdin=stdin, cwd=folder)
    for i, call in enumerate(stdin_calls(folder, net)):
        part = ("stdin is empty", "status 'failed', expected 'done'")[i % 2]
        fails([*call, *(QUICK if call[0] != "ds-convert" else [])], 3, part, folder=folder, stdin=cases[part])
    run("ds-eval", "-", *QUICK, stdin=done(net, digest=digest))


def test_usage_at_every_tool(folder):
    net, other, out = good(folder), good(folder, "other"), f"{folder}/out.h5"
    for call, parts in (
            (["ds-prune", net, "--ratio", 1.5, "-o", out], ["--ratio", "1.5", "[0, 1)"]),
            (["ds-prune", net, "--ratio", "half", "-o", out], ["--ratio", "expected a number, got 'half'"]),
            (["ds-quantize", net, "--bits", 3, "-o", out], ["--bits", "3"]),
            (["ds-distill", net, "--teacher", net, "--temperature", 0, "-o", out], ["temperature", "above 0"]),
            (["ds-distill", net, "--teacher", net, "--soft-weight", 1.5, "-o", out], ["soft-weight", "1.5"]),
            (["ds-train", "--data", "digitz"], ["unknown dataset 'digitz' (did you mean 'digits'?)"]),
            (["ds-eval", net, "--data", "digitz"], ["unknown dataset 'digitz'"]),
            (["ds-prune", net, "--data", "minst5k", "-o", out], ["unknown dataset 'minst5k' (did you mean 'mnist5k'?)"]),
            (["ds-quantize", net, "--data", "idx", "-o", out], ["'idx' without a folder"]),
            (["ds-distill", net, "--teacher", net, "--data", "synthetic:clases=3", "-o", out], ["clases"]),
            (["ds-distill", "-", "--teacher", "-", "-o", out], ["two inputs are -"]),
            (["ds-bench", "-", "-"], ["two inputs are -"]),
            (["ds-convert", "--diff", "-", "-"], ["two inputs are -"]),
            (["ds-convert", "--verify", "-", "-"], ["two inputs are -"]),
            (["ds-report", "-", "-"], ["two inputs are -"]),
            (["ds-bench", net, "-o", "-"], ["--output", "expected a file, got '-'"]),
            (["ds-eval", net, "--predictions", "-"], ["--predictions", "expected a file, got '-'"]),
            (["ds-bench", net, other, "--engine", "eager,eager,eager"], ["--engine"]),
            (["ds-train", "--data", TINY, "--resume", "maybe"], ["--resume", "maybe"])):
        fails(call, 2, *parts, folder=folder, cwd=folder)


def writers(net, teacher, out):
    """Every way in which a tool writes a file: name -> call, without the file."""
    return {
        "train": ["ds-train", "--data", TINY, *NET, "--epochs", 1, *QUICK, "-o", out],
        "prune": ["ds-prune", net, *QUICK, "-o", out],
        "quantize": ["ds-quantize", net, *QUICK, "-o", out],
        "distill": ["ds-distill", net, "--teacher", teacher, "--epochs", 1, *QUICK, "-o", out],
        "convert": ["ds-convert", net, "-o", out],
        "report": ["ds-report", net, "-o", out],
        "bench": ["ds-bench", net, *BENCH, *QUICK, "-o", out],
        "predictions": ["ds-eval", net, *QUICK, "--predictions", out],
    }


def test_an_output_that_is_an_input_or_exists(folder):
    net, teacher = good(folder), good(folder, "other")
    os.mkdir(f"{folder}/sub")
    os.symlink("net.h5", f"{folder}/link.h5")
    os.link(net, f"{folder}/twin.h5")
    os.symlink("sub/../net.h5", f"{folder}/way.h5")
    for same in (net, f"{folder}/./net.h5", f"{folder}/sub/../net.h5", f"{folder}/link.h5", f"{folder}/twin.h5", f"{folder}/way.h5"):
        calls = writers(net, teacher, same)
        calls["train"] = ["ds-train", "--init", net, *QUICK, "-o", same]
        calls["teacher"] = ["ds-distill", teacher, "--teacher", net, *QUICK, "-o", same]
        for call in calls.values():
            fails([*call, "-f"], 2, same, "output is also an input", folder=folder)
    fails(["ds-prune", "net.h5", "-f", "-o", net], 2, "output is also an input", folder=folder, cwd=folder)
    theirs = write(f"{folder}/theirs.h5", b"mine")
    for call in writers(net, teacher, theirs).values():
        fails(call, 2, theirs, "exists; -f overwrites it", folder=folder)
    for call in writers(net, teacher, f"{folder}/sub").values():
        if call[0] != "ds-convert":  # which makes it one of Hugging Face
            fails([*call, "-f"], 2, f"{folder}/sub", "is a folder", folder=folder)
    os.mkfifo(f"{folder}/fifo.h5")
    for call in writers(net, teacher, f"{folder}/fifo.h5").values():
        fails([*call, "-f"], 2, f"{folder}/fifo.h5", "is not a regular file", folder=folder)


def test_a_record_takes_the_place_of_a_record_only(folder):
    net, config = good(folder), write(f"{folder}/c.yaml", b"seed: 1\n")
    os.symlink("net.h5", f"{folder}/link.h5")
    for call, part in ((["ds-eval", net, "--record", net, "-f"], "is both --record and MODEL"),
                       (["ds-eval", net, "--record", f"{folder}/./link.h5", "-f"], "is both --record and MODEL"),
                       (["ds-eval", net, "-c", config, "--record", config], "is both --record and --config"),
                       (["ds-prune", net, "-o", f"{folder}/o.h5", "--record", f"{folder}/o.h5"], "is both --record and --output"),
                       (["ds-convert", "--inspect", net, "--record", config], "exists and is no record; -f overwrites it"),
                       (["ds-convert", "--inspect", net, "--record", folder], "is not a regular file"),
                       (["ds-convert", "--inspect", net, "--record", "/dev/null"], "is not a regular file")):
        fails(call, 2, part, folder=folder, lines=2 if part.endswith(("MODEL", "--config")) and "-f" not in call else 1)
    fails(["ds-convert", "--inspect", net, "--record", f"{folder}/none/r.yaml"], 4, "no folder", folder=folder)
    for _ in range(2):
        run("ds-convert", "--inspect", net, "--record", f"{folder}/r.yaml")
    check(os.path.getsize(f"{folder}/r.yaml") > 100, "no record")


def test_bytes_are_not_written_to_a_terminal(folder):
    import pty

    net = good(folder)
    for call in writers(net, net, "-").values():
        if call[0] in ("ds-bench", "ds-eval"):
            continue
        parent, child = pty.openpty()
        done = subprocess.run(command(*call), stdin=subprocess.DEVNULL, stdout=child, stderr=subprocess.PIPE, timeout=60)
        os.close(child)
        os.close(parent)
        check(done.returncode == 2 and b"stdout is a terminal" in done.stderr and done.stderr.count(b"\n") == 1, call, done)
    parent, child = pty.openpty()  # nobody types a checkpoint
    done = subprocess.run(command("ds-eval", "-"), stdin=child, capture_output=True, timeout=60)
    os.close(child)
    os.close(parent)
    check(done.returncode == 2 and b"stdin is a terminal" in done.stderr, done)


def test_a_place_that_cannot_be_written(folder):
    net = good(folder)
    for place, part in ((f"{folder}/none/out", "does not exist"), (f"{net}/out", "is not a folder"), ("/proc/out", "is not writable")):
        for call in writers(net, net, place + ".h5").values():
            fails(call, 4, place, part, folder=folder)
    for run_dir in (f"{net}/run", "/proc/run"):
        fails(["ds-train", "--data", TINY, *NET, *QUICK, "--run-dir", run_dir], 4, run_dir, "cannot be made", folder=folder)
    fault = {"LD_PRELOAD": SHIM, "DS_FAULT": "open:1+:eacces", "DS_FAULT_PATH": folder}
    for call in writers(net, net, f"{folder}/out.h5").values():
        fails(call, 4, f"{folder}/out.h5", "is not writable: Permission denied", folder=folder, env=fault)


def test_a_full_disk(folder):
    net = good(folder)
    for call in writers(net, net, f"{folder}/out.h5").values():
        fault = {"LD_PRELOAD": SHIM, "DS_FAULT": "write:1+:enospc", "DS_FAULT_PATH": folder}
        fails(call, 4, f"{folder}/out.h5", "cannot be written: No space left on device", folder=folder, env=fault)
    fault["DS_FAULT"] = "fsync:1:eio"
    fails(writers(net, net, f"{folder}/out.h5")["convert"], 4, "cannot be synced to disk: Input/output error", folder=folder, env=fault)
    fault["DS_FAULT"] = "write:1+:enospc"
    fails(["ds-convert", "--inspect", net, "--record", f"{folder}/r.yaml"], 4, f"{folder}/r.yaml", "No space left on device", folder=folder, env=fault)


def test_limits_of_the_process(folder):
    """A limit on the size of files is as a full disk; one on memory that LibTorch does not fit in is told, too."""
    net, out = good(folder), f"{folder}/out.h5"
    line = 'ulimit {} && exec "$0" "$@"'
    limited = lambda limit, call: subprocess.run(["bash", "-c", line.format(limit), *command(*call)], capture_output=True, timeout=120)  # noqa: E731
    before = sorted(os.listdir(folder))
    for call in (["ds-convert", net, "-o", out], ["ds-prune", net, *QUICK, "-o", out]):
        done = limited("-f 4", call)
        check(done.returncode == 4 and b"cannot be written: File too large" in done.stderr and done.stderr.count(b"\n") == 1, done)
    done = limited("-v 150000", ["ds-eval", net, *QUICK])
    check(done.returncode == 4 and done.stderr.startswith(b"ds-eval: error: libds.so: cannot be loaded") and done.stderr.count(b"\n") == 1, done)
    check(sorted(os.listdir(folder)) == before, os.listdir(folder))


def test_a_disk_that_fills_up_during_a_run_leaves_the_last_state(folder):
    call = ["ds-train", "--data", TINY, *NET, "--epochs", 3, *QUICK, "--run-dir", f"{folder}/run"]
    seen = set()
    for k in (1, 4, 9, 16, 25, 36):
        shutil.rmtree(f"{folder}/run", ignore_errors=True)
        result = run(*call, expect=None, env={"LD_PRELOAD": SHIM, "DS_FAULT": f"write:{k}+:enospc", "DS_FAULT_PATH": folder})
        if result.code == 0 and k > 9:  # the run writes less often than that
            break
        check(result.code == 4, k, result.code, result.err)
        check(result.err.count("error: ") == 1 and "No space left on device" in result.err, result.err)
        left = sorted(os.listdir(f"{folder}/run"))
        known = ("args.yaml", "best.h5", "last.h5", "metrics.csv", "metrics.jsonl", "report.html")
        check(all(name in known or name.startswith("events.out.tfevents.") for name in left), k, left)
        seen.add("last.h5" in left)
        if "last.h5" in left:
            run("ds-convert", "--verify", f"{folder}/run/last.h5")
        run(*call, "--resume", "auto")
    check(seen == {True, False}, "no run failed before, or none behind its first state")


def test_too_little_memory_and_no_gpu(folder):
    net = good(folder)
    calls = writers(net, net, f"{folder}/out.h5")
    for name in ("train", "prune", "quantize", "distill", "bench", "predictions"):
        fails([*calls[name], "--memory-limit", "1KiB"], 4, "limit", "raise --memory-limit", folder=folder)
        if not os.path.exists("/dev/nvidiactl"):
            fails([*calls[name], "--device", "cuda"], 4, "--device", "no usable GPU", "use --device cpu", folder=folder)
    fails([*calls["train"], "--memory-limit", "lots"], 2, "memory", "lots", folder=folder)


def idx(values, *dims):
    return struct.pack(f">{1 + len(dims)}I", 0x800 + len(dims), *dims) + bytes(values)


def idx_folder(path, classes=3):
    os.mkdir(path)
    for split, n in (("train", 12), ("t10k", 6)):
        write(f"{path}/{split}-images-idx3-ubyte", idx([i % 251 for i in range(n * 64)], n, 8, 8))
        write(f"{path}/{split}-labels-idx1-ubyte", idx([i % classes for i in range(n)], n))
    return path


def test_image_files_that_are_not_what_they_say(folder):
    net, data = good(folder), idx_folder(f"{folder}/data")
    images, labels = f"{data}/t10k-images-idx3-ubyte", f"{data}/t10k-labels-idx1-ubyte"
    whole = {path: open(path, "rb").read() for path in (images, labels)}
    cases = [(images, whole[images][:-1], "399 bytes, expected 400 as its header says (6x8x8)"),
             (images, whole[images][:9], "9 bytes, expected a header of 16"),
             (images, b"", "0 bytes"), (images, whole[labels], "expected a header of 16"), (labels, whole[labels][:-2], "12 bytes, expected 14"),
             (labels, idx([0, 1, 2, 0, 1, 9], 6), "label 9 of sample 5, expected 0 to 2"), (labels, idx([0, 1], 2), "2 labels, expected 6")]
    for path, content, part in cases:
        write(path, content)
        fails(["ds-eval", net, "--data", f"idx:{data}", *QUICK], 3, path, part, folder=folder)
        write(path, whole[path])
    os.unlink(images)
    os.mkfifo(images)
    fails(["ds-train", "--data", f"idx:{data}", *QUICK], 3, images, "is a FIFO", folder=folder)
    os.unlink(images)
    os.symlink(images, images)
    fails(["ds-train", "--data", f"idx:{data}", *QUICK], 3, data, "has no test-images-idx3-ubyte", folder=folder)
    for place, part in ((f"{folder}/none", "no such folder"), (net, "not a folder"), ("/" + "n" * 5000, "no such folder")):
        fails(["ds-train", "--data", f"idx:{place}", *QUICK], 3, part, folder=folder)


def test_cifar_files_that_are_not_what_they_say(folder):
    data = f"{folder}/cifar"
    os.mkdir(data)
    one = lambda label: bytes([label]) + bytes(3072)  # noqa: E731
    for name in [f"data_batch_{i}.bin" for i in range(1, 6)] + ["test_batch.bin"]:
        write(f"{data}/{name}", one(1) + one(2))
    path = f"{data}/data_batch_3.bin"
    for content, part in ((one(1) + one(2)[:-1], "6145 bytes, expected a multiple of 3073"), (one(1), "3073 bytes, expected 6146 as in"),
                          (b"", "holds no images"), (one(1) + one(77), "label 77 of sample 1, expected 0 to 9")):
        write(path, content)
        fails(["ds-train", "--data", f"cifar10:{data}", *QUICK, "-o", f"{folder}/out.h5"], 3, path, part, folder=folder)
    os.unlink(path)
    fails(["ds-train", "--data", f"cifar10:{data}", *QUICK], 3, data, "has no data_batch_3.bin", folder=folder)


def test_classes_and_shapes_that_do_not_fit(folder):
    net, other, out = good(folder), good(folder, "other"), f"{folder}/out.h5"
    more, larger = TINY.replace("classes=3", "classes=5"), TINY.replace("1x8x8", "1x9x8")
    fails(["ds-distill", net, "--teacher", other, *QUICK, "-o", out], 3, other, "4 classes, the student has 3", folder=folder)
    for i, call in enumerate((["ds-eval", net], ["ds-prune", net, "-o", out], ["ds-quantize", net, "-o", out], ["ds-train", "--init", net, "-o", out],
                              ["ds-distill", net, "--teacher", net, "-o", out], ["ds-bench", net, *BENCH])):
        data, part = ((more, "tells 3 classes apart"), (larger, "has images of 1x9x8"))[i % 2]
        fails([*call, "--data", data, *QUICK], 3, net, part, folder=folder)
    fails(["ds-bench", net, other, *BENCH, *QUICK], 3, "other.h5", "tells 4 classes apart", folder=folder)
    empty = TINY.replace("test=8", "test=0")
    fails(["ds-eval", net, "--data", empty, *QUICK], 3, "split 'test' is empty", folder=folder)


def test_a_loss_that_is_not_finite(folder):
    net, out = good(folder), f"{folder}/out.h5"
    for call in (["ds-train", "--data", TINY, *NET, "--epochs", 5, "-o", out], ["ds-prune", net, "--finetune-epochs", 5, "-o", out],
                 ["ds-distill", net, "--teacher", net, "--epochs", 5, "-o", out]):
        fails([*call, *QUICK, "--lr", "1e30", "--batch-size", 8], 1, "fc", "not finite", "lower optim.lr", folder=folder)


def test_one_class_and_batches_larger_than_the_data(folder):
    data = TINY.replace("classes=3", "classes=1")
    a, b, c, d = (f"{folder}/{name}.h5" for name in "abcd")
    large = ["--batch-size", 1000, *QUICK]
    check(run("ds-train", "--data", data, *NET, "--epochs", 2, *large, "-o", a).record["metrics"]["steps"] == 2, "one step an epoch expected")
    run("ds-prune", a, "--finetune-epochs", 1, *large, "-o", b)
    run("ds-distill", b, "--teacher", a, "--epochs", 1, *large, "-o", c)
    run("ds-quantize", c, "--samples", 1000, *large, "-o", d)
    for path in (a, b, c, d):
        check(run("ds-eval", path, *large).record["metrics"]["test_top1"] == 1, path)
    run("ds-bench", a, d, *BENCH[:-1], 100, *QUICK)


def test_a_damaged_study(folder):
    study, trial = f"{folder}/study", "trials/000001"
    space = write(f"{folder}/space.yaml", b"metric: {name: x, goal: maximize}\nparameters: {a: {type: int, low: 1, high: 9}, b: {type: bool}}\n")
    run("ds-tune", "init", "--space", space, "-o", study)
    run("ds-tune", "ask", study)
    run("ds-tune", "tell", study, "--trial", 1, "--value", 0.5)
    asked = json.load(open(f"{study}/{trial}/ask.json"))
    cases = {"study.json": ["", "{", "[]", '{"schema": 7}', '{"schema": "ds-study/2"}', '{"schema": "ds-study/1", "space": [], "seed": 1, "sampler": {}}'],
             f"{trial}/ask.json": ["", "[1]", "{}", json.dumps({**asked, "parameters": {"a": 3}}), json.dumps({**asked, "parameters": {"a": "x", "b": True}}),
                                   json.dumps({**asked, "parameters": {"a": 3, "b": "green"}}), json.dumps({**asked, "seen": ["x"]})],
             f"{trial}/result.json": ["", "7", "{}", '{"status": "lost"}', '{"status": "done"}', '{"status": "done", "value": "high"}', '{"status": 1}']}
    for name, texts in cases.items():
        whole = open(f"{study}/{name}").read()
        for text in texts:
            open(f"{study}/{name}", "w").write(text)
            for call in (["ds-tune", "status", study], ["ds-tune", "best", study]):
                fails(call, 3, os.path.dirname(name) if name != "study.json" else name, folder=folder)
        fails(["ds-tune", "run", "-o", study, "--trials", 2, "--", "ds-train", "-c", "{config}"], 3, study, folder=folder)
        os.unlink(f"{study}/{name}")
        os.mkfifo(f"{study}/{name}")
        fails(["ds-tune", "status", study], 3, name, "is a FIFO", folder=folder)
        os.unlink(f"{study}/{name}")
        open(f"{study}/{name}", "w").write(whole)
    run("ds-tune", "best", study)
    for place, code, part in ((space, 2, "is a file, expected a folder"), ("/proc/study", 4, "cannot be made"), (f"{space}/study", 4, "cannot be made")):
        fails(["ds-tune", "run", "--space", space, "-o", place, "--", "ds-train", "-c", "{config}"], code, place, part, folder=folder)
    fails(["ds-tune", "status", folder], 3, folder, "is no study", folder=folder)
    fails(["ds-tune", "ask", study], 4, study, "No space left on device", folder=folder,
          env={"LD_PRELOAD": SHIM, "DS_FAULT": "write:1+:enospc", "DS_FAULT_PATH": folder})


def test_names_of_all_kinds(folder):
    net, latin = good(folder), os.fsencode(folder).decode() + "/b\udcff.h5"
    shutil.copy(net, latin)
    run("ds-prune", latin, *QUICK, "-o", latin.replace("/b", "/c"))  # the chain has U+FFFD for what is not UTF-8
    run("ds-convert", "--verify", latin.replace("/b", "/c"))
    check("\ufffd" in run("ds-convert", "--inspect", latin.replace("/b", "/c"), "--format", "json").out, "no trace of the name")
    result = fails(["ds-eval", f"{folder}/a\nb\x1b[31m.h5"], 3, "a\\nb\\x1b[31m.h5: no such file", folder=folder)
    check("\x1b" not in result.err, result.err)
    fails(["ds-eval", "n" * 5000], 3, "File name too long", folder=folder)
    fails(["ds-prune", net, "-o", f"{folder}/" + "n" * 253 + ".h5"], 4, "too long a name", folder=folder)
    fails(["ds-prune", net, "-o", f"{folder}/" + "n" * 246 + ".h5"], 4, "too long a name", folder=folder)
    for _ in range(2):
        run("ds-convert", net, "-f", "-o", f"{folder}/" + "n" * 244 + ".h5")


def test_descriptors_that_are_closed_and_a_folder_that_is_gone(folder):
    net, out = good(folder), f"{folder}/out.h5"
    line = lambda words, rest: subprocess.run(["bash", "-c", f'"$0" "$@" {rest}', *command(*words)], capture_output=True, timeout=120, cwd=folder)  # noqa: E731
    done = line(["ds-convert", net, "-o", "-"], ">&-")
    check(done.returncode == 4 and b"stdout" in done.stderr, done)
    done = line(["ds-eval", "-", "-q"], "<&-")
    check(done.returncode == 3 and b"stdin" in done.stderr and done.stderr.count(b"\n") == 1, done)
    done = line(["ds-train", "--init", net, "--epochs", 2, "--progress", "plain", "-o", out], "<&- 2>&-")
    check(done.returncode == 0, done)
    run("ds-convert", "--verify", out)
    # A child's stdout is a file, also where that file would have become descriptor 1.
    write(f"{folder}/space.yaml", b"metric: {name: steps, goal: maximize}\nparameters: {optim.lr: {type: float, low: 0.001, high: 0.1}}\n")
    study = ["ds-tune", "run", "--space", f"{folder}/space.yaml", "--trials", 1, "-o", f"{folder}/study", "--",
             *command("ds-train", "-c", "{config}", "--data", TINY, *NET, "--epochs", 1)]
    done = line(study, "<&- >&-")
    check(done.returncode == 4 and b"stdout: cannot be written" in done.stderr, done)
    check(run("ds-tune", "status", f"{folder}/study", "--format", "json").record["counts"] == {"done": 1}, done)
    gone = ["bash", "-c", 'mkdir gone && cd gone && rmdir ../gone && "$0" "$@"', *command("ds-convert", net, "-o", out, "-f", "--record", f"{folder}/r.yaml")]
    done = subprocess.run(gone, capture_output=True, timeout=60, cwd=folder)
    check(done.returncode == 0, done)
    done = subprocess.run(gone[:3] + command("ds-convert", "net.h5", "-o", "out.h5", "--record", "r.yaml"), capture_output=True, timeout=60, cwd=folder)
    check(done.returncode in (3, 4) and done.stderr.count(b"error: ") == done.stderr.count(b"\n") and b"unexpected" not in done.stderr, done)


def test_a_reader_that_went_away(folder):
    net = good(folder)
    for call, code in ((["ds-prune", net, "-o", "-"], 4), (["ds-quantize", net, "-o", "-"], 4), (["ds-eval", net], 0),
                       (["ds-prune", net, "-o", f"{folder}/out.h5"], 0)):
        process = start(*call, "--threads", 1, "-q")
        process.stdout.close()
        said = process.stderr.read()
        process.stderr.close()
        check(process.wait(60) == code, call, process.returncode, said)
        check(("the reader of the pipe has gone" in said) == (code == 4), call, said)
    run("ds-convert", "--verify", f"{folder}/out.h5")


if __name__ == "__main__":
    main(__name__)
