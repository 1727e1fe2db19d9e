"""Rules of the code that no compiler checks: who includes whom, what headers may not include, where random numbers come from."""
import fnmatch
import os
import re
import subprocess
import sys

ROOT = os.environ.get("DS_SOURCE") or os.path.join(os.path.dirname(__file__), "..", "..")
failures = []


def fail(text):
    failures.append(text)


def sources(folder, endings=(".h", ".cpp", ".cc", ".inc")):
    for place, _, names in os.walk(os.path.join(ROOT, folder)):
        for name in sorted(names):
            if name.endswith(endings):
                path = os.path.join(place, name)
                yield os.path.relpath(path, ROOT), open(path, encoding="utf-8").read()


def area_of(path):
    parts = path.split("/")
    return "/".join(parts[:2]) if len(parts) > 2 else parts[0] + "/."


def read_layers():
    layers = {}
    for line in open(os.path.join(ROOT, "lib/layers.txt"), encoding="utf-8"):
        if line.strip() and not line.startswith("#"):
            area, _, allowed = line.partition(":")
            layers[area.strip()] = allowed.split()
    return layers


def check_layers():
    layers = read_layers()
    checked = 0
    for path, text in list(sources("lib")) + list(sources("tools")):
        own = "tools" if path.startswith("tools/") else area_of(path[len("lib/"):])
        if path == "lib/base/pch.cpp":
            continue
        if own not in layers:
            fail(f"{path}: area '{own}' is not in lib/layers.txt")
            continue
        for included in re.findall(r'#include "([^"]+)"', text):
            checked += 1
            other = area_of(included)
            if other != own and not any(fnmatch.fnmatch(other, rule) for rule in layers[own]):
                fail(f"{path}: includes {included}, which {own} may not")
    if checked < 300:
        fail(f"only {checked} includes were seen: the check does not look where the code is")


def check_includes():
    for path, text in sources("lib"):
        if path.endswith(".h"):
            for banned in ("torch/torch.h", "torch/all.h", "torch/types.h", "torch/script.h", "ATen/ATen.h"):
                if f"<{banned}>" in text:
                    fail(f"{path}: includes {banned}, which costs every file that includes it 10 to 20 seconds")
            if "#include <fmt/" in text:
                fail(f"{path}: a header includes fmt, of which base and engine have different ones")
        if path.startswith("lib/base/") and re.search(r"#include <(torch|ATen|c10)/", text):
            fail(f"{path}: the base library must not know LibTorch")
    for path, text in sources("tools"):
        if re.search(r"#include <(torch|ATen|c10)/", text):
            fail(f"{path}: a tool must not know LibTorch")


def check_random():
    pattern = re.compile(r"\b(?:at::|torch::|\.)(?:rand|randn|randint|randperm|bernoulli_?|normal_|uniform_|native_dropout|multinomial|rand_like|randn_like)\s*\(")
    for path, text in sources("lib/engine"):
        for line in text.splitlines():
            code = line.split("//")[0]
            if pattern.search(code) or "CPUGeneratorImpl" in code or "mt19937" in code:
                fail(f"{path}: draws from a global generator: {line.strip()}")


def check_sizes():
    for folder in ("lib", "tools"):
        for path, text in sources(folder):
            if text.count("\n") > 600:
                fail(f"{path}: {text.count(chr(10))} lines, at most 600")
    for path, text in sources("tools"):
        if text.count("\n") > 45:
            fail(f"{path}: {text.count(chr(10))} lines; a tool says what it is called, its options, and runs")


def check_top_level():
    allowed = {"CMakeLists.txt", "CMakePresets.json", "tools", "lib", "configs", "scripts", "tests", "man", "README.md"}
    listed = subprocess.run(["git", "-C", ROOT, "ls-files"], capture_output=True, text=True).stdout.split("\n")
    for name in sorted({p.split("/")[0] for p in listed if p} - allowed):
        if not name.startswith("."):
            fail(f"{name}: not one of the project's top folders")


check_layers()
check_includes()
check_random()
check_sizes()
check_top_level()
for text in failures:
    print("structure:", text)
print(f"{len(failures)} broken rules")
sys.exit(1 if failures else 0)
