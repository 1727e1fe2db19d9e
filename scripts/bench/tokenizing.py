#!/usr/bin/env python3
"""Encodes the lines of a text, one thread, against Hugging Face's `tokenizers` with the same documents; prints times and ratios.

    ninja -C build tokenize
    venv/bin/python scripts/bench/tokenizing.py [--build build] [--text FILE] [--rounds 5] [TOKENIZER.json ...]

Needs the Python package tokenizers. Without TOKENIZER.json: the documents of tests/golden/tokenizers; without --text: 4 MB of sentences made of
their hard text and English words. Both sides run in turns, each in a process of its own; a figure is the least of 3 passes over the text, and of
those the median of the rounds. The peer is called line by line with encode_batch_fast, which leaves offsets out as ds does; its time has the call from
Python in it. The ids are compared first.
"""
import argparse
import json
import pathlib
import random
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
PEER = """
import json, sys, time, tokenizers
tokenizer = tokenizers.Tokenizer.from_file(sys.argv[1])
lines = open(sys.argv[2], encoding="utf-8", newline="").read().split("\\n")[:-1]
times = []
for _ in range(3):
    total = 0
    start = time.perf_counter()
    if hasattr(tokenizer, "encode_batch_fast"):
        for line in lines:
            total += len(tokenizer.encode_batch_fast([line])[0].ids)
    else:
        for line in lines:
            total += len(tokenizer.encode(line).ids)
    times.append(time.perf_counter() - start)
print(json.dumps({"seconds": min(times), "tokens": total}))
"""


def sentences(path, size):
    source = random.Random(1)
    texts = [text[0].replace("\n", " ") for text in json.loads((ROOT / "tests/golden/tokenizers/texts.json").read_text()) if 10 < len(text[0]) < 80]
    words = (ROOT / "README.md").read_text().split()
    with open(path, "w", encoding="utf-8", newline="") as file:
        while file.tell() < size:
            parts = source.choices(words, k=source.randint(5, 30))
            if source.random() < 0.2:
                parts.append(source.choice(texts))
            file.write(" ".join(parts) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", default="build")
    parser.add_argument("--text")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("tokenizers", nargs="*")
    options = parser.parse_args()
    environment = {"RAYON_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "PATH": "/usr/bin"}
    with tempfile.TemporaryDirectory() as folder:
        text = options.text or f"{folder}/text.txt"
        if not options.text:
            sentences(text, 4 << 20)
        names = options.tokenizers
        if not names:
            for path in sorted((ROOT / "tests/golden/tokenizers").glob("*.json")):
                content = json.loads(path.read_text())
                if "document" in content:
                    names.append(f"{folder}/{path.name}")
                    pathlib.Path(names[-1]).write_text(json.dumps(content["document"]))
        megabytes = pathlib.Path(text).stat().st_size / 1e6
        for name in names:
            document = json.loads(pathlib.Path(name).read_text())
            document["truncation"] = document["padding"] = None
            plain = f"{folder}/plain.json"
            pathlib.Path(plain).write_text(json.dumps(document))
            ours, theirs = [], []
            for _ in range(options.rounds):
                for times, call in ((ours, [f"{options.build}/bin/tokenize", plain, "--time", text, "3"]), (theirs, [sys.executable, "-c", PEER, plain, text])):
                    times.append(json.loads(subprocess.run(call, check=True, capture_output=True, text=True, env=environment).stdout))
            if ours[0]["tokens"] != theirs[0]["tokens"]:
                sys.exit(f"{name}: {ours[0]['tokens']} tokens, the peer has {theirs[0]['tokens']}")
            mine, peer = (statistics.median(run["seconds"] for run in runs) for runs in (ours, theirs))
            print(f"{pathlib.Path(name).stem:18} ds {megabytes / mine:6.2f} MB/s   tokenizers {megabytes / peer:6.2f} MB/s   {peer / mine:.2f}x", flush=True)


if __name__ == "__main__":
    main()
