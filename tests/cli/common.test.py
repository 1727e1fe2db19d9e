#!/usr/bin/env python3
"""What every tool does alike: answers, errors, streams, exit codes, schema and config that fit each other, and what needs no LibTorch.
(Manual pages: man.test.py. Completion: completion.test.py. configs/: configs.test.py.)"""
import json
import os
import re
import subprocess
import sys
import tempfile

try:
    import jsonschema
    import yaml
except ImportError:
    jsonschema = None

BIN = os.environ.get("DS_BIN", "build/bin")
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


def schemas(tool, name):
    schema = json.loads(run(tool, "--generate", "schema").stdout)
    check(schema["$schema"].endswith("2020-12/schema"), f"{name} schema")
    if jsonschema is None:
        return
    check_schema = jsonschema.Draft202012Validator
    check_schema.check_schema(schema)
    validator = check_schema(schema)
    faults = lambda config: [error.message for error in validator.iter_errors(config)]
    config = yaml.safe_load(run(tool, "--generate", "config").stdout)
    check(faults(config) == [], f"{name}: its own config is not of its schema: {faults(config)}")
    check(faults({}) == [] and faults(None) == [], f"{name}: an empty config is not of its schema")
    for wrong in ({"sed": 1}, {"seed": "many"}, {"seed": -1}, {"seed": 1.5}, {"threads": 5000}, {"reproducible": "yes"}, {"device": ["cpu"]}):
        check(faults(wrong), f"{name}: the schema takes {wrong}")
        path = os.path.join(folder, "wrong.json")  # JSON is YAML
        with open(path, "w") as file:
            json.dump(wrong, file)
        check(run(tool, "-c", path, "--print-config").returncode == 2, f"{name} takes {wrong}")
    if "optim" in config:
        check(faults({"optim": {"name": "sgd", "momentum": 0.5}}) == [], f"{name}: the schema refuses an option of sgd")
        check(faults({"optim": {"name": "adamw", "momentum": 0.5}}), f"{name}: the schema takes an option of another optimizer")
        check(faults({"optim": {"momentum": 0.5}}), f"{name}: the schema takes an option of an optimizer that is not chosen")
        check(faults({"optim": {"name": "adamm"}}), f"{name}: the schema takes an unknown optimizer")


def libraries(*command):
    """File names of the libraries that the loader looks for while a command runs."""
    result = subprocess.run(command, capture_output=True, text=True, cwd=folder, env={**os.environ, "LD_DEBUG": "libs"}, errors="replace")
    return result.returncode, {os.path.basename(path) for path in re.findall(r"find library=(\S+)", result.stderr)}


HEAVY = re.compile(r"libtorch|libc10|libds\.so|libgomp|libcud|libmkl|libonnx")


def light(tool, name):
    missing = os.path.join(folder, "missing.h5")
    answers = [(0, ["--help"]), (0, ["--version"]), (0, ["--list", "op"]), (0, ["--generate", "man"]), (0, ["--print-config"]), (2, ["--no-such-flag"]), (2, ["--seed=x"])]
    if name in ("ds-eval", "ds-bench", "ds-convert", "ds-report"):
        answers.append((3, [missing]))
    if name == "ds-convert":
        answers += [(0, [sample, "--inspect"]), (0, [sample, "--verify"]), (0, ["--diff", sample, sample])]
    for code, arguments in answers:
        returned, found = libraries(tool, *arguments)
        check("libds_base.so" in found and returned == code, f"{name} {arguments}: {returned}, libraries {sorted(found)}")
        heavy = sorted(filter(HEAVY.match, found))
        check(not heavy, f"{name} {arguments} loads {heavy}")


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
    sample = os.path.join(folder, "sample.h5")
    subprocess.run([os.path.join(BIN, "make_sample"), sample, "1.5"], check=True)
    if jsonschema is None:
        print("skipped: schemas are not validated, Python has no jsonschema and yaml")
    tools = sorted(name for name in os.listdir(BIN) if name.startswith("ds-"))
    check(len(tools) > 0, "no tools")
    for name in tools:
        tool = os.path.join(BIN, name)
        for part in (answers, schemas, configs, errors, closed_reader, light):
            part(tool, name)
    _, found = libraries(os.path.join(BIN, "ds-train"), "--data", "synthetic:train=8,val=0,test=0", "--epochs", "0", "--threads", "1")
    check({"libds.so", "libtorch_cpu.so"} <= found, f"the check of libraries sees nothing: {sorted(found)}")
    if "ds-train" in tools and not os.path.exists("/dev/nvidiactl"):
        result = run(os.path.join(BIN, "ds-train"), "--data", "synthetic:", "--device", "cuda")
        check(result.returncode == 4 and "no usable GPU" in result.stderr and "status: failed" in result.stdout, "no GPU", result)

print(f"{len(tools)} tools, {len(failures)} failures")
sys.exit(1 if failures else 0)
