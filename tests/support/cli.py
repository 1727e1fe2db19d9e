"""Runs the real binaries from the outside. A test is a function test_*(folder); main() runs them all, each in a folder of its own."""
import json
import os
import subprocess
import sys
import tempfile
import time
import traceback

BIN = os.environ.get("DS_BIN", os.path.join(os.path.dirname(__file__), "../../build/bin"))
SOURCE = os.environ.get("DS_SOURCE", os.path.join(os.path.dirname(__file__), "../.."))


class Result:
    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    @property
    def record(self):
        return json.loads(self.out)


def command(tool, *arguments):
    return [os.path.join(BIN, tool), *map(str, arguments)]


def run(tool, *arguments, expect=0, cwd=None, stdin=None, env=None):
    """Runs a tool and checks its exit code (None: any). stdin: bytes."""
    done = subprocess.run(command(tool, *arguments), capture_output=True, cwd=cwd, input=b"" if stdin is None else stdin, timeout=300,
                          env={**os.environ, **(env or {})})
    text = isinstance(done.stdout, bytes) and not done.stdout.startswith(b"\x89HDF")
    result = Result(done.returncode, done.stdout.decode() if text else done.stdout, done.stderr.decode())
    if expect is not None and result.code != expect:
        raise AssertionError(f"{tool} {' '.join(map(str, arguments))}: exit {result.code}, expected {expect}\n{result.err}\n{result.out[-2000:]}")
    return result


def start(tool, *arguments, **more):
    return subprocess.Popen(command(tool, *arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more)


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def loaded(process):
    """Whether the engine is there: signals have been looked after since before."""
    try:
        return "libds.so" in open(f"/proc/{process.pid}/maps").read()
    except OSError:
        return False


def check(condition, *said):
    if not condition:
        raise AssertionError(" ".join(map(str, said)))


def refused(result, *parts):
    """One line on stderr that begins with the tool or a place and has these parts."""
    lines = [line for line in result.err.splitlines() if "error:" in line]
    check(len(lines) == 1, "one line of error expected:", result.err)
    for part in parts:
        check(part in lines[0], repr(part), "expected in", lines[0])


def snapshot(folder):
    """What is in a folder: bytes of files, targets of links, kinds of the rest."""
    found = {}
    for place, folders, files in os.walk(folder):
        for name in folders + files:
            path = os.path.join(place, name)
            if os.path.islink(path):
                found[path] = ("link", os.readlink(path))
            elif os.path.isfile(path):
                found[path] = ("file", open(path, "rb").read())
            else:
                found[path] = ("other", os.stat(path).st_mode)
    return found


# What a library says of itself where nobody catches it.
INNARDS = ("Exception raised from", "frame #", "terminate called", "what():", "unexpected failure", "c10::", "at::", "json.exception", "Traceback")


def fails(call, expect, *parts, folder=None, lines=1, **more):
    """A call that fails as it should: exit code, `lines` lines of error and nothing else on stderr, with these parts in them, a record with
    `status: failed` on stdout or nothing, and every file of `folder` as it was."""
    before = snapshot(folder) if folder else {}
    result = run(*call, expect=expect, **more)
    said = " ".join(map(str, call))
    errors = [line for line in result.err.splitlines() if "error: " in line]
    check(len(errors) == lines, said, f"\n{lines} lines of error expected:", result.err)
    check(len(result.err.splitlines()) == lines, said, "\nnothing but errors expected:", result.err)
    for part in parts:
        check(str(part) in result.err, said, "\n", repr(part), "expected in", result.err)
    for part in INNARDS:
        check(part not in result.err, said, "\n", repr(part), "in", result.err)
    check(isinstance(result.out, str), said, "\nbytes of a checkpoint on stdout")
    check(result.out == "" or "status: failed\n" in result.out or json.loads(result.out)["status"] == "failed", said, "\non stdout:", result.out)
    if folder:
        after = snapshot(folder)
        check(before.keys() == after.keys(), said, "\nmade or lost", sorted(before.keys() ^ after.keys()))
        changed = [path for path in before if before[path] != after[path]]
        check(not changed, said, "\nchanged", changed)
    return result


def main(module):
    tests = [(name, f) for name, f in vars(sys.modules[module]).items() if name.startswith("test_") and callable(f)]
    wanted = sys.argv[1:]
    failed = 0
    for name, function in tests:
        if wanted and not any(word in name for word in wanted):
            continue
        begun = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="ds-cli-") as folder:
            try:
                function(folder)
                print(f"ok   {name} {time.monotonic() - begun:.1f} s", flush=True)
            except Exception:
                failed += 1
                print(f"FAIL {name}\n{traceback.format_exc()}", flush=True)
    sys.exit(1 if failed else 0)
