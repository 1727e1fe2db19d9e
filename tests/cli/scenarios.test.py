#!/usr/bin/env python3
"""The documented scenarios from their configs, end to end on little data in the same forms: train, evaluate, predict. What they reach on the real data
scripts/bench/scenarios.py says."""
import json
import math
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from cli import SOURCE, check, fails, main, run
from standins import bible, cifar10, fortunes


def config(name):
    return os.path.join(SOURCE, "configs", name)


def script(name, *arguments, env=None, expect=0):
    done = subprocess.run(["bash", os.path.join(SOURCE, "scripts/data", name), *arguments], capture_output=True, text=True, env={**os.environ, **(env or {})})
    check(done.returncode == expect, name, arguments, done.returncode, done.stderr)
    return done


def test_resnet50_on_cifar10s_binary_form(folder):
    cifar10(os.path.join(folder, "data/cifar10"), each=10)
    record = run("ds-train", "-c", config("resnet50-cifar10.yaml"), "--epochs", 1, "--threads", 1, "-o", "r.h5", "--format", "json", cwd=folder).record
    shown = record["config"]
    check(shown["model"]["arch"] == "resnet50" and shown["train"]["batch_size"] == 32, shown)
    check(shown["optim"]["lr"] == 0.001 and shown["optim"]["weight_decay"] == 0.01, shown["optim"])
    # 50 images less those of the validation split, in batches of 32; 23,520,842 parameters: torchvision's ResNet-50 with 10 classes and a 3x3 stem.
    check(record["metrics"]["steps"] == 2 and record["metrics"]["parameters"] == 23520842, record["metrics"])
    told = run("ds-eval", "r.h5", "--threads", 1, "--format", "json", cwd=folder).record
    check(told["metrics"]["test_n"] == 10, told["metrics"])


def test_a_batch_that_was_cut_short_is_named(folder):
    place = cifar10(os.path.join(folder, "data/cifar10"), each=10)
    file = os.path.join(place, "data_batch_3.bin")
    os.truncate(file, 3073 * 10 - 1)
    fails(["ds-train", "-c", config("resnet50-cifar10.yaml"), "-o", "r.h5"], 3, file.removeprefix(folder + "/"), "30729 bytes, expected a multiple of 3073", cwd=folder)


def test_minilm_on_categories_of_texts(folder):
    fortunes(os.path.join(folder, "data/fortunes"), each=100)
    small = ["--model.dim", 32, "--model.depth", 1, "--model.heads", 2, "--model.mlp_dim", 64, "--epochs", 20, "--lr", 0.005, "--threads", 1]
    record = run("ds-train", "-c", config("minilm-fortunes.yaml"), *small, "-o", "f.h5", "--format", "json", cwd=folder).record
    check(record["metrics"]["test_top1"] >= 0.9, record["metrics"])
    lines = run("ds-predict", "f.h5", "-", "--top", 1, stdin=b"the judge told the jury of the verdict\nonion soup with pepper and bread\n", cwd=folder).out.splitlines()
    check([json.loads(line)["labels"] for line in lines] == [["law"], ["food"]], lines)


def test_gpt_on_one_text(folder):
    bible(os.path.join(folder, "data/bible.txt"), verses=200)
    small = ["--model.dim", 32, "--model.depth", 1, "--model.heads", 2, "--model.mlp_dim", 64, "--epochs", 40, "--lr", 0.015, "--threads", 1]
    record = run("ds-train", "-c", config("gpt-bible.yaml"), *small, "-o", "g.h5", "--format", "json", cwd=folder).record
    # Each line is the same but for its number, so that few bytes are in doubt; where all are, perplexity is that of the 24 bytes there are.
    check(1 <= record["metrics"]["test_perplexity"] < 8, record["metrics"])
    check(math.isclose(record["metrics"]["test_perplexity"], math.exp(record["metrics"]["test_loss"]), rel_tol=1e-6), record["metrics"])


def test_fortunes_become_lines(folder):
    source = os.path.join(folder, "texts/fortunes/usr/share/games/fortunes")
    os.makedirs(source)
    for name in "art drugs education food kids law linux love perl sports startrek zippy".split():
        open(os.path.join(source, name), "w").write(f"One of {name}\n\twith  two lines.\n%\n_\x08A_\x08b\n%\n%\nlast, without an end")
    script("fortunes.sh", "-o", os.path.join(folder, "out"), env={"DS_HOME": folder})
    check(sorted(os.listdir(os.path.join(folder, "out"))) == [f"{n}.txt" for n in "art drugs education food kids law linux love perl sports startrek zippy".split()])
    check(open(os.path.join(folder, "out/law.txt")).read() == "One of law with two lines.\nAb\nlast, without an end\n", open(os.path.join(folder, "out/law.txt")).read())
    check("is there" in script("fortunes.sh", "-o", os.path.join(folder, "out"), env={"DS_HOME": folder}).stderr)
    os.remove(os.path.join(source, "perl"))
    check("has no 'perl'" in script("fortunes.sh", "-o", os.path.join(folder, "again"), env={"DS_HOME": folder}, expect=3).stderr)
    check(not os.path.exists(os.path.join(folder, "again")), "a folder was left that is not whole")


def test_a_text_that_is_not_the_bibles_is_refused(folder):
    source = os.path.join(folder, "texts/bible/usr/lib")
    os.makedirs(source)
    def packed(window):
        return b"EC02Compressed Data File".ljust(84, b"\0") + (65536).to_bytes(4, "big") + (1).to_bytes(4, "big") + (96).to_bytes(4, "big") + window
    # LZW of "ab": two codes of 9 bits, low bits first.
    for text, said in ((packed(b"\x61\xc4\x00"), "SHA-256"), (packed(b"\xff\xff\xff"), "window 1 of 1"), (b"something else", "is not of the format")):
        open(os.path.join(source, "bible.data"), "wb").write(text)
        check(said in script("bible.sh", "-o", os.path.join(folder, "b.txt"), env={"DS_HOME": folder}, expect=3).stderr)
        check(not os.path.exists(os.path.join(folder, "b.txt")) and not [n for n in os.listdir(folder) if ".new." in n], os.listdir(folder))


main(__name__)
