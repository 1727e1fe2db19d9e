"""ds-bench: forms of one result that agree, intervals, ratios to the first, sizes, batches and threads, raw times, and bad options.
Nothing here depends on how fast the machine is."""
import csv
import io
import json
import os
import statistics
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../support"))
from cli import check, main, refused, run  # noqa: E402
from lab import inspect, quantized, trained  # noqa: E402

QUICK = ["--rounds", 5, "--warmup", 0, "--min-time", 0, "--threads", 1, "--progress", "none"]


def bench(*words, **more):
    return run("ds-bench", *words, *QUICK, **more)


def pruned(folder):
    run("ds-prune", trained("cnn"), "--ratio", 0.5, "--threads", 1, "-f", "-o", f"{folder}/pruned.h5")
    return f"{folder}/pruned.h5"


def test_the_record(folder):
    small = pruned(folder)
    record = bench(trained("cnn"), small, quantized("cnn"), "--batch", "1,4", "--format", "json", "-o", f"{folder}/bench.json").record
    results = record["results"]
    check([r["engine"] for r in results] == ["eager", "eager", "int8"] and [r["model"] for r in results] == ["cnn.h5", "pruned.h5", "cnn-int8.h5"], results)
    for path, r in zip((trained("cnn"), small, quantized("cnn")), results):
        facts = inspect(path)
        check(r["file_bytes"] == os.path.getsize(path) and r["digest"] == facts["inputs"][0]["digest"], r)
        check(all(r[key] == facts["metrics"][key] for key in ("tensor_bytes", "macs", "parameters")), r, facts["metrics"])
        own = run("ds-eval", path, "--format", "json", "--threads", 1).record["metrics"]
        check(all(r[key] == own[key] for key in ("test_n", "test_top1", "test_top1_low", "test_top1_high")), r, own)
        check([t["batch"] for t in r["timings"]] == [1, 4] and {t["threads"] for t in r["timings"]} == {1}, r["timings"])
        for t in r["timings"]:
            check(0 < t["latency_p50_s"] <= t["latency_p90_s"] <= t["latency_p99_s"], t)
            check(t["latency_median_low_s"] <= t["latency_median_high_s"] and t["speedup_low"] <= t["speedup"] <= t["speedup_high"], t)
            check(t["throughput_per_s"] > 0 and t["calls"] >= 5 * 3 and t["peak_memory_bytes"] > r["tensor_bytes"], t)
    first = results[0]
    check(all(t["speedup"] == t["speedup_low"] == t["speedup_high"] == 1 for t in first["timings"]), first)
    check(first["top1_difference"] == first["top1_difference_low"] == first["top1_difference_high"] == 0, first)
    for r in results[1:]:
        check(abs(r["top1_difference"] - (r["test_top1"] - first["test_top1"])) < 1e-12, r)
        check(r["top1_difference_low"] <= r["top1_difference"] <= r["top1_difference_high"], r)
    check(len(record["inputs"]) == 3 and record["data"]["test_n"] == first["test_n"], record)
    check_raw_times(json.load(open(f"{folder}/bench.json")), results)


def check_raw_times(whole, results):
    check(whole["results"] == results, "the file has the same results")
    for r in results:
        for t in r["timings"]:
            times = next(raw for raw in whole["raw"] if (raw["model"], raw["batch"], raw["threads"]) == (r["model"], t["batch"], t["threads"]))["samples_s"]
            check(len(times) == t["calls"] and abs(statistics.median(times) - t["latency_p50_s"]) < 1e-12, "the median is that of the times")


def test_forms_agree(folder):
    """One run told in each form, beside its record in a file."""
    models = [trained("cnn"), pruned(folder)]
    for form in ("table", "csv", "md", "yaml"):
        text = bench(*models, "--batch", 2, "--format", form, "--record", f"{folder}/{form}.json").out
        results = json.load(open(f"{folder}/{form}.json"))["results"]
        if form == "csv":
            rows = list(csv.DictReader(io.StringIO(text)))
            check(len(rows) == 2, text)
            for row, r in zip(rows, results):
                flat = {**r, **r["timings"][0]}
                for key, cell in row.items():
                    check(cell == flat[key] if isinstance(flat[key], str) else float(cell) == flat[key], key, cell, flat[key])
            continue
        for r in results:
            words = [f"top1: {r['test_top1']}"] if form == "yaml" else [f"{100 * r['test_top1']:.2f}", f"{100 * r['test_top1_low']:.2f}..{100 * r['test_top1_high']:.2f}"]
            share = r["parameters"] / results[0]["parameters"]
            words += [f"parameters: {r['parameters']}"] if form == "yaml" else [f"{share:.2f}", f"{r['timings'][0]['speedup']:.2f}x"]
            check(all(word in text for word in words), form, words, text)
        if form == "md":
            tables = [line for line in text.splitlines() if line.startswith("|")]
            check(len(tables) == 8 and len({line.count("|") for line in tables[:4]}) == 1 and len({line.count("|") for line in tables[4:]}) == 1, text)
        if form == "table":
            check("x and speed-up are to cnn.h5" in text and f"paired on {results[0]['test_n']} test samples" in text, text)


def test_one_model_many_batches_and_threads(folder):
    record = bench(trained("mlp"), "--batch", 1, "--batch", "8,1000", "--bench-threads", "1,2", "--format", "json").record
    timings = record["results"][0]["timings"]
    check([(t["threads"], t["batch"]) for t in timings] == [(n, batch) for n in (1, 2) for batch in (1, 8, 1000)], timings)
    check(timings[1]["peak_activation_bytes"] < timings[2]["peak_activation_bytes"], "more samples take more memory")
    check(os.listdir(folder) == [], os.listdir(folder))


def test_without_accuracy_and_other_data(folder):
    record = bench(trained("mlp"), "--no-accuracy", "--batch", 1, "--format", "json").record
    check("test_top1" not in record["results"][0], record["results"])
    table = bench(trained("mlp"), "--no-accuracy", "--batch", 1, "--format", "table").out
    check(table.splitlines()[2].split()[2:6] == ["-"] * 4, table)
    noise = "synthetic:shape=1x8x8,classes=10,train=20,val=20,test=30"
    check(bench(trained("mlp"), "--data", noise, "--batch", 1, "--format", "json").record["results"][0]["test_n"] == 30, "data")
    refused(bench(trained("mlp"), "--data", "mnist5k", expect=3), "1x28x28")


def test_engines(folder):
    refused(bench(trained("cnn"), "--engine", "int8", expect=3), "cnn.h5", "ds-quantize")
    refused(bench(quantized("cnn"), "--engine", "eager", expect=3), "cnn-int8.h5", "--engine auto")
    refused(bench(trained("cnn"), "--engine", "eager,int8", expect=2), "--engine", "one for each")
    record = bench(trained("cnn"), quantized("cnn"), "--engine", "eager,int8", "--batch", 1, "--format", "json").record
    check([r["engine"] for r in record["results"]] == ["eager", "int8"], record["results"])


def test_a_dry_run_writes_nothing(folder):
    check("results" not in bench(trained("cnn"), "-n", "--format", "json", "-o", f"{folder}/a.json").record, "it measured")
    check(os.listdir(folder) == [], os.listdir(folder))


def test_usage(folder):
    refused(run("ds-bench", expect=2), "MODEL", "is required")
    for flag, value in (("--batch", 0), ("--rounds", 1), ("--bench-threads", 0), ("--min-time", -1), ("--engine", "fast"), ("--format", "xml")):
        refused(run("ds-bench", trained("mlp"), flag, value, expect=2), flag, f"{value}")
    refused(bench(f"{folder}/none.h5", expect=3), "none.h5")
    refused(bench(trained("mlp"), "-o", f"{folder}/none/a.json", expect=4), f"{folder}/none")
    open(f"{folder}/mine.json", "w").write("mine")
    refused(bench(trained("mlp"), "-o", f"{folder}/mine.json", expect=2), "mine.json", "exists")
    check(open(f"{folder}/mine.json").read() == "mine", "it was overwritten")


if __name__ == "__main__":
    main(__name__)
