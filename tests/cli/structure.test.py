#!/usr/bin/env python3
"""Rules of the code that no compiler checks: who includes whom, what headers may not include, where random numbers come from, how long
functions and lines are, that engine code is compiled for threads. (What ISA objects may define: tests/unit/exec/simd_test.cpp.)"""
import fnmatch
import json
import os
import re
import subprocess
import sys

ROOT = os.environ.get("DS_SOURCE") or os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
BUILD = os.environ.get("DS_BUILD") or os.path.join(ROOT, "build")
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


TOKENS = re.compile(r"""R"([^()\s\\]{0,16})\(.*?\)\1"            # a raw string
                        |//[^\n]*|/\*.*?\*/
                        |^[ \t]*\#(?:[^\n]*\\\n)*[^\n]*          # a line of the preprocessor
                        |"(?:[^"\\\n]|\\.)*"
                        |(?<![0-9A-Za-z_])'(?:[^'\\\n]|\\.)+'  # a character, not the mark in 1'000""", re.S | re.M | re.X)


def without_raw_strings(text):
    """Pages and styles that the code holds are text, not code: their lines do not count."""
    return TOKENS.sub(lambda match: '""' if match.group().startswith('R"') else match.group(), text)


def functions(text):
    """(name, lines) of each outermost function, from its head to its brace."""
    code = TOKENS.sub(lambda match: re.sub(r"[^\n]", " ", match.group()), without_raw_strings(text))
    depth, begin, open_function = 0, 0, None
    for match in re.finditer(r"[{};]", code):
        head = code[begin:match.start()]
        if open_function is None and head.count("(") > head.count(")"):
            continue  # braces of an argument: f(T x = {})
        if match.group() == "{":
            scope = re.match(r"\s*(?:(?:inline\s+)?namespace|extern|(?:template\s*<.*>\s*)?(?:class|struct|union|enum))\b[^()]*$", head, re.S)
            if open_function is None and not scope and ("(" in head or head.rstrip().endswith("]")):
                open_function = depth, match.start() - len(head.lstrip()), " ".join(head.split())
            depth += 1
        elif match.group() == "}":
            depth -= 1
            if open_function and open_function[0] == depth:
                yield open_function[2], code.count("\n", open_function[1], match.start()) + 1
                open_function = None
        if open_function is None:
            begin = match.end()
    if depth:
        raise ValueError("unbalanced braces")


def check_function_counter():
    """The counter itself: a check that sees nothing would pass everything."""
    sample = """namespace a { namespace {
struct S : B {
  int f() const {  // {
    return '{' + 1'000;
  }
  std::vector<int> v = {1, 2};
};
template <class T>
T g(T x = {}, const char* y = "}") {
  const auto l = [&] {
    if (x) {
      return R"(
}}
)";
    }
  };
}
const bool once = [] {
  return true;
}();
}}
"""
    found = list(functions(sample))
    if [lines for _, lines in found] != [3, 8, 3] or "int f() const" not in found[0][0]:
        fail(f"the counter of functions counts wrong: {found}")


def check_sizes():
    seen = 0
    for folder in ("lib", "tools"):
        for path, text in sources(folder):
            lines = text.count("\n")
            if lines > 600:
                fail(f"{path}: {lines} lines, at most 600")
            for head, lines in functions(text):
                seen += 1
                if lines > 60:
                    fail(f"{path}: {head[-100:]}: {lines} lines, at most 60")
            for number, line in enumerate(without_raw_strings(text).split("\n"), 1):
                if len(line) > 160:
                    fail(f"{path}: a line of {len(line)} characters, at most 160: {line.strip()[:60]}")
    if seen < 1500:
        fail(f"only {seen} functions were seen: the check does not look where the code is")
    for path, text in sources("tools"):
        if text.count("\n") > 45:
            fail(f"{path}: {text.count(chr(10))} lines; a tool says what it is called, its options, and runs")


def check_words():
    """Nothing is left open, and nothing tells of the machine it was written on."""
    open_ends = re.compile(r"\b(?:" + "|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK", "place" + "holder", "stu" + "bs?", "for " + "now", "not " + "implemented")) + r")\b", re.I)
    places = re.compile(r"(?:^|[^\w.~])/(?:wo" + "rk|ro" + r"ot)/")
    listed = subprocess.run(["git", "-C", ROOT, "ls-files", "-z"], capture_output=True, text=True).stdout.split("\0")
    texts = 0
    for path in filter(None, listed):
        try:
            text = open(os.path.join(ROOT, path), encoding="utf-8").read()
        except (UnicodeDecodeError, FileNotFoundError):
            continue
        texts += 1
        for pattern in (open_ends, places):
            for match in pattern.finditer(text):
                fail(f"{path}:{text.count(chr(10), 0, match.start()) + 1}: says '{match.group().strip()}'")
    if texts < 200:
        fail(f"only {texts} texts were read")


def check_threads():
    """LibTorch's parallel_for runs in one thread, without a word, where our code is compiled without OpenMP."""
    seen = 0
    for entry in json.load(open(os.path.join(BUILD, "compile_commands.json"), encoding="utf-8")):
        if re.search(r" -o lib/CMakeFiles/ds(?:_engine_\w+)?\.dir/", entry["command"]):
            seen += 1
            if "-fopenmp" not in entry["command"].split():
                fail(f"{entry['file']}: compiled without -fopenmp")
    if seen < 15:
        fail(f"only {seen} engine sources were seen in compile_commands.json")


def check_top_level():
    allowed = {"CMakeLists.txt", "CMakePresets.json", "tools", "lib", "configs", "scripts", "tests", "man", "README.md"}
    listed = subprocess.run(["git", "-C", ROOT, "ls-files"], capture_output=True, text=True).stdout.split("\n")
    for name in sorted({p.split("/")[0] for p in listed if p} - allowed):
        if not name.startswith("."):
            fail(f"{name}: not one of the project's top folders")


check_layers()
check_includes()
check_random()
check_function_counter()
check_sizes()
check_words()
check_threads()
check_top_level()
for text in failures:
    print("structure:", text)
print(f"{len(failures)} broken rules")
sys.exit(1 if failures else 0)
