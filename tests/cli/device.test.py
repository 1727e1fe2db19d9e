"""--device: what no GPU, a GPU without LibTorch's CUDA part, and a GPU that nothing runs on are told; and the order of loading."""
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../support"))
from cli import check, main, refused, run  # noqa: E402

TRAIN = ["--data", "digits", "--model", "mlp", "--epochs", 1, "--threads", 1, "--format", "json", "-q"]
HIDDEN = {"LD_LIBRARY_PATH": ""}

# Stands for libcuda.so.1. Its words and those of the dynamic linker come on one stream, in order.
DRIVER = r"""
#include <stdio.h>
int cuInit(unsigned flags) { fprintf(stderr, "driver: init\n"); return (int)flags; }
int cuDeviceGetCount(int* count) { fprintf(stderr, "driver: count\n"); *count = DEVICES; return 0; }
"""


def with_gpus(folder, devices, *arguments, expect=4):
    """Runs ds-train where the driver claims so many devices: the result, and what was asked and looked for in order."""
    source = f"{folder}/driver.c"
    open(source, "w").write(DRIVER)
    subprocess.run(["g++", "-x", "c", "-shared", "-fPIC", f"-DDEVICES={devices}", source, "-o", f"{folder}/libcuda.so.1"], check=True)
    result = run("ds-train", *TRAIN, *arguments, "-o", f"{folder}/out.h5", "-f", expect=expect, env={"LD_LIBRARY_PATH": folder, "LD_DEBUG": "libs"})
    order = []
    for line in result.err.splitlines():
        for sign, what in (("driver: ", line.split("driver: ")[-1]), ("find library=libtorch_cuda.so ", "libtorch_cuda")):
            if sign in line:
                order.append(what)
    result.err = "\n".join(line for line in result.err.splitlines() if line.startswith("ds-train: "))
    check(expect == 0 or not os.path.exists(f"{folder}/out.h5"), "something was written")
    return result, order


def test_no_gpu(folder):
    model = f"{folder}/net.h5"
    run("ds-train", *TRAIN, "-o", model)
    out = f"{folder}/out.h5"
    for call in (["ds-train", *TRAIN, "-o", out], ["ds-eval", model], ["ds-prune", model, "-o", out], ["ds-quantize", model, "-o", out],
                 ["ds-distill", model, "--teacher", model, "-o", out], ["ds-bench", model]):
        refused(run(*call, "--device", "cuda", expect=4, env=HIDDEN), "--device", "no usable GPU", "use --device cpu")
    refused(run("ds-eval", model, "--device", "cuda:1", expect=4, env=HIDDEN), "no usable GPU")
    check(sorted(os.listdir(folder)) == ["net.h5"], os.listdir(folder))


def test_auto_is_the_cpu(folder):
    for device in ("auto", "cpu"):
        record = run("ds-train", *TRAIN, "--device", device).record
        check(record["device"] == "cpu", record["device"])


def test_a_driver_without_devices(folder):
    result, order = with_gpus(folder, 0, "--device", "cuda")
    refused(result, "no usable GPU", "use --device cpu")
    check(order == ["init", "count"], order)


def test_the_driver_is_asked_before_torch_is_loaded(folder):
    result, order = with_gpus(folder, 2, "--device", "cuda:2")
    refused(result, "no GPU 2, there are 2", "use --device cuda:0")
    check(order == ["init", "count"], order)
    result, order = with_gpus(folder, 2, "--device", "cuda:1")
    check(order == ["init", "count", "libtorch_cuda"], order)
    # Which one depends on whether the CUDA libraries were fetched.
    check("cannot be loaded" in result.err or "GPU 1 is there" in result.err, result.err)
    refused(result, "use --device cpu")


def test_the_cpu_asks_no_driver(folder):
    result, order = with_gpus(folder, 2, expect=0)
    check(order == [] and result.record["device"] == "cpu", order, result.record["device"])


def test_form(folder):
    for device in ("gpu", "cuda:", "cuda:x", "cuda:-1"):
        refused(run("ds-train", *TRAIN, "--device", device, expect=2), device)


if __name__ == "__main__":
    main(__name__)
