#!/usr/bin/env python3
"""Manual pages: each tool has one, it is what the tool generates, clean roff, readable, and it is installed with the completions."""
import filecmp
import os
import re
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from cli import BIN, SOURCE, check, command, main, run

BUILD = os.environ.get("DS_BUILD", os.path.dirname(os.path.abspath(BIN)))
MAN = os.path.join(SOURCE, "man")
PAGES = sorted(name for name in os.listdir(MAN) if re.search(r"\.\d$", name))
TOOLS = sorted(name[:-4].replace("_", "-") for name in os.listdir(os.path.join(SOURCE, "tools")) if re.fullmatch(r"ds_\w+\.cpp", name))


def read(*path):
    with open(os.path.join(*path), encoding="utf-8") as file:
        return file.read()


def rendered(path):
    """The page as a terminal shows it, without bold and underlining."""
    text = subprocess.run(["mandoc", "-Tutf8", path], capture_output=True, check=True).stdout.decode()
    return re.sub(".\b", "", text)


def test_every_tool_has_the_page_it_generates_and_no_page_lacks_a_tool(folder):
    check(len(TOOLS) >= 9, TOOLS)
    check(TOOLS == [name[:-2] for name in PAGES if name.endswith(".1")], "pages and tools differ:", PAGES)
    for tool in TOOLS:
        check(read(MAN, tool + ".1") == run(tool, "--generate", "man").out, f"man/{tool}.1 is not what {tool} generates: run scripts/man.sh")


def test_pages_depend_on_the_tool_alone(folder):
    strange = {"COLUMNS": "30", "LINES": "7", "TERM": "xterm-256color", "LC_ALL": "tr_TR.UTF-8", "TZ": "Asia/Kolkata", "HOME": folder, "DS_HOME": folder,
               "SLURM_CPUS_PER_TASK": "3", "OMP_NUM_THREADS": "1", "NO_COLOR": "1", "MANWIDTH": "40", "DS_OPT_SEED": "7", "SOURCE_DATE_EPOCH": "1"}
    for tool in TOOLS:
        page = subprocess.run(command(tool, "--generate", "man"), env=strange, cwd=folder, capture_output=True, text=True, check=True).stdout
        check(page == read(MAN, tool + ".1"), f"the page of {tool} differs in another environment")


def test_roff_is_clean(folder):
    if not shutil.which("mandoc"):
        return print("skipped: mandoc is not there")
    for name in PAGES:
        lint = subprocess.run(["mandoc", "-Tlint", "-Wwarning", os.path.join(MAN, name)], capture_output=True, text=True)
        check(lint.returncode == 0 and not lint.stdout, name, lint.stdout)


def test_pages_read_well(folder):
    if not shutil.which("mandoc"):
        return print("skipped: mandoc is not there")
    for tool in TOOLS:
        text = rendered(os.path.join(MAN, tool + ".1"))
        for heading in ("NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "STANDARD STREAMS", "EXAMPLES", "EXIT STATUS", "ENVIRONMENT", "SEE ALSO"):
            check(f"\n{heading}\n" in text, tool, "has no", heading)
        check("\n\n\n" not in text, tool, "has holes")
        check(not re.search(r"\\[a-zA-Z(-]|\bnan\b", text), tool, "shows an escape or a number that is none")
        check(max(map(len, text.splitlines())) <= 80, tool, "has a line that a terminal of 80 columns breaks:", max(text.splitlines(), key=len))
        words = re.sub(r"\s+", " ", text)
        for flag in re.findall(r"^  +(?:-\w, )?(--[^\s,]+)", run(tool, "--help-all").out, re.M):
            check(flag in words, tool, "does not tell of", flag)


def test_pages_that_are_referred_to_exist(folder):
    for tool in TOOLS:
        others = re.findall(r"^\\fB([^(]+)\\fR\((\d)\)", read(MAN, tool + ".1").split(".SH SEE ALSO")[1], re.M)
        check(others, tool, "refers to nothing")
        for name, section in others:
            name = name.replace("\\-", "-")
            check(os.path.exists(os.path.join(MAN, f"{name}.{section}")), f"{tool} refers to {name}({section}), which is not there")


def script(pages, *arguments):
    environment = {**os.environ, "BIN": os.path.abspath(BIN), "MAN": pages}
    return subprocess.run(["bash", os.path.join(SOURCE, "scripts/man.sh"), *arguments], env=environment, capture_output=True, text=True)


def test_the_script_writes_and_checks(folder):
    done = script(folder, "--check")
    check(done.returncode == 5 and "ds-train.1: differs" in done.stderr and not os.listdir(folder), done.stderr)
    open(os.path.join(folder, "ds-gone.1"), "w").close()
    open(os.path.join(folder, "other.1"), "w").close()
    done = script(folder)
    check(done.returncode == 0 and "ds-gone.1: no such tool" in done.stderr, done.stderr)
    check(sorted(os.listdir(folder)) == [tool + ".1" for tool in TOOLS] + ["other.1"], os.listdir(folder))
    check(filecmp.cmp(os.path.join(folder, "ds-train.1"), os.path.join(MAN, "ds-train.1"), shallow=False))
    check(script(folder, "--check").returncode == 0)
    with open(os.path.join(folder, "ds-eval.1"), "a") as file:
        file.write(".PP\n")
    done = script(folder, "--check")
    check(done.returncode == 5 and "ds-eval.1: differs" in done.stderr and "ds-train.1" not in done.stderr, done.stderr)


def test_pages_and_completions_are_installed(folder):
    done = subprocess.run(["cmake", "--install", BUILD, "--component", "texts", "--prefix", folder], capture_output=True, text=True)
    check(done.returncode == 0, done.stdout, done.stderr)
    share = os.path.join(folder, "share")
    for name in PAGES:
        check(filecmp.cmp(os.path.join(MAN, name), os.path.join(share, f"man/man{name[-1]}", name), shallow=False), name)
    for tool in TOOLS:
        for shell, place in (("bash", f"bash-completion/completions/{tool}"), ("zsh", f"zsh/site-functions/_{tool}"), ("fish", f"fish/vendor_completions.d/{tool}.fish")):
            check(read(share, place) == run(tool, "--generate", "complete-" + shell).out, place)
    if shutil.which("man"):
        shown = subprocess.run(["man", "-M", os.path.join(share, "man"), "-w", "ds-train"], capture_output=True, text=True)
        check(shown.stdout.strip() == os.path.join(share, "man/man1/ds-train.1"), shown.stdout, shown.stderr)


main(__name__)
