#!/usr/bin/env python3
"""What every tool does alike: answers, errors, streams, exit codes, generated texts."""
import json
import os
import shutil
import subprocess
import sys
import tempfile

BIN = os.environ.get("DS_BIN", "build/bin")
SOURCE = os.environ.get("DS_SOURCE", ".")
failures = []


def run(*arguments, env=None, stdin=""):
    return subprocess.run(arguments, capture_output=True, text=True, env={**os.environ, **(env or {})}, input=stdin, cwd=folder)


def check(good, what, result=None):
    if not good:
        failures.append(what)
        print("FAIL", what, "" if result is None else f"rc={result.returncode}\n{result.stdout[:500]}\n{result.stderr[:500]}", file=sys.stderr)


def answers(tool, name):
    for flag in ("--help", "-h", "--help-all"):
        result = run(tool, flag)
        check(result.returncode == 0 and "usage: " + name in result.stdout and not result.stderr, f"{name} {flag}", result)
    result = run(tool, "--version")
    check(result.returncode == 0 and result.stdout == f"{name} 0.1.0\n", f"{name} --version", result)
    libraries = subprocess.run(["ldd", tool], capture_output=True, text=True).stdout
    check("torch" not in libraries and "libc10" not in libraries, f"{name} is linked to LibTorch")
    faults = run(tool, "--generate", "faults")
    check(faults.stdout == "", f"{name}: faults in the table of options: {faults.stdout}")


def generated(tool, name):
    page = run(tool, "--generate", "man")
    check(page.stdout.startswith(".\\\"") and ".SH EXIT STATUS" in page.stdout, f"{name} man", page)
    check(page.stdout == run(tool, "--generate", "man").stdout, f"{name} man twice")
    if shutil.which("mandoc"):
        lint = subprocess.run(["mandoc", "-Tlint", "-Wwarning"], input=page.stdout, capture_output=True, text=True)
        check(lint.returncode == 0, f"{name} man: {lint.stdout}")
    schema = json.loads(run(tool, "--generate", "schema").stdout)
    check(schema["$schema"].endswith("2020-12/schema"), f"{name} schema")
    for shell in ("bash", "zsh", "fish"):
        script = run(tool, "--generate", "complete-" + shell)
        check("memory.limit" in script.stdout and name in script.stdout, f"{name} {shell}", script)
        if shutil.which(shell):
            syntax = subprocess.run([shell, "-n"], input=script.stdout, capture_output=True, text=True)
            check(syntax.returncode == 0, f"{name} {shell}: {syntax.stderr}")


def configs(tool, name):
    text = run(tool, "--generate", "config")
    path = os.path.join(folder, "generated.yaml")
    with open(path, "w") as file:
        file.write(text.stdout)
    first, again = run(tool, "--print-config"), run(tool, "-c", path, "--print-config")
    strip = lambda out: [line.split("  #")[0].rstrip() for line in out.splitlines()]
    check(first.returncode == 0 and strip(first.stdout) == strip(again.stdout), f"{name} generated config loads back", again)


def errors(tool, name):
    for arguments, part in (
        (["--no-such-flag"], f"{name}: error: unknown flag '--no-such-flag'"),
        (["--thread", "3"], "(did you mean '--threads'?)"),
        (["--seed", "010"], "--seed: expected an integer without a leading zero"),
        (["--seed=-1"], "--seed: expected a number of at least 0, got -1"),
        (["--threads"], "--threads: needs a value"),
        (["--device", "gpu"], "--device: expected auto, cpu, cuda or cuda:N, got 'gpu'"),
        (["--progress", "bar"], "--progress: expected one of auto, plain, none, jsonl, got 'bar'"),
        (["--set", "sed=1"], "unknown key 'sed' (did you mean 'seed'?)"),
        (["--generate", "mann"], "(did you mean 'man'?)"),
    ):
        result = run(tool, *arguments)
        check(result.returncode == 2 and result.stdout == "" and part in result.stderr, f"{name} {arguments}", result)
    path = os.path.join(folder, "bad.yaml")
    with open(path, "w") as file:
        file.write("sed: 3\nthreads: many\nseed: 1\nseed: 2\n")
    result = run(tool, "-c", path)
    lines = result.stderr.splitlines()
    for line in (f"{path}:1:1: error: unknown key 'sed' (did you mean 'seed'?)", f"{path}:2:10: error: key 'threads': expected an integer, got 'many'",
                 f"{path}:4:1: error: duplicate key 'seed', first in line 3"):
        check(result.returncode == 2 and result.stdout == "" and line in lines, f"{name}: {line}", result)
    result = run(tool, "-c", os.path.join(folder, "missing.yaml"))
    check(result.returncode == 3 and result.stdout == "", f"{name} missing config", result)
    result = run(tool, env={"DS_OPT_SED": "1"})
    check(result.returncode == 2 and "DS_OPT_SED: no such option (did you mean 'DS_OPT_SEED'?)" in result.stderr, f"{name} DS_OPT_SED", result)


def closed_reader(tool, name):
    line = subprocess.run(["bash", "-c", f"set -o pipefail; '{tool}' --help-all | head -c 1"], capture_output=True, text=True, cwd=folder)
    check(line.returncode == 0 and line.stderr == "", f"{name} --help-all | head", line)


with tempfile.TemporaryDirectory() as folder:
    BIN = os.path.abspath(BIN)
    tools = sorted(name for name in os.listdir(BIN) if name.startswith("ds-"))
    check(len(tools) > 0, "no tools")
    for name in tools:
        tool = os.path.join(BIN, name)
        for part in (answers, generated, configs, errors, closed_reader):
            part(tool, name)
    if "ds-train" in tools and not os.path.exists("/dev/nvidiactl"):
        result = run(os.path.join(BIN, "ds-train"), "--data", "synthetic:", "--device", "cuda")
        check(result.returncode == 4 and "no usable GPU" in result.stderr and "status: failed" in result.stdout, "no GPU", result)
    for root, _, files in os.walk(os.path.join(SOURCE, "configs")):
        for file in files:
            head = open(os.path.join(root, file)).read().splitlines()[:1]
            if file.endswith(".yaml") and head and "ds-train" in head[0]:
                result = run(os.path.join(BIN, "ds-train"), "-c", os.path.join(root, file), "--print-config")
                check(result.returncode == 0, f"{file} loads", result)

print(f"{len(tools)} tools, {len(failures)} failures")
sys.exit(1 if failures else 0)
