"""Bad YAML at every tool: exit 2 (3 where the file cannot be read), the place as file:line:column, what was expected, and nothing written."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../support"))
from cli import BIN, check, fails, main, run  # noqa: E402

TOOLS = sorted(name for name in os.listdir(BIN) if name.startswith("ds-"))

# Text of a config that every tool reads, and what is said of it.
COMMON = {
    "memory:\n\tlimit: 1G\n": "2:1: error: tab in the indentation; use spaces",
    "seed: 1\nthreads: 2\nseed: 3\n": "3:1: error: duplicate key 'seed', first in line 1",
    "memory: {limit: 1G, limit: 2G}\n": "1:21: error: duplicate key 'limit', first in line 1",
    "sed: 1\n": "1:1: error: unknown key 'sed' (did you mean 'seed'?)",
    "memory: {limt: 1G}\n": "1:10: error: unknown key 'memory.limt' (did you mean 'memory.limit'?)",
    "force: true\n": "1:1: error: 'force' is no part of a config; give it as --force",
    "threads: many\n": "1:10: error: key 'threads': expected an integer, got 'many'",
    "threads: 2.5\n": "1:10: error: key 'threads': expected an integer, got '2.5'",
    "seed: [1]\n": "1:7: error: key 'seed': expected an integer, got a list",
    "seed: {a: 1}\n": "1:1: error: key 'seed': expected an integer, got a map",
    "reproducible: yes\n": "1:15: error: key 'reproducible': expected true or false, got 'yes'; write true",
    "seed: 007\n": "1:7: error: key 'seed': expected an integer without a leading zero, got '007'; write 7",
    "seed: -1\n": "1:7: error: key 'seed': expected a number of at least 0, got -1",
    "threads: 5000\n": "1:10: error: key 'threads': expected a number in [0, 4096], got 5000",
    "seed: 99999999999999999999\n": "1:7: error: key 'seed': expected an integer, got '99999999999999999999'",
    "memory: &loop {limit: 1}\n": "1:9: error: anchors (&name) are not supported; write the value where it is needed",
    "seed: *other\n": "1:7: error: the referenced anchor is not defined",
    "device: " + "[" * 300 + "]" * 300 + "\n": "1:72: error: nested deeper than 64 levels",
    "".join(" " * i + "a:\n" for i in range(100)): "65:65: error: nested deeper than 64 levels",
    "- seed\n": "1:1: error: expected a map of keys, got a list",
    "seed: 1\n---\nseed: 2\n": "3:1: error: a second document, expected one",
    "device: !!python/name:os.system cpu\n": "1:9: error: tag 'tag:yaml.org,2002:python/name:os.system' is not supported",
    "{seed: 1\n": "2:1: error: end of map flow not found",
    "seed: 1\n\xff: 2\n": "2:1: error: byte 0xff, expected UTF-8 text",
    "a\0b: 1\n": "1:2: error: byte 0x00, expected UTF-8 text",
}

OF_TRAIN = {
    "optim: {name: adamw, momentum: 0.9}\n": "1:22: error: key 'optim.momentum' belongs to optimizer 'muon', 'rmsprop', 'sgd', not 'adamw'",
    "optim: {name: adm}\n": "1:15: error: unknown optimizer 'adm' (did you mean 'adam'?); one of adagrad, adam, adamw",
    "optim: sgd\n": "1:1: error: 'optim' is a group of options, expected a map",
    "prune: {ratio: 0.5}\n": "1:1: error: unknown key 'prune'",
    "optim: {lr: 0}\n": "1:13: error: key 'optim.lr': expected a number above 0, got 0",
    "optim: {lr: .nan}\n": "1:13: error: key 'optim.lr': expected a number above 0, got .nan",
    "regularize: {dropout: 1}\n": "1:23: error: key 'regularize.dropout': expected a number in [-1, 1), got 1",
    "train: {epochs: 1e3}\n": "1:17: error: key 'train.epochs': expected an integer, got '1e3'; write 1000",
    "precision: {amp: on}\n": "1:18: error: key 'precision.amp': expected one of auto, off, bf16, fp16, got 'on'",
    "model: {arch: cnn, hidden: [3]}\n": "1:20: error: key 'model.hidden' belongs to architecture 'mlp', not 'cnn'",
    "data: {augment: affine}\n": "1:17: error: key 'data.augment': expected a list, got 'affine'; write [affine]",
}


def arguments(tool):
    """Words without which a tool asks for them."""
    return {"ds-tune": ["status", "study"], "ds-train": [], "ds-distill": ["a.h5", "--teacher", "b.h5", "-o", "c.h5"],
            "ds-convert": ["--inspect", "a.h5"], "ds-eval": ["a.h5"], "ds-bench": ["a.h5"], "ds-report": ["a.h5"]}.get(tool, ["a.h5", "-o", "c.h5"])


def test_what_no_config_may_hold(folder):
    path = f"{folder}/c.yaml"
    for tool in TOOLS:
        for text, part in {**COMMON, **(OF_TRAIN if tool == "ds-train" else {})}.items():
            open(path, "w", encoding="latin-1").write(text)
            fails([tool, *arguments(tool), "-c", path], 2, f"{path}:{part}", folder=folder, cwd=folder)


def test_all_errors_come_at_once(folder):
    path = f"{folder}/c.yaml"
    open(path, "w").write("sed: 1\nthreads: many\ntrain: {epochs: 0.5, epocs: 3}\n")
    result = fails(["ds-train", "-c", path, "--lr", "fast", "--set", "optim.beta=1"], 2, "1:1: error", "2:10: error", "3:17: error", "3:22: error",
                   "--lr: expected a number or auto, got 'fast'", "unknown key 'optim.beta'", folder=folder, lines=6, env={})
    check(result.out == "", result.out)
    result = run("ds-train", "-c", path, expect=2, env={"DS_OPT_TRAIN__EPOCHS": "x", "DS_OPT_TRAIN__EPOCH": "1"})
    check("DS_OPT_TRAIN__EPOCH: no such option (did you mean 'DS_OPT_TRAIN__EPOCHS'?)" in result.err, result.err)
    check("DS_OPT_TRAIN__EPOCHS: expected an integer, got 'x'" in result.err, result.err)


def test_files_that_are_no_config(folder):
    os.mkfifo(f"{folder}/fifo.yaml")
    os.symlink("loop.yaml", f"{folder}/loop.yaml")
    open(f"{folder}/huge.yaml", "w").truncate(20 << 20)
    for tool in TOOLS:
        for name, code, part in (("none.yaml", 3, "no such file"), ("", 3, "is a folder"), ("fifo.yaml", 3, "is no regular file"),
                                 ("loop.yaml", 3, "too many levels of symbolic links"), ("huge.yaml", 2, "20971520 bytes")):
            fails([tool, *arguments(tool), "-c", os.path.join(folder, name)], code, os.path.join(folder, name), part, cwd=folder)
        fails([tool, *arguments(tool), "-c", "-"], 2, "--config: '-' is not supported for configs", cwd=folder)


def test_a_config_of_another_tool(folder):
    path = f"{folder}/c.yaml"
    open(path, "w").write(run("ds-train", "--generate", "config").out)
    result = run("ds-eval", "a.h5", "-c", path, expect=2, cwd=folder)
    check("unknown key 'model'" in result.err and "Traceback" not in result.err, result.err)


def test_spaces(folder):
    """The search space of ds-tune is YAML, too."""
    path = f"{folder}/space.yaml"
    call = ["ds-tune", "run", "--space", path, "--trials", 2, "-o", f"{folder}/study", "--", "ds-train", "-c", "{config}"]
    for text, part in (("parameters:\n\tx: 1\n", "2:1: error: tab in the indentation"),
                       ("metric: {name: a, goal: maximise}\nparameters: {}\n", "1:25: error: metric.goal: expected maximize or minimize"),
                       ("metric: {name: a, goal: maximize}\nparameters: {x: {type: float, low: 2, high: 1}}\n", "2:"),
                       ("metric: {name: a, goal: maximize}\nparameters: {x: {type: flaot, low: 0, high: 1}}\n", "2:17: error: x.type: unknown type 'flaot'"),
                       ("metric: {name: a, goal: maximize}\nparameters: {x: &x [*x]}\n", "anchors"), ("a: " + "[" * 300, "nested deeper than 64")):
        open(path, "w").write(text)
        result = run(*call, expect=2, cwd=folder)
        check(f"{path}:" in result.err and part in result.err, text, result.err)
        check(sorted(os.listdir(folder)) == ["space.yaml"], os.listdir(folder))
    os.unlink(path)
    os.mkfifo(path)
    fails(call, 3, path, folder=folder, cwd=folder)
    os.unlink(path)
    fails(call, 3, path, "no such file", folder=folder, cwd=folder)


if __name__ == "__main__":
    main(__name__)
