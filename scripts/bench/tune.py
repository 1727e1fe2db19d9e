#!/usr/bin/env python3
"""Searching with ds-tune against random search and, where it can be imported, Optuna: the regret that is left after so many trials.

usage: scripts/bench/tune.py [--seeds N] [--trials N] [--jobs N] [--functions branin,hartmann6,...]

Closed-form functions with known minima. ds-tune runs as a user runs it: a study folder, a child process a trial that reads {config} and
prints a record. Optuna (pip install optuna; its GPSampler wants torch and scipy too) runs in this process with the settings that it has by
default. Each method sees the same seeds and numbers of trials; a regret is the best value found less the minimum. Printed are medians over
the seeds, the ratio to the median of random search (below 1 = better), how often a method beats random search at the same seed, and the time
a trial takes, the objective's own share of it included.
"""
import argparse
import json
import math
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

HERE = os.path.dirname(os.path.abspath(__file__))
BIN = os.environ.get("DS_BIN", os.path.join(HERE, "..", "..", "build", "bin"))


def branin(u):
    """Picheny et al. 2013, on the unit square."""
    x, y = 15 * u[0] - 5, 15 * u[1]
    return (y - 5.1 / (4 * math.pi ** 2) * x * x + 5 / math.pi * x - 6) ** 2 + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x) + 10


def hartmann6(u):
    a = ((10, 3, 17, 3.5, 1.7, 8), (0.05, 10, 17, 0.1, 8, 14), (3, 3.5, 1.7, 10, 17, 8), (17, 8, 0.05, 10, 0.1, 14))
    p = ((1312, 1696, 5569, 124, 8283, 5886), (2329, 4135, 8307, 3736, 1004, 9991), (2348, 1451, 3522, 2883, 3047, 6650), (4047, 8828, 8732, 5743, 1091, 381))
    return -sum(alpha * math.exp(-sum(w * (x - 1e-4 * q) ** 2 for w, x, q in zip(row, u, centre))) for alpha, row, centre in zip((1, 1.2, 3, 3.2), a, p))


def rosenbrock4(u):
    """On [-2, 2]^4, divided by 1000; a curved valley."""
    x = [4 * v - 2 for v in u]
    return sum(100 * (b - a * a) ** 2 + (1 - a) ** 2 for a, b in zip(x, x[1:])) / 1000


def ackley5(u):
    """On [-10, 20]^5, so that the minimum is not in the middle; many local minima."""
    x = [30 * v - 10 for v in u]
    n = len(x)
    return 20 + math.e - 20 * math.exp(-0.2 * math.sqrt(sum(v * v for v in x) / n)) - math.exp(sum(math.cos(2 * math.pi * v) for v in x) / n)


FUNCTIONS = {"branin": (branin, 2, 0.397887), "hartmann6": (hartmann6, 6, -3.322368), "rosenbrock4": (rosenbrock4, 4, 0.0), "ackley5": (ackley5, 5, 0.0)}


def objective(name, config):
    """What a trial of ds-tune runs."""
    values = dict(line.split(": ") for line in open(config) if not line.startswith("#"))
    function, dimensions, _ = FUNCTIONS[name]
    print(f"status: done\nmetrics: {{y: {function([float(values[f'x{j}']) for j in range(dimensions)])!r}}}")


def ds_tune(sampler, name, trials, seed):
    function, dimensions, _ = FUNCTIONS[name]
    folder = tempfile.mkdtemp(prefix="ds-bench-tune-")
    try:
        with open(f"{folder}/space.yaml", "w") as file:
            file.write("metric: {name: y, goal: minimize}\nparameters:\n")
            file.writelines(f"  x{j}: {{type: float, low: 0, high: 1}}\n" for j in range(dimensions))
        call = [os.path.join(BIN, "ds-tune"), "run", "--space", f"{folder}/space.yaml", "--trials", str(trials), "--sampler", sampler, "--seed", str(seed), "-q",
                "--format", "json", "-o", f"{folder}/study", "--", sys.executable, "-S", "-E", os.path.abspath(__file__), "--objective", name, "{config}"]
        done = subprocess.run(call, capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"{' '.join(call)}: exit code {done.returncode}\n{done.stderr}")
        return json.loads(done.stdout)["metrics"]["y"]
    finally:
        shutil.rmtree(folder)


def optuna_study(kind, name, trials, seed):
    import optuna
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    function, dimensions, _ = FUNCTIONS[name]
    sampler = getattr(optuna.samplers, kind)(seed=seed)
    study = optuna.create_study(direction="minimize", sampler=sampler)
    study.optimize(lambda trial: function([trial.suggest_float(f"x{j}", 0, 1) for j in range(dimensions)]), n_trials=trials)
    return study.best_value


def peers():
    found = {}
    try:
        import warnings
        warnings.filterwarnings("ignore")
        import optuna
    except ImportError:
        return found, "optuna: not importable, left out"
    found["optuna TPE"] = lambda *job: optuna_study("TPESampler", *job)
    try:
        import scipy  # noqa: F401
        import torch
        torch.set_num_threads(1)
        found["optuna GP"] = lambda *job: optuna_study("GPSampler", *job)
    except ImportError as error:
        return found, f"optuna {optuna.__version__}; its GPSampler is left out: {error}"
    return found, f"optuna {optuna.__version__}, torch {torch.__version__}"


def measure(run, name, trials, seeds, jobs):
    start = time.perf_counter()
    if jobs == 1:
        values = [run(name, trials, seed) for seed in range(seeds)]
    else:
        with ThreadPoolExecutor(jobs) as pool:
            values = list(pool.map(lambda seed: run(name, trials, seed), range(seeds)))
    seconds = (time.perf_counter() - start) * jobs / seeds / trials
    return [max(value - FUNCTIONS[name][2], 1e-12) for value in values], seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--jobs", type=int, default=1, help="studies of ds-tune at once")
    parser.add_argument("--functions", default=",".join(FUNCTIONS))
    parser.add_argument("--objective", nargs=2, metavar=("FUNCTION", "CONFIG"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.objective:
        return objective(*options.objective)
    others, note = peers()
    print(f"{options.trials} trials, {options.seeds} seeds; {note}\n")
    print(f"{'function':<12}  {'method':<12}  {'median regret':>13}  {'quartiles':>21}  {'to random':>9}  {'wins':>5}  {'a trial':>8}")
    for name in options.functions.split(","):
        methods = {"random": lambda *job: ds_tune("random", *job), "ds-tune gp": lambda *job: ds_tune("gp", *job), **others}
        base = None
        for method, run in methods.items():
            regrets, seconds = measure(run, name, options.trials, options.seeds, options.jobs if method in ("random", "ds-tune gp") else 1)
            base = base or regrets
            median = statistics.median(regrets)
            low, _, high = statistics.quantiles(regrets, n=4) if len(regrets) > 1 else (median,) * 3
            wins = sum(a < b for a, b in zip(regrets, base))
            print(f"{name:<12}  {method:<12}  {median:>13.3g}  {f'{low:.3g} .. {high:.3g}':>21}  {median / statistics.median(base):>9.3g}  "
                  f"{f'{wins}/{len(base)}' if regrets is not base else '':>5}  {1000 * seconds:>5.0f} ms", flush=True)


if __name__ == "__main__":
    main()
