"""cmake --install, and from what it installed: every header compiles on what is named as needed, and another project finds the package, builds
and computes what the tools compute. Without LibTorch it gets ds::base alone."""
import json
import os
import re
import shutil
import subprocess
import sys
import zlib

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from cli import SOURCE, check, main, run  # noqa: E402

BUILD = os.environ.get("DS_BUILD", os.path.join(SOURCE, "build"))
CONSUMER = os.path.join(SOURCE, "tests/pipeline/consumer")


def sh(*command, expect=0, env=None):
    done = subprocess.run([*map(str, command)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=600, env={**os.environ, **(env or {})})
    check(done.returncode == expect, f"{command}: exit {done.returncode}, expected {expect}\n{done.stdout[-4000:]}")
    return done.stdout


def installed(folder):
    prefix = os.path.join(folder, "prefix")
    sh("cmake", "--install", BUILD, "--prefix", prefix)
    return prefix


def headers(prefix):
    root = os.path.join(prefix, "include/ds")
    return [os.path.relpath(os.path.join(at, name), root) for at, _, names in os.walk(root) for name in names]


def png(width, height):
    def chunk(kind, data):
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")
    rows = b"".join(b"\0" + bytes((37 * x * y + 11 * x) % 256 for x in range(width)) for y in range(height))
    head = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([8, 0, 0, 0, 0])
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def test_another_project_finds_builds_and_runs(folder):
    prefix = installed(folder)
    names = headers(prefix)
    check("base/io/checkpoint.h" in names and "engine/exec/executor.h" in names, names)
    for name in names:  # what they include is installed with them, of the standard library, or of the two that the package finds
        for system, path in re.findall(r'^#include (?:<([^>]+)>|"([^"]+)")', open(os.path.join(prefix, "include/ds", name)).read(), re.M):
            known = path in names if path else "/" not in system or system.startswith(("nlohmann/", "ATen/", "c10/", "torch/"))
            check(known and system != "hdf5.h", f"{name} includes {system or path}")
    for page in ("share/man/man1/ds-convert.1", "share/man/man5/ds-checkpoint.5", "share/bash-completion/completions/ds-train"):
        check(os.path.getsize(os.path.join(prefix, page)) > 0)

    build, model, picture = (os.path.join(folder, name) for name in ("build", "model.h5", "picture.png"))
    sh("cmake", "-S", CONSUMER, "-B", build, "-DCMAKE_PREFIX_PATH=" + prefix)
    sh("cmake", "--build", build)
    run("ds-train", "--data", "digits", "--model", "cnn", "--model.width", 4, "--epochs", 1, "--threads", 1, "-q", "-o", model)
    open(picture, "wb").write(png(8, 8))

    nothing = {"LD_LIBRARY_PATH": "", "DS_TORCH_DIR": "", "DS_CUDART_DIR": ""}
    facts = json.loads(run("ds-convert", model, "--inspect", "--format", "json").out)
    told = sh(os.path.join(build, "describe"), model, env=nothing).split()
    check(told[0] == facts["inputs"][0]["digest"], told)
    check(int(told[3]) == facts["metrics"]["parameters"] and int(told[5]) == facts["metrics"]["macs"], told)
    scores = [float(line) for line in sh(os.path.join(build, "classify"), model, picture, env=nothing).split()]
    wanted = json.loads(run("ds-predict", model, picture, "--raw", "--threads", 1, "-q").out)["output"]
    check(len(scores) == 10 and all(abs(a - b) <= 1e-5 * max(map(abs, wanted)) for a, b in zip(scores, wanted)), scores, wanted)
    check("nothing.h5: no such file" in sh(os.path.join(build, "classify"), "nothing.h5", picture, env=nothing, expect=3))

    # The tree may move: tools find their library, and the package its files.
    moved = os.path.join(folder, "moved")
    shutil.move(prefix, moved)
    check("ds-train" in sh(os.path.join(moved, "bin/ds-train"), "--version"))
    empty = os.path.join(folder, "empty")
    os.makedirs(empty)
    source = os.path.join(folder, "base")
    os.makedirs(source)
    open(os.path.join(source, "CMakeLists.txt"), "w").write(
        "cmake_minimum_required(VERSION 3.25)\nproject(base LANGUAGES CXX)\nset(DS_TORCH_DIR " + empty + ")\n"
        "find_package(ds REQUIRED)\nif(TARGET ds::ds OR NOT TARGET ds::base)\n  message(FATAL_ERROR wrong)\nendif()\n"
        "find_package(ds QUIET COMPONENTS engine)\nif(ds_FOUND)\n  message(FATAL_ERROR found)\nendif()\nmessage(\"why: ${ds_NOT_FOUND_MESSAGE}\")\n")
    text = sh("cmake", "-S", source, "-B", os.path.join(folder, "base-build"), "-DCMAKE_PREFIX_PATH=" + moved, env={"DS_TORCH_DIR": "", "DS_CUDART_DIR": ""})
    check("why: no LibTorch in DS_TORCH_DIR='" + empty + "'" in text, text)


if __name__ == "__main__":
    main(__name__)
