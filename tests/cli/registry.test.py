#!/usr/bin/env python3
"""What can be chosen by name: tests/golden/registry.yaml has every registered name, so that none is lost or renamed unseen.
`registry.test.py --write` writes the file anew."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from cli import BIN, SOURCE, check, main, run

GOLDEN = os.path.join(SOURCE, "tests/golden/registry.yaml")
TOOLS = sorted(name for name in os.listdir(BIN) if name.startswith("ds-"))


def registered(tool):
    kinds = {}
    for line in run(tool, "--list").out.splitlines():
        kind = line.split()[0]
        kinds[kind] = [entry.split()[0] for entry in run(tool, "--list", kind).out.splitlines()]
        check(line.split()[1:] == [str(len(kinds[kind])), "name" if len(kinds[kind]) == 1 else "names"], line)
    return kinds


def as_text(kinds):
    head = "# Every name that can be chosen, by kind: a lost one is a failing test. Written by tests/cli/registry.test.py --write.\n"
    return head + "".join(f"{kind}:\n" + "".join(f"  - {name}\n" for name in names) for kind, names in sorted(kinds.items()))


def read_golden():
    kinds = {}
    for line in open(GOLDEN, encoding="utf-8"):
        if line.startswith("  - "):
            kinds[kind].append(line[4:].strip())
        elif not line.startswith("#"):
            kind = line.strip().rstrip(":")
            kinds[kind] = []
    return kinds


def test_no_name_is_lost_or_new(folder):
    now, before = registered("ds-train"), read_golden()
    check(len(before) >= 10 and sum(map(len, before.values())) >= 70, "the golden file is too short:", before)
    for kind in sorted({*now, *before}):
        lost, new = set(before.get(kind, [])) - set(now.get(kind, [])), set(now.get(kind, [])) - set(before.get(kind, []))
        check(not lost, f"{kind}: lost {sorted(lost)}: users' files name them")
        check(not new, f"{kind}: {sorted(new)} are not in tests/golden/registry.yaml: run tests/cli/registry.test.py --write")
    check(as_text(now) == open(GOLDEN, encoding="utf-8").read(), "tests/golden/registry.yaml is not in order: run tests/cli/registry.test.py --write")


def test_every_tool_lists_the_same(folder):
    expected = run("ds-train", "--list").out
    for tool in TOOLS:
        check(run(tool, "--list").out == expected, tool)


def test_every_name_has_a_line_that_says_what_it_is(folder):
    for kind in read_golden():
        for line in run("ds-train", "--list", kind).out.splitlines():
            check(len(line.split(None, 1)) == 2 and not line.endswith("."), kind, line)


if sys.argv[1:] == ["--write"]:
    with open(GOLDEN, "w", encoding="utf-8") as file:
        file.write(as_text(registered("ds-train")))
    sys.exit()
main(__name__)
