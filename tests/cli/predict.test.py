"""ds-predict: the same as ds-eval on the same pictures, texts and rows, its lines, pipes that stream, files, int8, and inputs that cannot be read."""
import csv
import importlib.util
import json
import math
import os
import signal
import struct
import subprocess
import sys
import zlib

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from cli import SOURCE, check, command, main, refused, run, start  # noqa: E402

SMALL = ["--threads", 1, "-q"]
IMAGES = os.path.join(SOURCE, "tests/golden/images")
HOME = os.environ.get("DS_HOME") or os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "ds")
made = {}


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, pixels):
    """A grey picture of 8 bits."""
    rows = b"".join(b"\0" + pixels[y * width:(y + 1) * width] for y in range(height))
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def write(path, data):
    with open(path, "wb") as file:
        file.write(data)
    return path


def digits(folder):
    """The test split of digits, a PNG a picture."""
    bytes_ = open(os.path.join(HOME, "data/digits/test-images-idx3-ubyte"), "rb").read()
    _, n, height, width = struct.unpack(">IIII", bytes_[:16])
    size = height * width
    return [write(f"{folder}/{i:04}.png", png(width, height, bytes_[16 + i * size:16 + (i + 1) * size])) for i in range(n)]


def model(folder, *more):
    """A checkpoint trained on digits, made once for all tests; its path."""
    if more not in made:
        path = f"{folder}/net.h5"
        run("ds-train", "--data", "digits", "--epochs", 1, "-o", path, *SMALL, *(more or ["--model", "mlp"]))
        made[more] = open(path, "rb").read()
    return write(f"{folder}/net.h5", made[more])


def lines(result):
    return [json.loads(line) for line in result.out.splitlines()]


def same_as_eval(folder, net, pictures):
    run("ds-eval", net, "--predictions", f"{folder}/p.csv", "-f", *SMALL)
    rows = list(csv.DictReader(open(f"{folder}/p.csv")))
    found = lines(run("ds-predict", net, *pictures, "--top", 1, "--batch-size", 50, *SMALL))
    check(len(rows) == len(found) == len(pictures), len(rows), len(found), len(pictures))
    for row, line, picture in zip(rows, found, pictures):
        check(line["input"] == picture and line["labels"] == [row["prediction"]], line, row)
        check(abs(line["scores"][0] - float(row["confidence"])) < 2e-6, line, row)


def test_equals_eval_in_float_and_int8(folder):
    pictures, net = digits(folder), model(folder, "--model", "cnn")
    same_as_eval(folder, net, pictures)
    run("ds-quantize", net, "-o", f"{folder}/int8.h5", *SMALL)
    same_as_eval(folder, f"{folder}/int8.h5", pictures)


def test_lines(folder):
    pictures, net = digits(folder)[:5], model(folder)
    record = f"{folder}/record.json"
    all_ = lines(run("ds-predict", net, *pictures, "--top", 99, "--record", record, *SMALL))
    for line in all_:
        check(list(line) == ["input", "labels", "scores"] and sorted(line["labels"]) == [str(i) for i in range(10)], line)
        check(line["scores"] == sorted(line["scores"], reverse=True) and abs(sum(line["scores"]) - 1) < 1e-5, line)
    for line, short in zip(all_, lines(run("ds-predict", net, *pictures, *SMALL))):
        check(short["labels"] == line["labels"][:5] and short["scores"] == line["scores"][:5], short, line)
    kept = json.load(open(record))
    check(kept["status"] == "done" and kept["metrics"]["inputs"] == 5 and kept["metrics"]["failed"] == 0, kept)
    check(kept["inputs"][0]["path"].endswith("net.h5"), kept)
    raw = lines(run("ds-predict", net, *pictures, "--raw", *SMALL))
    for line, scores in zip(all_, raw):
        check(list(scores) == ["input", "output"] and len(scores["output"]) == 10, scores)
        check(scores["output"].index(max(scores["output"])) == int(line["labels"][0]), scores, line)


def test_a_pipe_of_names(folder):
    pictures, net = digits(folder)[:40], model(folder)
    for picture in os.listdir(folder):
        if picture.endswith(".png") and f"{folder}/{picture}" not in pictures:
            os.remove(f"{folder}/{picture}")
    whole = subprocess.run(["bash", "-c", 'ls *.png | "$0" net.h5 - --threads 1 -b 7', *command("ds-predict")], capture_output=True, cwd=folder, timeout=120)
    check(whole.returncode == 0, whole.stderr)
    found = [json.loads(line) for line in whole.stdout.splitlines()]
    given = lines(run("ds-predict", net, *pictures, *SMALL))
    check([line["input"] for line in found] == [os.path.basename(picture) for picture in pictures], found)
    check([line["labels"] for line in found] == [line["labels"] for line in given], "a pipe changes predictions")
    # Names on the command line keep their place about those of stdin; a last line may lack its end, and lines may end as on Windows.
    mixed = run("ds-predict", net, pictures[0], "-", pictures[3], *SMALL, stdin=f"{pictures[1]}\r\n{pictures[2]}".encode())
    check([line["input"] for line in lines(mixed)] == pictures[:4], mixed.out)
    check(run("ds-predict", net, "-", *SMALL, stdin=b"").out == "", "lines from nothing")
    # The model by its bytes.
    by_bytes = run("ds-predict", "-", *pictures[:3], *SMALL, stdin=open(net, "rb").read())
    check(lines(by_bytes) == given[:3], by_bytes.out)


def test_predictions_come_before_stdin_ends(folder):
    pictures, net = digits(folder)[:3], model(folder)
    child = start("ds-predict", net, "-", *SMALL, stdin=subprocess.PIPE)
    for picture in pictures:
        child.stdin.write(picture + "\n")
        child.stdin.flush()
        check(json.loads(child.stdout.readline())["input"] == picture, picture)
    child.stdin.close()
    check(child.wait(60) == 0 and child.stdout.read() == "", child.stderr.read())


def test_a_signal_while_it_waits(folder):
    picture, net = digits(folder)[0], model(folder)
    child = start("ds-predict", net, "-", *SMALL, stdin=subprocess.PIPE)
    child.stdin.write(picture + "\n")
    child.stdin.flush()
    check(json.loads(child.stdout.readline())["input"] == picture, "no prediction")
    child.send_signal(signal.SIGTERM)
    check(child.wait(60) == 130 and "interrupted" in child.stderr.read(), child.returncode)


def test_a_reader_that_goes_away_is_nobodys_error(folder):
    pictures, net = digits(folder), model(folder)
    line = '"$0" "$@" --threads 1 -b 1 | head -n 1; echo "${PIPESTATUS[0]}"'
    done = subprocess.run(["bash", "-c", line, *command("ds-predict", net, *pictures)], capture_output=True, text=True, timeout=120)
    out = done.stdout.splitlines()
    check(len(out) == 2 and out[1] == "0" and json.loads(out[0])["input"] == pictures[0] and done.stderr == "", done)


def test_a_file(folder):
    pictures, net = digits(folder)[:4], model(folder)
    plain = run("ds-predict", net, *pictures, *SMALL)
    result = run("ds-predict", net, *pictures, "-o", f"{folder}/out.jsonl", "--format", "json", *SMALL)
    check(open(f"{folder}/out.jsonl").read() == plain.out, "the file differs from stdout")
    check(result.record["predictions"] == os.path.realpath(f"{folder}/out.jsonl") and result.record["metrics"]["inputs"] == 4, result.out)
    refused(run("ds-predict", net, *pictures, "-o", f"{folder}/out.jsonl", expect=2), "out.jsonl")
    refused(run("ds-predict", net, *pictures, "-o", pictures[0], "-f", expect=2), pictures[0])
    dry = run("ds-predict", net, *pictures, "-o", f"{folder}/none.jsonl", "-n", "--format", "json", *SMALL)
    check(dry.record["metrics"]["parameters"] > 0 and not os.path.exists(f"{folder}/none.jsonl"), dry.out)


def test_bad_inputs_have_lines_of_their_own(folder):
    good, net = digits(folder)[0], model(folder)
    jpeg, whole = open(f"{IMAGES}/420.jpg", "rb").read(), open(good, "rb").read()
    bad = {
        f"{folder}/none.png": "no such file",
        write(f"{folder}/empty.png", b""): "is empty",
        write(f"{folder}/cut.jpg", jpeg[:-200]): "is truncated",
        write(f"{folder}/zero.png", whole[:16] + b"\0\0\0\0" + whole[20:]): "has no pixels: 0x8",
        write(f"{folder}/huge.png", whole[:16] + b"\x7f\xff\xff\xff" * 2 + whole[24:]): "2147483647x2147483647 pixels",
        write(f"{folder}/text.png", b"a line of text\n"): "is neither JPEG nor PNG",
        folder: "",
    }
    inputs = [good, *bad, good]
    record = f"{folder}/record.json"
    result = run("ds-predict", net, *inputs, "-b", 3, "--threads", 1, "--record", record, expect=3)
    found = lines(result)
    check([line["input"] for line in found] == inputs, "order", found)
    check("labels" in found[0] and found[0] == found[-1], found)
    for line, said in zip(found[1:-1], bad.values()):
        check(list(line) == ["input", "error"] and said in line["error"], line, said)
    refused(result, "none.png: no such file (7 of 9 inputs have no prediction)")
    kept = json.load(open(record))
    check(kept["status"] == "failed" and kept["metrics"]["inputs"] == 9 and kept["metrics"]["failed"] == 7, kept)
    # Lines of stdin: an empty one and one with a zero byte are inputs, too, so that line k answers line k.
    piped = run("ds-predict", net, "-", *SMALL, stdin=f"\n{good}\nx\0y\n".encode(), expect=3)
    found = lines(piped)
    check(len(found) == 3 and "empty line" in found[0]["error"] and "labels" in found[1] and "zero byte" in found[2]["error"], piped.out)
    refused(run("ds-predict", net, "-", *SMALL, stdin=b"x" * 200000, expect=3), "a line of stdin")
    # Names that are no UTF-8 still give JSON.
    odd = subprocess.run(command("ds-predict", net, "-", *SMALL), input=b"\xff\xfe.png\n", capture_output=True, timeout=60)
    check(odd.returncode == 3 and json.loads(odd.stdout.decode()) == {"input": "\ufffd\ufffd.png", "error": "no such file"}, odd)
    # A file has all lines, too.
    filed = run("ds-predict", net, *inputs, "-b", 3, "--threads", 1, "-o", f"{folder}/out.jsonl", "--format", "json", expect=3)
    check(open(f"{folder}/out.jsonl").read() == result.out and filed.record["status"] == "failed", filed.out)


def test_kinds_of_pictures_at_the_models_size(folder):
    net = model(folder)
    names = [f"{IMAGES}/{name}" for name in sorted(os.listdir(IMAGES)) if name.endswith((".png", ".jpg"))]
    check(len(names) >= 28, names)
    check(all("labels" in line for line in lines(run("ds-predict", net, *names, *SMALL))), "a picture is not read")
    # Eight times as large, each pixel a block: the resize gives the picture back but for the blocks' neighbours.
    pixels = bytes(range(0, 256, 4))
    small = write(f"{folder}/small.png", png(8, 8, pixels))
    large = write(f"{folder}/large.png", png(80, 80, b"".join(bytes(pixels[y // 10 * 8 + x // 10] for x in range(80)) for y in range(80))))
    one, other = (line["output"] for line in lines(run("ds-predict", net, small, large, "--raw", *SMALL)))
    spread = max(one) - min(one)
    check(one != other and max(abs(a - b) for a, b in zip(one, other)) < 0.25 * spread, one, other)


def test_a_folder_of_pictures_is_data_and_the_same_pictures_are_predicted_alike(folder):
    """Trained, evaluated and predicted from files alone; the test pictures are larger than the model's size, and one is not square."""
    names = digits(folder)
    labels = open(os.path.join(HOME, "data/digits/test-labels-idx1-ubyte"), "rb").read()[8:]
    tests = []
    for i, name in enumerate(names):
        split, word = ("train" if i < 300 else "test"), f"digit {labels[i]}"
        os.makedirs(f"{folder}/set/{split}/{word}", exist_ok=True)
        path = f"{folder}/set/{split}/{word}/{i:04}.png"
        if split == "test":
            pixels = open(f"{IMAGES}/scene.png", "rb").read() if i == 300 else png(20, 24, bytes((i * 7 + p * 5) % 256 for p in range(480)))
            tests.append(write(path, pixels))
        else:
            os.rename(name, path)
    data, net = "folder:set?size=8,channels=1", f"{folder}/set.h5"
    run("ds-train", "--data", data, "--model", "mlp", "--epochs", 1, "-o", net, *SMALL, cwd=folder)
    # From another folder: the checkpoint knows where its data are.
    run("ds-eval", net, "--predictions", f"{folder}/p.csv", *SMALL, cwd="/")
    rows, found = list(csv.DictReader(open(f"{folder}/p.csv"))), lines(run("ds-predict", net, *sorted(tests), *SMALL))
    check(len(rows) == len(found) == len(tests) > 60, len(rows), len(found))
    for row, line in zip(rows, found):
        check(line["labels"][0] == f"digit {row['prediction']}" and os.path.dirname(line["input"]).endswith(row["label"]), line, row)
        check(abs(line["scores"][0] - float(row["confidence"])) < 2e-6, line, row)
    write(f"{folder}/set/train/digit 3/cut.png", open(tests[0], "rb").read()[:-20])
    refused(run("ds-eval", net, *SMALL, expect=3), "digit 3/cut.png: is truncated")


def test_a_table_is_data_and_its_columns_are_known_by_name(folder):
    def table(path, columns):
        with open(path, "w") as file:
            file.write(",".join(columns) + "\n")
            for i in range(200):
                row = {"a": i % 7, "b": (i * 5) % 11, "class": "low" if i % 7 < 4 else "high", "c": (i * 3) % 13}
                file.write(",".join(str(row[column if column in row else "c"]) for column in columns) + "\n")
        return path

    table(f"{folder}/t.csv", ["a", "b", "class"])
    net = f"{folder}/table.h5"
    call = ["--data", "csv:t.csv?target=class", "--model", "mlp", "--epochs", 30, "--batch-size", 16, "-o", net, "--format", "json", *SMALL]
    trained = run("ds-train", *call, cwd=folder).record["metrics"]
    check(trained["test_top1"] > 0.9, trained)
    found = run("ds-eval", net, "--format", "json", *SMALL, cwd="/").record
    check(found["metrics"]["test_top1"] == trained["test_top1"] and found["labels"] == ["high", "low"], found)
    # Another order of columns is another file of the same data; another column in the place of one is not.
    other = run("ds-eval", net, "--data", "csv:" + table(f"{folder}/o.csv", ["class", "b", "a"]) + "?target=class", "--split", "train", *SMALL)
    check("train_top1" in other.out, other.out)
    strange = "csv:" + table(f"{folder}/s.csv", ["a", "z", "class"]) + "?target=class"
    refused(run("ds-eval", net, "--data", strange, *SMALL, expect=3), 'takes columns ["a","b"]', 'has ["a","z"]')
    run("ds-quantize", net, "-o", f"{folder}/int8.h5", *SMALL)
    run("ds-report", net, f"{folder}/int8.h5", "-o", f"{folder}/r.html", "-q")
    # Rows of any file that has the columns: the target may be absent, others are not looked at, and the order is another.
    plain = lines(run("ds-predict", net, f"{folder}/t.csv", *SMALL))
    names = [f"{folder}/t.csv:{i + 2}" for i in range(200)]
    check([line["input"] for line in plain] == names, plain[:2])
    truth = [row["class"] for row in csv.DictReader(open(f"{folder}/t.csv"))]
    right = sum(line["labels"][0] == label for line, label in zip(plain, truth)) / 200
    all_splits = [(found["metrics"] if split == "test" else run("ds-eval", net, "--split", split, "--format", "json", *SMALL).record["metrics"])
                  for split in ("train", "val", "test")]
    counted = sum(m[f"{split}_top1"] * m[f"{split}_n"] for m, split in zip(all_splits, ("train", "val", "test"))) / 200
    check(abs(right - counted) < 1e-9, right, counted)
    other = lines(run("ds-predict", net, table(f"{folder}/p.csv", ["c", "b", "a"]), "-b", 7, *SMALL))
    check([line["labels"] for line in other] == [line["labels"] for line in plain], other[:2])
    piped = run("ds-predict", net, "-", *SMALL, stdin=b'a,b\r\n1,2\r\n\r\n"3", 4\r\n1\r\nx,2\r\n1,nan\r\n', expect=3)
    found = lines(piped)
    check([line["input"] for line in found] == [f"stdin:{i}" for i in (2, 4, 5, 6, 7)] and all("labels" in line for line in found[:2]), found)
    check("1 fields, expected 2" in found[2]["error"] and "'x', expected a finite number" in found[3]["error"] and "'nan'" in found[4]["error"], found)
    refused(piped, "stdin:5: 1 fields")
    refused(run("ds-predict", net, f"{folder}/s.csv", *SMALL, expect=3), "s.csv: its first line has no column 'b'")
    refused(run("ds-predict", net, f"{folder}/none.csv", *SMALL, expect=3), "none.csv: no such file")


TEXT_NET = ["--model", "bert_tiny", "--model.dim", 32, "--model.heads", 2, "--model.depth", 1, "--model.mlp_dim", 32, "--model.max_positions", 128]


def test_lines_of_text_have_the_classes_that_eval_finds(folder):
    words = ["the sun", "a río", "東京", "é or e\u0301", "it's 5.5", "naïve", "under the bridge of sighs"]
    texts = []
    for split, number in (("train", 60), ("val", 4), ("test", 20)):
        for name in ("rain", "shine"):
            os.makedirs(f"{folder}/set/{split}/{name}")
            for i in range(number):
                text = f"{words[i % 7]} {'wet and grey' if name == 'rain' else 'warm!'} {'x' * (i % 13)}{i}"
                write(f"{folder}/set/{split}/{name}/{i:03}.txt", text.encode())
                if split == "test":
                    texts.append(text)
    net = f"{folder}/net.h5"
    run("ds-train", "--data", "text:set?length=48", *TEXT_NET, "--epochs", 4, "-o", net, *SMALL, cwd=folder)
    run("ds-eval", net, "--predictions", f"{folder}/p.csv", *SMALL, cwd="/")
    rows = list(csv.DictReader(open(f"{folder}/p.csv")))
    path = write(f"{folder}/texts.txt", "\n".join(texts).encode())
    plain = run("ds-predict", net, path, *SMALL)
    found = lines(plain)
    check(len(rows) == len(found) == 40 and [line["input"] for line in found] == texts, len(rows), found[:2])
    wanted = sorted((["rain", "shine"][int(row["prediction"])], round(float(row["confidence"]), 4)) for row in rows)
    check(sorted((line["labels"][0], round(line["scores"][0], 4)) for line in found) == wanted, found[:3], rows[:3])
    # Batches of like lengths give the lines in the inputs' order, whatever the batch.
    for size in (1, 7):
        other = lines(run("ds-predict", net, path, "-b", size, *SMALL))
        check([(line["input"], line["labels"]) for line in other] == [(line["input"], line["labels"]) for line in found], size)
    raw = lines(run("ds-predict", net, "-", "--raw", *SMALL, stdin="\n".join(texts[:3]).encode()))
    check([line["input"] for line in raw] == texts[:3] and all(len(line["output"]) == 2 for line in raw), raw)
    pairs = write(f"{folder}/pairs.jsonl", b'{"text": "one", "pair": "two"}\n{"text": "one"}\n[1]\n{"text": 3}\n')
    found = lines(run("ds-predict", net, pairs, *SMALL, expect=3))
    check(found[0]["pair"] == "two" and found[0]["input"] == "one" and found[0]["scores"] != found[1]["scores"], found)
    check("no JSON object" in found[2]["error"] and "no JSON object" in found[3]["error"], found)
    check(lines(run("ds-predict", net, "-", "--jsonl", *SMALL, stdin=b'{"text": "one"}\n'))[0]["labels"] == found[1]["labels"], "--jsonl")
    # Bytes that are no UTF-8, a line without a token, one that is far longer than the model takes.
    odd = subprocess.run(command("ds-predict", net, "-", *SMALL), input=b"\xef\xbb\xbfok\nab\xff\n\n" + b"long " * 5000, capture_output=True, timeout=60)
    found = [json.loads(line) for line in odd.stdout.decode().splitlines()]
    check(odd.returncode == 3 and [len(line) for line in found] == [3, 2, 2, 3] and found[0]["input"] == "ok", odd)
    check("byte 2 is 0xff" in found[1]["error"] and "no tokens" in found[2]["error"] and b"stdin:2: the text is no UTF-8" in odd.stderr, odd)
    refused(run("ds-predict", net, f"{folder}/none.txt", *SMALL, expect=3), "none.txt: no such file")
    refused(run("ds-predict", net, folder, *SMALL, expect=3), folder)
    # int8, too.
    run("ds-quantize", net, "-o", f"{folder}/int8.h5", *SMALL)
    found = lines(run("ds-predict", f"{folder}/int8.h5", path, *SMALL))
    check(len(found) == 40 and all(line["labels"][0] in ("rain", "shine") for line in found), found[:2])


def test_masks_are_filled_and_texts_go_on(folder):
    write(f"{folder}/book.txt", b"All work and no play makes Jack a dull boy. " * 60)
    masked = f"{folder}/masked.h5"
    run("ds-train", "--data", "text:book.txt?task=masked-lm,length=32", *TEXT_NET, "--model.head", "masked-lm", "--epochs", 1, "-o", masked, *SMALL, cwd=folder)
    result = run("ds-predict", masked, "-", "--top", 3, *SMALL, stdin=b"All w[MASK]rk and n[MASK] play\nno mask\n", expect=3)
    found = lines(result)
    check(len(found[0]["masks"]) == 2 and all(len(mask["tokens"]) == len(mask["scores"]) == 3 for mask in found[0]["masks"]), found)
    check("[MASK]" not in found[0]["filled"] and found[0]["filled"].startswith("All w"), found)
    check("has no [MASK]" in found[1]["error"], found)
    raw = lines(run("ds-predict", masked, "-", "--raw", *SMALL, stdin=b"abc\nabcdef\n"))
    check([len(line["output"]) for line in raw] == [3, 6], "padding is no output:", [len(line["output"]) for line in raw])
    causal = f"{folder}/causal.h5"
    run("ds-train", "--data", "text:book.txt?length=32", "--model", "gpt2_tiny", "--epochs", 1, "-o", causal, *SMALL, cwd=folder)
    found = lines(run("ds-predict", causal, "-", "--top", 4, *SMALL, stdin=b"All work\nAll work and no\n"))
    for line in found:
        check(len(line["next"]["tokens"]) == 4 and 0 < sum(line["next"]["scores"]) <= 1.00001, line)
    alone = lines(run("ds-predict", causal, "-", "--top", 4, *SMALL, stdin=b"All work\n"))[0]
    check(alone["next"]["tokens"] == found[0]["next"]["tokens"], "padding is seen:", alone, found[0])


def test_labels_of_tokens_and_embeddings_of_texts(folder):
    """A net from a folder of Hugging Face; what is printed is worked out from --raw here."""
    spec = importlib.util.spec_from_file_location("hf_folder", os.path.join(SOURCE, "tests/cli/hf_folder.test.py"))
    hf = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(hf)
    names = {"0": "O", "1": "B-PER", "2": "I-PER"}
    place = hf.made(folder, "tokens", {**hf.encoder("bert."), "classifier.weight": [3, hf.D], "classifier.bias": [3]},
                    architectures=["BertForTokenClassification"], id2label=names)
    run("ds-convert", place, "-o", f"{folder}/tokens.h5", *SMALL)
    text = "good films \u00e9 a BAD"
    line = lines(run("ds-predict", f"{folder}/tokens.h5", "-", *SMALL, stdin=text.encode()))[0]
    check(line["tokens"] == ["good", "film", "##s", "[UNK]", "a", "bad"], line)
    raw = lines(run("ds-predict", f"{folder}/tokens.h5", "-", "--raw", *SMALL, stdin=f"a\n{text}".encode()))
    check([len(one["output"]) for one in raw] == [3, 8], "special tokens count, padding does not:", raw)
    for scores, label, share in zip(raw[1]["output"][1:-1], line["labels"], line["scores"], strict=True):
        powers = [math.exp(score) for score in scores]
        check(label == names[str(powers.index(max(powers)))] and abs(share - max(powers) / sum(powers)) < 1e-5, scores, label, share)
    place = hf.sentences(folder)
    run("ds-convert", place, "-o", f"{folder}/sentences.h5", *SMALL)
    texts = write(f"{folder}/sentences.txt", b"good film\n" + b"a bad film " * 9 + b"\na\n")
    plain = lines(run("ds-predict", f"{folder}/sentences.h5", texts, *SMALL))
    raw = lines(run("ds-predict", f"{folder}/sentences.h5", texts, "--raw", "-b", 1, *SMALL))
    for one, other in zip(plain, raw, strict=True):
        check(list(one) == ["input", "embedding"] and list(other) == ["input", "output"], one, other)
        check(len(one["embedding"]) == hf.D and abs(sum(x * x for x in one["embedding"]) - 1) < 1e-5, one)
        check(max(abs(a - b) for a, b in zip(one["embedding"], other["output"])) < 1e-5, "padding is seen:", one, other)


def test_models_that_do_not_fit(folder):
    good, net = digits(folder)[0], model(folder)
    refused(run("ds-predict", net, expect=2), "INPUT")
    refused(run("ds-predict", "-", "-", expect=2), "more than once")
    refused(run("ds-predict", f"{folder}/none.h5", good, expect=3), "none.h5")
    refused(run("ds-predict", good, net, expect=3), good)
    run("ds-train", "--data", "synthetic:shape=2x8x8,classes=3,train=12,val=0,test=0", "--model", "mlp", "--epochs", 0, "-o", f"{folder}/two.h5", *SMALL)
    refused(run("ds-predict", f"{folder}/two.h5", good, expect=3), "two.h5:/documents/preprocessing", "2 channels, expected 1 or 3")


if __name__ == "__main__":
    main(__name__)
