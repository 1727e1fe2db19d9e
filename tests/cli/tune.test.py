"""ds-tune: studies of cheap objectives and of ds-train, going on after a stop or a kill, failing trials, replay, and bad spaces."""
import csv
import glob
import io
import json
import os
import signal
import stat
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../support"))
from cli import check, command, main, refused, run, start, wait_for  # noqa: E402

SPACE = """\
metric: {name: score, goal: maximize}
parameters:
  x: {type: float, low: -1, high: 2}
  deep.rate: {type: float, low: 1.0e-4, high: 1.0, log: true}
  deep.grid: {type: float, low: 0, high: 1, step: 0.25}
  width: {type: int, low: 8, high: 64, step: 8}
  kind: {type: categorical, values: [red, green, 3]}
  flag: {type: bool}
fixed: {deep.depth: 4, note: kept}
default: {x: 0.5, deep.rate: 0.01, deep.grid: 0.25, width: 16, kind: red, flag: false}
"""
SMALL = "metric: {name: score, goal: maximize}\nparameters: {x: {type: float, low: 0, high: 1}}\n"
QUICK = ["--format", "json", "--progress", "none"]

# What all objectives begin with: the config file as {key: text}, its last words of a dotted key as they stand in the tree.
PROLOGUE = """#!/usr/bin/env python3
import os, signal, sys, time
config, trial = {}, os.path.dirname(sys.argv[1])
for line in open(sys.argv[1]):
    key, _, text = line.split("#")[0].strip().partition(": ")
    config[key] = text
value = lambda key: float(config[key])
def tell(score):
    print(f"status: done\\nmetrics: {{score: {score}}}")
def mark(name):
    open(os.path.join(os.environ["MARKS"], name), "a").write(trial + "\\n")
"""


def objective(folder, body):
    path = f"{folder}/objective.py"
    open(path, "w").write(PROLOGUE + body)
    os.chmod(path, os.stat(path).st_mode | stat.S_IXUSR)
    return [path, "{config}"]


def space(folder, text=SMALL, name="space.yaml"):
    path = f"{folder}/{name}"
    open(path, "w").write(text)
    return path


def suggestions(study):
    """The configurations of all trials, by number."""
    return [json.load(open(path))["parameters"] for path in sorted(glob.glob(f"{study}/trials/*/ask.json"))]


def marks(folder, name):
    path = f"{folder}/{name}"
    return open(path).read().split() if os.path.exists(path) else []


def begin(folder, study, *options, call):
    return ["ds-tune", "run", "--space", f"{folder}/space.yaml", "-o", f"{folder}/{study}", *QUICK, *options, "--", *call]


def test_every_kind_of_parameter(folder):
    space(folder, SPACE)
    call = objective(folder, "print('on stderr', file=sys.stderr)\ntell(-abs(value('x') - 1) - abs(value('grid') - 0.75) - (config['kind'] != '3'))\n")
    result = run(*begin(folder, "study", "--trials", 12, call=call))
    configurations = suggestions(f"{folder}/study")
    check(len(configurations) == 12 and len({json.dumps(c) for c in configurations}) == 12, configurations)
    check(configurations[0] == {"x": 0.5, "deep.rate": 0.01, "deep.grid": 0.25, "width": 16, "kind": "red", "flag": False}, configurations[0])
    for c in configurations:
        check(-1 <= c["x"] <= 2 and 1e-4 <= c["deep.rate"] <= 1 and c["deep.grid"] in (0, 0.25, 0.5, 0.75, 1), c)
        check(c["width"] in range(8, 65, 8) and c["kind"] in ("red", "green", 3) and c["flag"] in (True, False), c)
    text = open(f"{folder}/study/trials/000001/config.yaml").read()
    check(all(line in text.splitlines() for line in ("note: kept", "  depth: 4", "  rate: 0.01", "kind: red", "flag: false")), text)
    record = result.record
    check(record["status"] == "done" and record["trials"] == {"done": 12, "failed": 0, "lost": 0, "open": 0}, record)
    scores = [-abs(c["x"] - 1) - abs(c["deep.grid"] - 0.75) - (c["kind"] != 3) for c in configurations]
    best = max(range(12), key=lambda i: scores[i])
    check(record["best"] == {"trial": best + 1, "parameters": configurations[best]}, record["best"], configurations[best])
    check(abs(record["metrics"]["score"] - scores[best]) < 1e-12, record["metrics"], scores)
    check(open(f"{folder}/study/trials/000003/log.txt").read() == "on stderr\n", "the trial's stderr is in its log")


def test_status_and_best(folder):
    space(folder, SPACE)
    run(*begin(folder, "study", "--trials", 4, call=objective(folder, "tell(value('x'))\n")))
    configurations = suggestions(f"{folder}/study")
    best = max(range(4), key=lambda i: configurations[i]["x"])
    table = run("ds-tune", "status", f"{folder}/study").out.splitlines()
    check(table[0].split()[:4] == ["trial", "score", "state", "seconds"] and len(table) >= 5, table)
    check([line.split()[1] for line in table if line.lstrip().startswith("* ")] == [str(best + 1)], table)
    rows = list(csv.DictReader(io.StringIO(run("ds-tune", "status", f"{folder}/study", "--format", "csv").out)))
    check([row["deep.rate"] == str(c["deep.rate"]) and float(row["score"]) == c["x"] for row, c in zip(rows, configurations)] == [True] * 4, rows)
    record = run("ds-tune", "status", f"{folder}/study", "--format", "json").record
    check(record["counts"] == {"done": 4} and record["best"]["trial"] == best + 1, record)
    check([trial["parameters"] for trial in record["trials"]] == configurations, record["trials"])
    as_yaml = run("ds-tune", "status", f"{folder}/study", "--format", "yaml").out
    check(as_yaml.startswith("schema: ds-record/1\nstatus: done\n"), "a record was asked for:", as_yaml)
    text = run("ds-tune", "best", f"{folder}/study").out
    check(text.splitlines()[0] == f"# score {configurations[best]['x']:.6g}: trial {best + 1}, best of 4", text)
    check(f"x: {configurations[best]['x']}" in text.splitlines() and "note" not in text, "the parameters alone:", text)
    check(run("ds-tune", "best", f"{folder}/study", *QUICK).record["parameters"] == configurations[best], "as JSON")


def test_minimize(folder):
    space(folder, SMALL.replace("maximize", "minimize"))
    record = run(*begin(folder, "study", "--trials", 12, call=objective(folder, "tell((value('x') - 0.3) ** 2)\n"))).record
    values = [(c["x"] - 0.3) ** 2 for c in suggestions(f"{folder}/study")]
    check(abs(record["metrics"]["score"] - min(values)) < 1e-12, record["metrics"], values)
    check(min(values) < 0.01, "12 trials in one dimension come near the minimum:", values)


def test_base_and_nested_metrics(folder):
    open(f"{folder}/base.yaml", "w").write("net: {width: 32, depth: 2}\nother: [1, 2]\n")
    space(folder, "base: base.yaml\nmetric: {name: val.score, goal: maximize}\nparameters: {net.width: {type: int, low: 8, high: 64}}\nfixed: {net.depth: 3}\n")
    call = objective(folder, "print('{\"metrics\": {\"val\": {\"score\": %s}}}' % value('width'))\n")
    record = run(*begin(folder, "study", "--trials", 3, call=call)).record
    check(suggestions(f"{folder}/study")[0] == {"net.width": 32}, "the value of the base is tried first")
    lines = open(f"{folder}/study/trials/000001/config.yaml").read().splitlines()
    check("  depth: 3" in lines and "  width: 32" in lines and any("other" in line for line in lines), lines)
    check(record["metrics"]["val.score"] == max(c["net.width"] for c in suggestions(f"{folder}/study")), record["metrics"])


def reference(folder, trials=9):
    """What an undisturbed study suggests."""
    space(folder)
    call = objective(folder, "mark('ran')\nif os.path.exists(os.environ['MARKS'] + '/hold'):\n    mark('holding')\n    time.sleep(600)\ntell(-(value('x') - 0.7) ** 2)\n")
    os.environ["MARKS"] = folder
    run(*begin(folder, "whole", "--trials", trials, call=call))
    os.remove(f"{folder}/ran")
    return call, suggestions(f"{folder}/whole")


def test_goes_on_after_a_signal_with_the_same_suggestions(folder):
    call, whole = reference(folder)
    run(*begin(folder, "study", "--trials", 4, call=call))
    for stop in (signal.SIGTERM, signal.SIGINT):
        open(f"{folder}/hold", "w").close()
        process = start(*begin(folder, "study", "--trials", 9, call=call))
        wait_for(lambda: marks(folder, "holding"))
        process.send_signal(stop)
        out, err = process.communicate(timeout=60)
        check(process.returncode == 75, process.returncode, err)
        check("4 of 9 trials done" in err and "the same command goes on" in err, err)
        check(json.loads(out)["status"] == "stopped" and json.loads(out)["trials"]["open"] == 1, out)
        os.remove(f"{folder}/holding")
        os.remove(f"{folder}/hold")
    record = run(*begin(folder, "study", "--trials", 9, call=call)).record
    check(record["ran"] == 5 and record["trials"]["done"] == 9, record)
    check(suggestions(f"{folder}/study") == whole, suggestions(f"{folder}/study"), whole)
    check(run("ds-tune", "replay", f"{folder}/study", *QUICK).record["metrics"]["equal_suggestions"] == 9, "replay")


def test_goes_on_after_a_kill_with_the_same_suggestions(folder):
    call, whole = reference(folder)
    run(*begin(folder, "study", "--trials", 3, call=call))
    for _ in range(3):
        open(f"{folder}/hold", "w").close()
        process = start(*begin(folder, "study", "--trials", 9, call=call))
        wait_for(lambda: marks(folder, "holding"))
        process.kill()
        process.communicate()
        os.remove(f"{folder}/holding")
        os.remove(f"{folder}/hold")
    check(run("ds-tune", "status", f"{folder}/study", *QUICK).record["counts"] == {"done": 3, "waiting": 1}, "a killed run's trial waits")
    record = run(*begin(folder, "study", "--trials", 9, call=call)).record
    check(record["trials"] == {"done": 9, "failed": 0, "lost": 0, "open": 0}, record)
    check(suggestions(f"{folder}/study") == whole, suggestions(f"{folder}/study"), whole)
    again = run(*begin(folder, "study", "--trials", 9, call=call))
    check(again.record["ran"] == 0 and again.record["best"] == record["best"], again.out)


def test_parallel_trials_run_at_once(folder):
    """Each of the first three waits until three have begun."""
    space(folder)
    os.environ["MARKS"] = folder
    call = objective(folder, """mark('ran')
for turn in range(3000):
    if len(open(os.environ['MARKS'] + '/ran').read().split()) >= 3: break
    time.sleep(0.02)
else: sys.exit(1)
tell(value('x'))
""")
    record = run(*begin(folder, "study", "--trials", 8, "--parallel", 3, call=call)).record
    check(record["trials"]["done"] == 8 and len(marks(folder, "ran")) == 8, record, marks(folder, "ran"))
    pending = [len(json.load(open(path))["pending"]) for path in sorted(glob.glob(f"{folder}/study/trials/*/ask.json"))]
    check(pending[:3] == [0, 1, 2] and max(pending) == 2, "trials under way are known to the sampler:", pending)
    check(run("ds-tune", "replay", f"{folder}/study", *QUICK).record["metrics"]["equal_suggestions"] == 8, "replay")


def test_two_processes_on_one_study(folder):
    space(folder)
    os.environ["MARKS"] = folder
    call = objective(folder, """mark('ran')
for turn in range(3000):
    if len(set(open(os.environ['MARKS'] + '/ran').read().split())) >= 2: break
    time.sleep(0.02)
else: sys.exit(1)
tell(value('x'))
""")
    both = [start(*begin(folder, "study", "--trials", 10, call=call)) for _ in range(2)]
    ended = [process.communicate(timeout=200) for process in both]
    check([process.returncode for process in both] == [0, 0], [err for _, err in ended])
    records = [json.loads(out) for out, _ in ended]
    check(records[0]["ran"] + records[1]["ran"] == 10 and all(record["ran"] > 0 for record in records), records)
    check(len(marks(folder, "ran")) == 10 and len(set(marks(folder, "ran"))) == 10, "each trial runs once:", marks(folder, "ran"))
    run("ds-tune", "replay", f"{folder}/study")


def test_bad_configurations_are_failed_trials(folder):
    space(folder)
    call = objective(folder, """if trial.endswith('2'):
    print('tool: error: it diverged', file=sys.stderr)
    print('more', file=sys.stderr)
    sys.exit(1)
tell({'3': '.nan', '4': '.inf', '5': 'null'}.get(trial[-1], value('x')))
""")
    result = run(*begin(folder, "study", "--trials", 6, call=call))
    check(result.record["trials"] == {"done": 2, "failed": 4, "lost": 0, "open": 0}, result.out)
    trials = run("ds-tune", "status", f"{folder}/study", *QUICK).record["trials"]
    check(trials[1]["reason"] == "exit code 1: tool: error: it diverged", trials[1])
    check([trial["state"] for trial in trials] == ["done", "failed", "failed", "failed", "failed", "done"], trials)
    check(trials[2]["reason"] == "score is .nan" and trials[3]["reason"] == "score is .inf", trials)
    check("trial 2/6: failed, exit code 1: tool: error: it diverged" in result.err, result.err)
    nothing = run(*begin(folder, "none", "--trials", 3, call=objective(folder, "sys.exit(1)\n")), expect=1)
    refused(nothing, "no trial of 3 has a result", "exit code 1")
    refused(run("ds-tune", "best", f"{folder}/none", expect=3), f"{folder}/none", "no trial has a result yet, of 3")


def test_a_trial_that_a_signal_ends_is_run_again(folder):
    space(folder)
    os.environ["MARKS"] = folder
    call = objective(folder, """mark(trial[-1])
times = len(open(os.environ['MARKS'] + '/' + trial[-1]).read().split())
if trial.endswith('1') and times == 1: os.kill(os.getpid(), signal.SIGKILL)
if trial.endswith('2') and times == 1: sys.exit(75)
if trial.endswith('3'): os.kill(os.getpid(), signal.SIGSEGV)
tell(value('x'))
""")
    result = run(*begin(folder, "study", "--trials", 4, call=call))
    check(result.record["trials"] == {"done": 3, "failed": 0, "lost": 1, "open": 0}, result.out)
    check([len(marks(folder, str(i))) for i in (1, 2, 3, 4)] == [2, 2, 3, 1], "attempts")
    check("warning: trial 1: ended by signal 9 (Killed), it is run again" in result.err, result.err)
    check("warning: trial 3: ended by signal 11 (Segmentation fault), too often" in result.err, result.err)
    check(run("ds-tune", "status", f"{folder}/study", *QUICK).record["trials"][2]["state"] == "lost", "status")


def test_what_every_trial_would_fail_with_stops_the_study(folder):
    space(folder)
    for code in (2, 3, 4):
        call = objective(folder, f"print('tool: error: data: not there', file=sys.stderr)\nsys.exit({code} if trial.endswith('2') else tell(value('x')))\n")
        result = run(*begin(folder, f"study{code}", "--trials", 5, call=call), expect=code)
        refused(result, "trial 2", f"exit code {code}: tool: error: data: not there", "000002/log.txt")
        check(result.out == "" if code == 2 else result.record["trials"] == {"done": 1, "failed": 0, "lost": 0, "open": 1}, result.out)
        mended = run(*begin(folder, f"study{code}", "--trials", 5, call=objective(folder, "tell(value('x'))\n")))
        check(mended.record["trials"]["done"] == 5, "it goes on when that is mended:", mended.out)
    refused(run(*begin(folder, "a", call=[f"{folder}/none", "{config}"]), expect=2), f"{folder}/none", "No such file")
    refused(run(*begin(folder, "b", call=objective(folder, "print('metrics: {other: 1, val_score: 2}')\n")), expect=2), "trial 1",
            "no metric 'score' in its record, which has other, val_score")
    refused(run(*begin(folder, "c", call=objective(folder, "print('just text')\n")), expect=2), "trial 1", "metrics")
    refused(run(*begin(folder, "d", call=objective(folder, "tell('high')\n")), expect=2), "expected a number")


def test_a_finite_space_is_tried_once_through(folder):
    space(folder, "metric: {name: score, goal: maximize}\nparameters:\n  a: {type: categorical, values: [x, y, z]}\n  b: {type: bool}\n")
    result = run(*begin(folder, "study", "--trials", 50, call=objective(folder, "tell(1)\n")))
    check(result.record["trials"]["done"] == 6 and "all 6 configurations of the space have been tried" in result.err, result.err)
    check(result.record["best"]["trial"] == 1, "the first among equals")
    check(run(*begin(folder, "study", "--trials", 50, call=objective(folder, "tell(1)\n"))).record["ran"] == 0, "nothing is left")
    refused(run("ds-tune", "ask", f"{folder}/study", expect=5), "all 6 configurations")


def test_ask_and_tell(folder):
    space(folder)
    run("ds-tune", "init", "--space", f"{folder}/space.yaml", "-o", f"{folder}/study", "--sampler", "sobol", "--seed", 3)
    refused(run("ds-tune", "init", "--space", f"{folder}/space.yaml", "-o", f"{folder}/study", expect=2), "is a study already")
    asked = [run("ds-tune", "ask", f"{folder}/study", *QUICK).record for _ in range(4)]
    check([record["trial"] for record in asked] == [1, 2, 3, 4], asked)
    path = asked[0]["outputs"][0]["path"]
    check(open(path).read().splitlines()[-1] == f"x: {asked[0]['parameters']['x']}", open(path).read())
    tell = ["ds-tune", "tell", f"{folder}/study", "--trial"]
    run(*tell, 1, "--value", 0.5)
    open(f"{folder}/r.yaml", "w").write("metrics: {score: 0.75}\n")
    check(run(*tell, 2, "--result", f"{folder}/r.yaml", *QUICK).record["metrics"]["score"] == 0.75, "told by record")
    run(*tell, 3, "--failed", "--reason", "out of memory")
    refused(run(*tell, 1, "--value", 0.6, expect=2), "trial 1 has a result: 0.5")
    refused(run(*tell, 9, "--value", 0.6, expect=2), "no trial 9, the study has 4")
    refused(run(*tell, 4, "--result", f"{folder}/none.yaml", expect=3), "none.yaml")
    refused(run(*tell, 4, expect=2), "one of --value, --result and --failed")
    refused(run(*tell, 4, "--value", 1, "--failed", expect=2), "one of --value, --result and --failed")
    run(*tell, 4, "--value", 1, "-n")
    record = run("ds-tune", "status", f"{folder}/study", *QUICK).record
    check([trial["state"] for trial in record["trials"]] == ["done", "done", "failed", "asked"], record["trials"])
    check(record["best"]["trial"] == 2 and record["trials"][2]["reason"] == "out of memory", record)
    # A run goes on with the study; what was handed out stays the asker's.
    more = run("ds-tune", "run", f"{folder}/study", "--trials", 6, "--sampler", "sobol", "--seed", 3, *QUICK, "--", *objective(folder, "tell(value('x'))\n")).record
    check(more["trials"] == {"done": 4, "failed": 1, "lost": 0, "open": 1}, more)
    run("ds-tune", "replay", f"{folder}/study")


def test_replay_finds_what_was_changed(folder):
    space(folder)
    run(*begin(folder, "study", "--trials", 6, call=objective(folder, "tell(value('x'))\n")))
    path = f"{folder}/study/trials/000005/ask.json"
    asked = json.load(open(path))
    asked["parameters"]["x"] += 1e-6
    json.dump(asked, open(path, "w"))
    refused(run("ds-tune", "replay", f"{folder}/study", expect=5), "trial 5 was suggested as")


def test_samplers_and_seeds(folder):
    space(folder, SPACE)
    call = objective(folder, "tell(value('x'))\n")
    seen = {}
    for sampler in ("gp", "random", "sobol"):
        for seed in (1, 2):
            name = f"{sampler}{seed}"
            run(*begin(folder, name, "--trials", 3, "--sampler", sampler, "--seed", seed, call=call))
            seen[name] = json.dumps(suggestions(f"{folder}/{name}")[1:])
            check(json.load(open(f"{folder}/{name}/study.json"))["sampler"]["name"] == sampler, name)
    check(len(set(seen.values())) == 4, "samplers and seeds differ, but gp begins with the points of sobol:", seen)
    run(*begin(folder, "even", "--trials", 16, "--sampler", "sobol", call=call))
    low = sum(c["deep.rate"] < 1e-2 for c in suggestions(f"{folder}/even")[1:])
    check(low in (7, 8), "a logarithmic range is drawn evenly in its logarithm:", low, "of 15 in the lower half")
    run(*begin(folder, "again", "--trials", 3, "--sampler", "random", "--seed", 2, call=call))
    check(json.dumps(suggestions(f"{folder}/again")[1:]) == seen["random2"], "the same seed suggests the same")
    warned = run(*begin(folder, "random2", "--trials", 3, "--sampler", "gp", "--seed", 2, call=call))
    check("goes on with the sampler it was begun with: random" in warned.err, warned.err)
    warned = run(*begin(folder, "random2", "--trials", 3, "--sampler", "random", "--seed", 5, call=call))
    check("goes on with the seed it was begun with: 2" in warned.err, warned.err)


def test_words_that_are_replaced(folder):
    space(folder)
    os.environ["MARKS"] = folder
    call = objective(folder, "open(os.environ['MARKS'] + '/words', 'a').write(' '.join(sys.argv[1:]) + '\\n')\ntell(value('x'))\n")
    run(*begin(folder, "study", "--trials", 2, "--seed", 1, call=[*call, "--dir={trial_dir}/x", "{seed}", "{other}"]), cwd=folder)
    first, second = [line.split() for line in open(f"{folder}/words")]
    trial = os.path.realpath(f"{folder}/study/trials/000001")
    check(os.path.realpath(first[0]) == f"{trial}/config.yaml" and first[1].endswith("trials/000001/x") and first[3] == "{other}", first)
    check(first[2].isdigit() and second[2].isdigit() and first[2] != second[2], "a seed for each trial:", first, second)


def test_nothing_is_written_by_a_dry_run(folder):
    space(folder)
    result = run(*begin(folder, "study", "-n", call=["true", "{config}"]))
    check(result.record["space"]["parameters"] == 1, result.out)
    run("ds-tune", "init", "--space", f"{folder}/space.yaml", "-o", f"{folder}/study", "-n")
    check(os.listdir(folder) == ["space.yaml"], os.listdir(folder))


BAD = {
    "parameters: {x: {type: float, low: 0, high: 1}}": ("", "key 'metric' is missing"),
    "metric: {name: a, goal: maximize}": ("", "key 'parameters' is missing"),
    "metric: {name: a, goal: maximise}\nparameters: {x: {type: float, low: 0, high: 1}}": ("1:25", "expected maximize or minimize, got 'maximise'"),
    "metric: {name: a, goal: maximize}\nparameters: {}": ("2:13", "at least one parameter"),
    "metric: {name: a, goal: maximize}\nparameters: {x: {type: real, low: 0, high: 1}}": ("2:17", "unknown type 'real'"),
    "metric: {name: a, goal: maximize}\nparameters: {x: {type: float, low: 0}}": ("2:17", "key 'x.high' is missing"),
    "metric: {name: a, goal: maximize}\nparameters: {x: {type: float, low: 1, high: 0}}": ("2:45", "high 0 is not above low 1"),
    "metric: {name: a, goal: maximize}\nparameters: {x: {type: float, low: 0, high: 1, log: true}}": ("2:36", "low 0 of a logarithmic range"),
    "metric: {name: a, goal: maximize}\nparameters: {x: {type: float, low: 0, high: 1, step: 0.3}}": ("2:54", "step 0.3 does not lead from 0 to 1; such as high: 0.9"),
    "metric: {name: a, goal: maximize}\nparameters: {x: {type: int, low: 0.5, high: 2}}": ("2:34", "expected an integer, got '0.5'"),
    "metric: {name: a, goal: maximize}\nparameters: {x: {type: categorical, values: []}}": ("2:45", "at least one value"),
    "metric: {name: a, goal: maximize}\nparameters: {x: {type: categorical, values: [a, a]}}": ("2:49", "stands there twice"),
    "metric: {name: a, goal: maximize}\nparameters: {x: {type: float, low: 0, hihg: 1, high: 1}}": ("2:39", "unknown key 'x.hihg' (did you mean 'x.high'?)"),
    "metric: {name: a, goal: maximize}\nparameter: {x: 1}": ("2:1", "unknown key 'parameter' (did you mean 'parameters'?)"),
    "metric: {name: a, goal: maximize}\nparameters: {x: {type: float, low: 0, high: 1}}\nfixed: {x: 1}": ("3:12", "fixed: 'x' is the parameter 'x'"),
    "metric: {name: a, goal: maximize}\nparameters: {x: {type: float, low: 0, high: 1}}\ndefault: {x: 2}": ("3:14", "2 is not in [0, 1]"),
    "metric: {name: a, goal: maximize}\nparameters: {x: {type: float, low: 0, high: 1}}\ndefault: {y: 0}": ("3:14", "'y' is no parameter"),
    "metric: {name: a, goal: maximize}\nparameters: {x: {type: float, low: 0, high: 1}, x.y: {type: bool}}": ("2:49", "one is inside the other"),
    "metric: {name: a, goal: maximize}\nparameters: {x: {type: float, low: 0, high: one}}": ("2:45", "expected a number, got 'one'"),
    "metric: {name: a, goal: maximize}\nparameters:\n\tx: {type: bool}": ("3:1", "tab"),
    "metric: {name: a, goal: maximize}\nmetric: {name: b, goal: maximize}": ("2:1", "duplicate key 'metric'"),
    "- a": ("", "no map of keys"),
}


def test_bad_spaces(folder):
    for text, (place, what) in BAD.items():
        path = space(folder, text + "\n")
        result = run("ds-tune", "init", "--space", path, "-o", f"{folder}/study", expect=2)
        prefix = f"{path}:{place}: error: " if place else f"ds-tune: error: {path}: "
        check(any(line.startswith(prefix) and what in line for line in result.err.splitlines()), f"{text}\n{place} {what}\n{result.err}")
        check(os.listdir(folder) == ["space.yaml"], os.listdir(folder))
    path = space(folder, "metric: {name: a, goal: up}\nparameters: {x: {type: flaot}, y: {type: int, low: 3, high: 1}}\n")
    lines = run("ds-tune", "run", "--space", path, "-o", f"{folder}/study", "--", "true", "{config}", expect=2).err.splitlines()
    check(len(lines) == 3, "all that is wrong is told at once:", lines)
    refused(run("ds-tune", "init", "--space", f"{folder}/none.yaml", "-o", f"{folder}/study", expect=3), "none.yaml")
    space(folder, "base: none.yaml\n" + SMALL)
    refused(run("ds-tune", "init", "--space", path, "-o", f"{folder}/study", expect=3), f"{folder}/none.yaml")


def test_usage(folder):
    path = space(folder)
    refused(run("ds-tune", expect=2), "ACTION", "is required")
    refused(run("ds-tune", "runn", expect=2), "'runn'")
    refused(run("ds-tune", "run", "-o", f"{folder}/a", "--", "true", "{config}", expect=2), "--space", "is no study yet")
    refused(run("ds-tune", "run", "--space", path, "--", "true", "{config}", expect=2), "STUDY")
    refused(run("ds-tune", "run", "--space", path, "-o", f"{folder}/a", expect=2), "COMMAND", "-- ds-train -c {config}")
    refused(run("ds-tune", "run", "--space", path, "-o", f"{folder}/a", "--", "true", expect=2), "has no {config}")
    refused(run("ds-tune", "status", f"{folder}/a", expect=3), f"{folder}/a", "no such folder")
    refused(run("ds-tune", "status", folder, expect=3), "has no study.json")
    refused(run("ds-tune", "status", f"{folder}/a", "--", "true", expect=2), "'status' runs no command")
    os.mkdir(f"{folder}/full")
    open(f"{folder}/full/mine.txt", "w").close()
    refused(run("ds-tune", "init", "--space", path, "-o", f"{folder}/full", expect=2), "has 'mine.txt' in it")
    refused(run("ds-tune", "init", "--space", path, "-o", f"{folder}/full/mine.txt", expect=2), "is a file")
    run("ds-tune", "init", "--space", path, "-o", f"{folder}/study")
    space(folder, SMALL.replace("high: 1", "high: 2"))
    refused(run(*begin(folder, "study", call=["true", "{config}"]), expect=2), "is another space than that of the study")
    open(f"{folder}/study/study.json", "w").write("{}")
    refused(run("ds-tune", "status", f"{folder}/study", expect=3), "study.json", "ds-study/1")


def test_training_for_real(folder):
    """ds-train as the objective, on real data; the best configuration is one that ds-train takes."""
    space(folder, "metric: {name: val_top1, goal: maximize}\nparameters:\n  optim.lr: {type: float, low: 1.0e-4, high: 1.0e-1, log: true}\n"
                  "  model.hidden: {type: categorical, values: [[16], [32, 16]]}\nfixed: {model.arch: mlp, data.name: digits, train.epochs: 1}\n")
    train = command("ds-train")[0]
    record = run(*begin(folder, "study", "--trials", 3, call=[train, "-c", "{config}", "--threads", 1])).record
    check(record["trials"]["done"] == 3 and 0 < record["metrics"]["val_top1"] <= 1, record)
    own = [json.load(open(path))["value"] for path in sorted(glob.glob(f"{folder}/study/trials/*/result.json"))]
    check(record["metrics"]["val_top1"] == max(own), own)
    best = f"{folder}/best.yaml"
    open(best, "w").write(run("ds-tune", "best", f"{folder}/study").out)
    again = run("ds-train", "-c", best, "--data", "digits", "--model", "mlp", "--epochs", 1, "--threads", 1, *QUICK, "-o", f"{folder}/a.h5").record
    check(again["metrics"]["val_top1"] == max(own), "the best configuration gives the same figure again:", again["metrics"], own)
    check(again["config"]["optim"]["lr"] == record["best"]["parameters"]["optim.lr"], again["config"])
    refused(run(*begin(folder, "wrong", call=[train, "-c", "{config}", "--no-such-flag"]), expect=2), "trial 1", "unknown flag '--no-such-flag'")


def test_a_terminal_sees_progress_and_an_interrupt_stops_all(folder):
    """On a pseudo-terminal: a bar, a line a trial, and Ctrl-C reaches the trial."""
    import pty
    space(folder)
    os.environ["MARKS"] = folder
    call = objective(folder, """if trial.endswith('3'):
    signal.signal(signal.SIGTERM, lambda *_: (mark('told'), sys.exit(1)))
    mark('holding')
    time.sleep(600)
tell(value('x'))
""")
    master, slave = pty.openpty()
    line = [os.fspath(word) if not isinstance(word, int) else str(word) for word in begin(folder, "study", "--trials", 4, call=call)]
    line = command(line[0], *[word for word in line[1:] if word not in ("--progress", "none")])
    process = subprocess.Popen(line, stdin=slave, stdout=subprocess.PIPE, stderr=slave, start_new_session=True, env={**os.environ, "TERM": "xterm"})
    os.close(slave)
    wait_for(lambda: marks(folder, "holding"))
    os.killpg(process.pid, signal.SIGINT)  # what a terminal does
    seen = b""
    while True:
        try:
            part = os.read(master, 65536)
        except OSError:
            break
        if not part:
            break
        seen += part
    out, _ = process.communicate(timeout=60)
    text = seen.decode()
    check(process.returncode == 75 and marks(folder, "told"), process.returncode, text)
    check("trial 1/4: score" in text and "stopping after this step; interrupt again to stop at once" in text, text)
    check("stopped by a signal, with 2 of 4 trials done" in text and "failed" not in text, text)
    # How it ended says nothing of its configuration.
    check(run("ds-tune", "status", f"{folder}/study", *QUICK).record["counts"] == {"done": 2, "waiting": 1}, text)
    os.close(master)


if __name__ == "__main__":
    main(__name__)
