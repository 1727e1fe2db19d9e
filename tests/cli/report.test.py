"""ds-report: one page from a chain of checkpoints. Its pictures are there, its numbers are those of the files, it is one file without
scripts, the same inputs give the same bytes, and bad input leaves nothing behind."""
import atexit
import csv
import html.parser
import io
import json
import os
import re
import shutil
import sys
import tempfile
import xml.etree.ElementTree as ET

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../support"))
from cli import check, main, refused, run, snapshot  # noqa: E402
from lab import SMALL, inspect  # noqa: E402

NAMES = ("base", "pruned", "distilled", "int8")
VOID = {"meta", "br", "img"}
_chain = {}


def chain():
    """The four checkpoints and the records that made them, once for all tests."""
    if not _chain:
        folder = tempfile.mkdtemp(prefix="ds-report-")
        atexit.register(shutil.rmtree, folder)
        path = {name: f"{folder}/{name}.h5" for name in NAMES}
        made = {
            "base": run("ds-train", "--data", "digits", "--model", "cnn", "--set", "model.width=8", "--epochs", 2, *SMALL, "-o", path["base"]),
            "pruned": run("ds-prune", path["base"], "--ratio", 0.5, "--finetune-epochs", 1, *SMALL, "-o", path["pruned"]),
            "distilled": run("ds-distill", path["pruned"], "--teacher", path["base"], "--epochs", 1, *SMALL, "-o", path["distilled"]),
            "int8": run("ds-quantize", path["distilled"], *SMALL, "-o", path["int8"]),
        }
        _chain.update(path=path, made={name: result.record for name, result in made.items()}, text={name: result.out for name, result in made.items()})
    return _chain


def files():
    return list(chain()["path"].values())


class Balance(html.parser.HTMLParser):
    """Elements that open and close, and what they point to, as a browser reads them."""

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.links = [], [], []

    def handle_starttag(self, tag, attrs):
        self.handle_startendtag(tag, attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [value for name, value in attrs if name in ("src", "href", "srcset", "data", "action", "poster", "xlink:href")]
        check(not any(name.startswith("on") for name, _ in attrs), tag, attrs)

    def handle_endtag(self, tag):
        check(self.open and self.open.pop() == tag, f"</{tag}> closes", self.open[-3:])


def read_page(text):
    """Checks that a page is well-formed and self-contained; returns it as a tree."""
    page = Balance()
    page.feed(text)
    page.close()
    check(page.open == [], "left open:", page.open)
    check("script" not in page.tags and "link" not in page.tags and "iframe" not in page.tags, "it loads something")
    ids = set(re.findall(r' id="([^"]*)"', text))
    for link in page.links:
        check(link.startswith("data:image/png;base64,") or (link.startswith("#") and link[1:] in ids), "a link to elsewhere:", link[:80])
    check("@import" not in text and "url(" not in text, "the style loads something")
    check(text.startswith("<!DOCTYPE html>\n"), text[:40])
    return ET.fromstring(text.split("\n", 1)[1])


def section(tree, name):
    found = tree.findall(f".//section[@id='{name}']")
    return found[0] if found else None


def titles(element):
    """Alternative texts of the pictures."""
    return [svg.get("aria-label") for svg in element.iter("{http://www.w3.org/2000/svg}svg") if svg.get("aria-label")]


def rows(element):
    return [["".join(cell.itertext()).strip() for cell in row] for row in element.iter("tr")]


def report(folder, *inputs, name="report.html"):
    result = run("ds-report", *inputs, "-o", f"{folder}/{name}", "--format", "json")
    return result.record, open(f"{folder}/{name}", encoding="utf-8").read()


def rounded(value, units, step=1000):
    """As the page shows it: three significant digits and a unit."""
    unit = 0
    while value >= step * 0.9995 and unit + 1 < len(units):
        value, unit = value / step, unit + 1
    digits = 0 if unit == 0 or value >= 99.95 else 1 if value >= 9.995 else 2
    return f"{value:.{digits}f}{units[unit]}"


def size(value):
    return rounded(value, [" B", " kB", " MB"])


def number(value):
    return rounded(value, ["", " k", " M"])


def test_all_pictures_are_there(folder):
    record, text = report(folder, *files())
    check(os.listdir(folder) == ["report.html"], os.listdir(folder))
    check(record["outputs"][0]["path"] == f"{os.path.realpath(folder)}/report.html", record["outputs"])
    tree = read_page(text)
    check("cnn: 4 models on digits" in tree.find(".//h1").text, tree.find(".//h1").text)
    trade = titles(section(tree, "trade"))
    check(trade == ["Accuracy against latency of 4 models"] * 2, trade)  # for wide and for narrow screens
    check(titles(section(tree, "training")) == ["Loss", "Accuracy, %", "Learning rate"], titles(section(tree, "training")))
    legend = [item.find("span").text for item in section(tree, "training").iter("li")]
    check(legend == ["2 epochs, ds-train", "1 epoch, ds-prune", "1 epoch, ds-distill"], legend)
    classes = section(tree, "classes")
    check([card.find("h3").text.strip() for card in classes.iter("article")] == list(NAMES), "a card each")
    for name, card in zip(NAMES, classes.iter("article")):
        check(titles(card) == [f"Confusion matrix: {name}", f"Accuracy of each class: {name}"], titles(card))
        facts = inspect(chain()["path"][name])["evaluation"]
        wrong = round(facts["n"] * (1 - facts["top1"]))
        check(card.find("h3/small").text == f"{wrong} wrong of {facts['n']}, {facts['split']} split", card.find("h3/small").text)
        check(len(list(card.iter("img"))) == min(12, wrong), name, wrong)
    steps = list(section(tree, "provenance").iter("li"))
    check([step.find(".//header/b").text for step in steps] == ["ds-train", "ds-prune", "ds-distill", "ds-quantize"], "the chain")
    check([step.find(".//header/code").text for step in steps] == [chain()["made"][name]["outputs"][0]["digest"][:12] for name in NAMES], "digests")
    commands = ["".join(line.itertext()).split() for line in section(tree, "commands").iter("code")]
    check([line[0] for line in commands] == ["ds-train", "ds-prune", "ds-distill", "ds-quantize"] and commands[0][1:3] == ["--data", "digits"], commands)
    check([table.find("summary").text for table in section(tree, "layers").iter("details")] == ["pruned", "int8"], "layers that changed")


def test_numbers_are_those_of_the_files(folder):
    record, text = report(folder, *files())
    check([model["name"] for model in record["models"]] == list(NAMES), record["models"])
    shown = rows(section(read_page(text), "models"))
    head, base = shown[0], None
    for name, model, cells in zip(NAMES, record["models"], shown[1:]):
        facts, path = inspect(chain()["path"][name]), chain()["path"][name]
        for key in ("parameters", "macs", "tensor_bytes", "file_bytes"):
            check(model[key] == facts["metrics"][key], name, key, model[key])
        check(model["digest"] == facts["inputs"][0]["digest"] and model["file_bytes"] == os.path.getsize(path), model)
        base = base or facts["metrics"]
        made = chain()["made"][name]["metrics"] if name != "base" else {
            key[len("before_"):]: value for key, value in chain()["made"]["pruned"]["metrics"].items() if key.startswith("before_")}
        check(model["split"] == "val" and model["top1"] == made["val_top1"] and model["top1_low"] == made["val_top1_low"], model, made)
        wanted = {"top-1, %": f"{100 * made['val_top1']:.2f}val"}
        for title, key, show in (("parameters", "parameters", number), ("MACs", "macs", number), ("tensors", "tensor_bytes", size),
                                 ("file", "file_bytes", size)):
            ratio = "" if name == "base" else f"{facts['metrics'][key] / base[key]:.2f}\u00d7"
            wanted[title] = show(facts["metrics"][key]) + ratio
        for title, value in wanted.items():
            check(cells[head.index(title)] == value, name, title, cells[head.index(title)], value)
        check(cells[2].endswith(f"{100 * made['val_top1_low']:.2f} to {100 * made['val_top1_high']:.2f}"), cells[2])


def test_forms_of_the_table(folder):
    models = run("ds-report", *files(), "--format", "json").record["models"]
    lines = list(csv.DictReader(io.StringIO(run("ds-report", *files(), "--format", "csv").out)))
    check(len(lines) == 4, lines)
    for line, model in zip(lines, models):
        for key, cell in line.items():
            wanted = model.get(key, "")
            check(cell == (wanted if isinstance(wanted, str) else json.dumps(wanted)), key, cell, wanted)
    for form in ("table", "md"):
        text = run("ds-report", *files(), "--format", form).out
        for model in models:
            line = next(line for line in text.splitlines() if model["name"] in line)
            check(all(part in line for part in (f"{100 * model['top1']:.2f}", size(model["tensor_bytes"]), size(model["file_bytes"]))), line)
        check(len({len(line) for line in text.splitlines()}) == 1 or form == "md", text)
    check(os.listdir(folder) == [], "without -o nothing is written")


def test_the_same_inputs_give_the_same_page(folder):
    _, first = report(folder, *files())
    _, second = report(folder, *files(), name="again.html")
    check(first == second, "another page")
    piped = run("ds-report", *files(), "-o", "-")
    check(piped.out == first, "another page on stdout")
    reverse = run("ds-report", *reversed(files()), "--format", "csv").out
    check([line.split(",")[0] for line in reverse.splitlines()[1:]] == list(NAMES), "parents come first", reverse)
    check(run("ds-report", *files(), "-n", "-o", f"{folder}/dry.html").code == 0 and not os.path.exists(f"{folder}/dry.html"), "a dry run writes nothing")


def test_records_beside_checkpoints(folder):
    path = chain()["path"]
    run("ds-bench", path["base"], path["int8"], "--rounds", 5, "--warmup", 0, "--min-time", 0, "--batch", "1,4", *SMALL, "-o", f"{folder}/bench.json")
    run("ds-eval", path["base"], *SMALL, "--record", f"{folder}/eval.yaml")
    results = json.load(open(f"{folder}/bench.json"))["results"]
    record, text = report(folder, path["base"], path["int8"], f"{folder}/bench.json", f"{folder}/eval.yaml")
    for model, result in zip(record["models"], results):
        timing = result["timings"][0]
        check(model["split"] == "test" and model["top1"] == result["test_top1"], model)
        check(model["latency_p50_s"] == timing["latency_p50_s"] and model["latency_p99_s"] == timing["latency_p99_s"] and model["batch"] == 1, model)
    tree = read_page(text)
    speed = rows(section(tree, "speed"))
    check([row[:3] for row in speed[1:]] == [["base", "1", "1"], ["base", "4", "1"], ["int8", "1", "1"], ["int8", "4", "1"]], speed)
    for row, timing in zip(speed[1:3], results[0]["timings"]):
        check(row[6] == size(timing["peak_memory_bytes"]), row, timing)
    for row, timing, first in zip(speed[3:], results[1]["timings"], results[0]["timings"]):
        check(row[6] == size(timing["peak_memory_bytes"]) + f"{timing['peak_memory_bytes'] / first['peak_memory_bytes']:.2f}\u00d7", row)
    check("ds-bench" in "".join(section(tree, "commands").itertext()) and "ds-eval" in "".join(section(tree, "commands").itertext()), "commands")
    alone = run("ds-report", f"{folder}/bench.json", "--format", "json").record["models"]
    check([model["digest"] for model in alone] == [model["digest"] for model in record["models"]], alone)
    piped = run("ds-report", "-", path["base"], "--format", "json", stdin=open(f"{folder}/bench.json", "rb").read()).record["models"]
    check([model["digest"] for model in piped] == [model["digest"] for model in record["models"]], piped)


def test_stdin(folder):
    path = chain()["path"]
    by_bytes = run("ds-report", "-", path["pruned"], "-o", f"{folder}/a.html", "--format", "json", stdin=open(path["base"], "rb").read()).record
    by_record = run("ds-report", path["pruned"], "-", "--format", "json", stdin=chain()["text"]["base"].encode()).record
    for record, name in ((by_bytes, "stdin"), (by_record, "base")):
        check([model["name"] for model in record["models"]] == [name, "pruned"], record["models"])
        check(record["models"][0]["file_bytes"] == os.path.getsize(path["base"]), record["models"][0])
    read_page(open(f"{folder}/a.html", encoding="utf-8").read())
    before = snapshot(folder)
    changed = json.dumps({**chain()["made"]["base"], "outputs": [{**chain()["made"]["base"]["outputs"][0], "digest": "0" * 64}]})
    refused(run("ds-report", "-", expect=3, stdin=changed.encode()), "root digest")
    refused(run("ds-report", "-", "-o", f"{folder}/b.html", expect=3), "stdin is empty")
    refused(run("ds-report", "-", "-o", f"{folder}/b.html", expect=3, stdin=b'{"schema": "ds-record/1", "status": "failed", "tool": "ds-train"}'), "failed")
    refused(run("ds-report", "-", "-", expect=2), "two inputs are -")
    check(snapshot(folder) == before, "something was written")


def test_one_model_twice_and_strange_names(folder):
    path = chain()["path"]
    name = "a\"b'<i>&{{title}}.h5"
    shutil.copy(path["int8"], f"{folder}/{name}")
    record, text = report(folder, path["int8"], f"{folder}/{name}", path["int8"])
    check(len(record["models"]) == 1 and record["models"][0]["name"] == "int8", record["models"])
    tree = read_page(text)
    check(section(tree, "trade") is None, "one model is no comparison")
    check(f"also {folder}/{name}" in "".join(section(tree, "models").itertext()), "the other name")
    check(len(list(section(tree, "provenance").iter("li"))) == 4, "the chain of one model")
    _, text = report(folder, f"{folder}/{name}", path["base"], "--title", "<b>mine</b>", name="strange.html")
    tree = read_page(text)
    check(tree.find(".//h1").text == "<b>mine</b>" and tree.find(".//title").text == "<b>mine</b>", "the title")
    check([cell.find("b").text for cell in section(tree, "models").iter("td") if cell.find("b") is not None][1] == name[:-3], "the name")


def test_bad_input_leaves_nothing(folder):
    base = chain()["path"]["base"]
    good = open(base, "rb").read()
    bad = {
        "empty": b"", "blank": b" \n ", "text.txt": b"just words\n", "other.json": b'{"a": 1}', "broken.json": b'{"schema": ', "list.json": b"[1, 2]",
        "deep.json": b'{"schema": "ds-record/1", "a": ' + b"[" * 100000, "tabs.yaml": b"schema:\tds-record/1\n\tx: 1\n",
        "failed.json": json.dumps({"schema": "ds-record/1", "status": "failed", "tool": "ds-train", "error": {"code": 3}}).encode(),
        "stopped.yaml": b"schema: ds-record/1\nstatus: stopped\ntool: ds-train\n", "no-model.json": b'{"schema": "ds-record/1", "status": "done"}',
        "binary": bytes(range(256)) * 8, "truncated.h5": good[:len(good) // 2],
        "flipped.h5": good.replace(b"ds-train", b"ds-trajn"),
    }
    for name, content in bad.items():
        open(f"{folder}/{name}", "wb").write(content)
    os.mkfifo(f"{folder}/fifo")
    os.mkdir(f"{folder}/sub")
    before = snapshot(folder)
    for name in (*bad, "fifo", "sub", "missing.h5"):
        result = run("ds-report", base, f"{folder}/{name}", "-o", f"{folder}/report.html", "--format", "json", expect=3)
        refused(result, f"{folder}/{name}")
        check(result.record["status"] == "failed" and "outputs" not in result.record, result.out)
        check(snapshot(folder) == before, name, "left something")
    refused(run("ds-report", f"{folder}/failed.json", expect=3), "failed.json", "status 'failed', expected 'done'")
    refused(run("ds-report", expect=2), "FILE", "is required")


def test_outputs_that_cannot_be(folder):
    base = chain()["path"]["base"]
    shutil.copy(base, f"{folder}/net.h5")
    open(f"{folder}/mine.html", "w").write("mine")
    before = snapshot(folder)
    refused(run("ds-report", base, "-o", f"{folder}/mine.html", expect=2), "mine.html", "exists", "-f")
    refused(run("ds-report", f"{folder}/net.h5", "-f", "-o", f"{folder}/net.h5", expect=2), "net.h5", "also an input")
    refused(run("ds-report", base, "-o", folder, expect=2), folder)
    refused(run("ds-report", base, "-o", f"{folder}/none/report.html", expect=4), "none")
    refused(run("ds-report", base, "-o", "/proc/report.html", expect=4), "/proc")
    check(snapshot(folder) == before, "something was written")
    run("ds-report", base, "-f", "-o", f"{folder}/mine.html")
    read_page(open(f"{folder}/mine.html", encoding="utf-8").read())


if __name__ == "__main__":
    main(__name__)
