"""Any order: every tool works on every kind of checkpoint."""
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../support"))
from cli import check, command, main, run  # noqa: E402

SMALL = ["--threads", 1, "--format", "json", "--progress", "none"]
TRAIN = ["--model", "cnn", "--set", "model.width=8", "--data", "digits"]
KINDS = ("float", "pruned", "distilled", "int8")


def kinds(folder, *model, epochs=1):
    path = {kind: f"{folder}/{kind}.h5" for kind in KINDS}
    run("ds-train", *(model or TRAIN), "--epochs", epochs, *SMALL, "-o", path["float"])
    run("ds-prune", path["float"], "--ratio", 0.25, "--finetune-epochs", 1, *SMALL, "-o", path["pruned"])
    run("ds-distill", path["pruned"], "--teacher", path["float"], "--epochs", 1, *SMALL, "-o", path["distilled"])
    run("ds-quantize", path["float"], *SMALL, "-o", path["int8"])
    return path


def calls(path, kind, out):
    """What each tool is called with; those that write have `out`."""
    model = path[kind]
    return {
        "prune": ["ds-prune", model, "--ratio", 0.25, *SMALL, "-o", out],
        "prune and fine-tune": ["ds-prune", model, "--ratio", 0.25, "--finetune-epochs", 1, *SMALL, "-o", out],
        "quantize": ["ds-quantize", model, *SMALL, "-o", out],
        "distill": ["ds-distill", model, "--teacher", path["float"], "--epochs", 1, *SMALL, "-o", out],
        "teach": ["ds-distill", path["float"], "--teacher", model, "--epochs", 1, *SMALL, "-o", out],
        "train": ["ds-train", "--init", model, "--data", "digits", "--epochs", 1, *SMALL, "-o", out],
        "train to float": ["ds-train", "--init", model, "--dequantize", "--data", "digits", "--epochs", 1, *SMALL, "-o", out],
        "rewrite": ["ds-convert", model, "--format", "json", "-o", out],
        "eval": ["ds-eval", model, *SMALL],
        "bench": ["ds-bench", path["float"], model, "--rounds", 5, "--warmup", 1, "--min-time", 0, "--batch", 1, *SMALL],
        "inspect": ["ds-convert", model, "--inspect", "--format", "json"],
        "verify": ["ds-convert", model, "--verify", "--format", "json"],
    }


def chain(path):
    return run("ds-convert", path, "--inspect", "--format", "json").record["provenance"]


def check_output(record, call, parent, out, cell):
    """The output is whole, is what the record says, and its chain has one step more, which names this parent."""
    made = record["outputs"][0]
    check(made["path"] == os.path.realpath(out), cell, made)
    check(run("ds-convert", out, "--verify", "--format", "json").record["inputs"][0]["digest"] == made["digest"], cell, "another digest than recorded")
    origin = [entry["digest"] for entry in record["inputs"]]
    steps, before = chain(out), chain(parent)
    check(steps[:-1] == before, cell, "the chain is not the parent's and one more:", steps)
    check(f" {call[0]} " in steps[-1], cell, steps[-1])
    for digest in origin:
        check(digest[:12] in steps[-1], cell, "the step does not name", digest, ":", steps[-1])


def cells(folder, path, kind):
    for tool, call in calls(path, kind, "").items():
        cell, out = f"{tool} x {kind}:", f"{folder}/{tool.replace(' ', '_')}-{kind}-out.h5"
        call = [out if word == "" else word for word in call]
        files = sorted(os.listdir(folder))
        record = run(*call).record
        check(record["schema"] == "ds-record/1" and record["status"] == "done" and record["tool"] == call[0], cell, record)
        if tool in ("train", "train to float", "distill", "quantize"):
            dtypes = {tensor["dtype"] for tensor in run("ds-convert", out, "--inspect", "--format", "json").record["tensors"]}
            check(("int8" in dtypes) == (tool == "quantize" or (kind == "int8" and tool != "train to float")), cell, dtypes)
        if out in call:
            check_output(record, call, path["float" if tool == "teach" else kind], out, cell)
        else:
            check(sorted(os.listdir(folder)) == files, cell, "wrote a file")


def test_every_tool_on_every_kind(folder):
    path = kinds(folder)
    for kind in KINDS:
        cells(folder, path, kind)


def test_a_vision_transformer_too(folder):
    """Attention, layer norms and a class token: each kind is made once, measured and pruned on."""
    sizes = {"depth": 1, "dim": 16, "heads": 2, "mlp_dim": 32, "patch_size": 4}
    path = kinds(folder, "--data", "digits", "--model", "vit_tiny", *(f"--model.{key}={value}" for key, value in sizes.items()))
    for kind in KINDS:
        run("ds-eval", path[kind], *SMALL)
        run("ds-convert", "--verify", path[kind])
    run("ds-prune", path["int8"], "--ratio", 0.5, "--target", "heads", *SMALL, "-o", f"{folder}/heads.h5")
    run("ds-eval", f"{folder}/heads.h5", *SMALL)


def quality(path):
    return run("ds-eval", path, *SMALL).record["metrics"]["test_top1"]


def test_quantize_prune_distill(folder):
    run("ds-train", *TRAIN, "--epochs", 5, *SMALL, "-o", f"{folder}/a.h5")
    run("ds-quantize", f"{folder}/a.h5", *SMALL, "-o", f"{folder}/b.h5")
    run("ds-prune", f"{folder}/b.h5", "--ratio", 0.25, *SMALL, "-o", f"{folder}/c.h5")
    run("ds-distill", f"{folder}/c.h5", "--teacher", f"{folder}/a.h5", "--epochs", 6, *SMALL, "-o", f"{folder}/d.h5")
    check(len(chain(f"{folder}/d.h5")) == 4, chain(f"{folder}/d.h5"))
    check(quality(f"{folder}/d.h5") > 0.7, "quantized, pruned and distilled:", quality(f"{folder}/d.h5"), "of", quality(f"{folder}/a.h5"))
    dtypes = {tensor["dtype"] for tensor in run("ds-convert", f"{folder}/d.h5", "--inspect", "--format", "json").record["tensors"]}
    check("int8" in dtypes, "no int8 model any more:", dtypes)


def test_prune_quantize_distill_prune(folder):
    run("ds-train", *TRAIN, "--epochs", 5, *SMALL, "-o", f"{folder}/a.h5")
    run("ds-prune", f"{folder}/a.h5", "--ratio", 0.25, "--finetune-epochs", 2, *SMALL, "-o", f"{folder}/b.h5")
    run("ds-quantize", f"{folder}/b.h5", *SMALL, "-o", f"{folder}/c.h5")
    run("ds-distill", f"{folder}/c.h5", "--teacher", f"{folder}/a.h5", "--epochs", 2, *SMALL, "-o", f"{folder}/d.h5")
    last = run("ds-prune", f"{folder}/d.h5", "--ratio", 0.25, "--finetune-epochs", 6, *SMALL, "-o", f"{folder}/e.h5").record
    check(len(chain(f"{folder}/e.h5")) == 5, chain(f"{folder}/e.h5"))
    for key in ("tensor_bytes", "macs"):
        check(last["metrics"][key] < last["before"][key], key, last["metrics"], last["before"])
    check(quality(f"{folder}/e.h5") > 0.7, "pruned, quantized, distilled and pruned:", quality(f"{folder}/e.h5"))


def shell(line, **files):
    """A pipeline as a user types it; every part has to succeed."""
    tools = {tool.replace("-", "_"): command(tool)[0] for tool in ("ds-train", "ds-prune", "ds-quantize", "ds-eval")}
    done = subprocess.run(["bash", "-c", "set -o pipefail; " + line], capture_output=True, timeout=300, env={**os.environ, **tools, **files})
    check(done.returncode == 0, line, done.returncode, done.stderr.decode())
    return done


def test_pipes_by_record_and_by_bytes(folder):
    paths = {name: f"{folder}/{name}.h5" for name in "abcd"}
    options = " ".join(map(str, SMALL))
    train = " ".join(TRAIN)
    shell(f'"$ds_train" {train} --epochs 1 {options} -o "$a" | "$ds_prune" - {options} -o "$b" | "$ds_quantize" - {options} -o "$c"', **paths)
    shell(f'"$ds_prune" "$a" {options} -o - | "$ds_quantize" - {options} -o "$d"', **paths)
    check(len(chain(paths["c"])) == 3 and len(chain(paths["d"])) == 3, chain(paths["c"]), chain(paths["d"]))
    run("ds-convert", "--diff", paths["c"], paths["d"])
    by_default = shell(f'"$ds_prune" "$a" --threads 1 -q -f -o "$b" | "$ds_eval" - {options}', **paths)  # a YAML record
    check(b'"status":"done"' in by_default.stdout, by_default.stdout)


if __name__ == "__main__":
    main(__name__)
