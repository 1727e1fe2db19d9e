#!/usr/bin/env python3
"""Every file of configs/ runs as it is: the command that its head states is run dry, by the tool it is for, beside data of the form that it names."""
import json
import os
import re
import shlex
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from cli import BIN, SOURCE, check, main, run
from standins import make_all

FILES = sorted(os.path.relpath(os.path.join(place, name), SOURCE) for place, _, names in os.walk(os.path.join(SOURCE, "configs")) for name in names)


def stated_command(path):
    """The words of the line `#   ds-tool ... configs/x.yaml ...` at the head of the file."""
    head = []
    for line in open(os.path.join(SOURCE, path), encoding="utf-8"):
        if not line.startswith("#"):
            break
        head.append(line)
    check(head and re.match(r"# \S", head[0]), path, "does not begin with a line that says what it is for")
    found = [line[1:].strip() for line in head if re.match(r"#\s+ds-", line)]
    check(len(found) == 1, path, "states", len(found), "commands in its head, expected one")
    words = shlex.split(found[0])
    check(path in words, path, "is not in the command that it states:", found[0])
    return words


def test_every_file_is_yaml_that_states_its_command(folder):
    check(len(FILES) >= 4, FILES)
    for path in FILES:
        check(path.endswith(".yaml"), path, "is no YAML file")
        check(os.path.exists(os.path.join(BIN, stated_command(path)[0])), path, "is for an unknown tool")


def test_every_command_runs_dry_and_writes_nothing(folder):
    place, written = os.path.join(folder, "place"), os.path.join(folder, "written")
    make_all(place)
    os.mkdir(written)
    os.symlink(os.path.join(SOURCE, "configs"), os.path.join(place, "configs"))
    for path in FILES:
        words = stated_command(path)
        if "-o" in words:
            words[words.index("-o") + 1] = os.path.join(written, "out")
        at = words.index("--") if "--" in words else len(words)
        result = run(words[0], *words[1:at], "-n", "--format", "json", "--threads", "1", *words[at:], cwd=place)
        check(result.record["status"] == "done", path, result.out)
        check(os.listdir(written) == [], path, "wrote", os.listdir(written))


def test_every_config_of_a_tool_is_read_whole(folder):
    for path in FILES:
        tool, *words = stated_command(path)
        if "-c" not in words or words[words.index("-c") + 1] != path:
            continue
        text = open(os.path.join(SOURCE, path), encoding="utf-8").read()
        shown = run(tool, "-c", path, "--print-config", cwd=SOURCE).out
        # Each key of the file has it as its origin: nothing is shadowed or left out.
        lines = [number for number, line in enumerate(text.splitlines(), 1) if line and not line.startswith("#")]
        for number in lines:
            check(re.search(rf"# .*{re.escape(os.path.basename(path))}:{number}\b", shown), path, "line", number, "sets nothing:", shown)


def test_every_config_is_of_its_tools_schema(folder):
    try:
        import jsonschema
        import yaml
    except ImportError:
        return print("skipped: Python has no jsonschema and yaml")
    for path in FILES:
        tool, *words = stated_command(path)
        if "-c" not in words or words[words.index("-c") + 1] != path:
            continue
        validator = jsonschema.Draft202012Validator(json.loads(run(tool, "--generate", "schema").out))
        config = yaml.safe_load(open(os.path.join(SOURCE, path), encoding="utf-8"))
        faults = [error.message for error in validator.iter_errors(config)]
        check(not faults, path, faults)
        check(list(validator.iter_errors({**config, "unheard_of": 1})), tool, "has a schema that takes all")


main(__name__)
