#!/usr/bin/env python3
"""What shells offer: bash, zsh and fish are given lines to complete, each with the script that the tool generates."""
import os
import re
import shlex
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from cli import BIN, SOURCE, check, main, run

TOOLS = sorted(name for name in os.listdir(BIN) if name.startswith("ds-"))


def names(kind):
    return {line.split()[0] for line in run("ds-train", "--list", *kind).out.splitlines()}


def prepare(folder, shell):
    """The scripts of all tools in folder/scripts, and files to offer in folder/here."""
    scripts, here = os.path.join(folder, "scripts"), os.path.join(folder, "here")
    os.mkdir(scripts)
    os.makedirs(os.path.join(here, "follow"))
    for name in ("model.h5", "recipe.yaml", "forged.h5"):
        open(os.path.join(here, name), "w").close()
    for tool in TOOLS:
        with open(os.path.join(scripts, "_" + tool), "w", encoding="utf-8") as file:
            file.write(run(tool, "--generate", "complete-" + shell).out)
    return scripts, here


def bash(scripts, here, line):
    # readline takes = for a word of its own.
    words = [word for part in line.split(" ") for word in (re.split("(=)", part) if part else [""]) if word or not part]
    script = f""". {shlex.quote(os.path.join(scripts, "_" + words[0]))}
declared=$(complete -p {words[0]}) && [[ $declared =~ -F\\ ([^ ]+) ]] || exit 9
COMP_WORDS=({" ".join(map(shlex.quote, words))}) COMP_CWORD={len(words) - 1} COMP_LINE={shlex.quote(line)} COMP_POINT={len(line)}
"${{BASH_REMATCH[1]}}" {words[0]} {shlex.quote(words[-1])} {shlex.quote(words[-2])}
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    done = subprocess.run(["bash", "--norc", "--noprofile", "-c", script], cwd=here, capture_output=True, text=True)
    check(done.returncode == 0 and not done.stderr, line, done.stderr)
    return set(done.stdout.split())


def fish(scripts, here, line):
    script = f"source {shlex.quote(os.path.join(scripts, '_' + line.split()[0]))}; complete -C {shlex.quote(line)}"
    home = {**os.environ, "HOME": scripts, "XDG_CONFIG_HOME": scripts, "XDG_DATA_HOME": scripts, "XDG_CACHE_HOME": scripts, "PATH": f"{os.path.abspath(BIN)}:{os.environ['PATH']}"}
    done = subprocess.run(["fish", "--private", "-c", script], cwd=here, capture_output=True, text=True, env=home)
    check(done.returncode == 0 and not done.stderr, line, done.stderr)
    # "--flag=value" is offered whole; a tab is before the description.
    return {offer.split("\t")[0].split("=")[-1].rstrip("/") for offer in done.stdout.splitlines()}


def zsh(scripts, here, line):
    environment = {**os.environ, "PATH": f"{os.path.abspath(BIN)}:{os.environ['PATH']}", "TERM": "dumb", "COLUMNS": "200"}
    done = subprocess.run(["zsh", "-f", os.path.join(SOURCE, "tests/support/complete.zsh"), scripts, line], cwd=here, capture_output=True, text=True, env=environment, timeout=120)
    check(done.returncode == 0 and not done.stderr, line, done.returncode, done.stderr)
    return {offer.rstrip("/ ") for offer in done.stdout.splitlines()}


def cases():
    """Line, what must be offered, what must not."""
    return [("ds-train --batch-s", {"--batch-size"}, {"--epochs"}),
            ("ds-train --no-repro", {"--no-reproducible"}, {"--reproducible"}),
            ("ds-train --opt ", names(["optimizer"]), {"model.h5"}),
            ("ds-train --progress=", {"auto", "plain", "none", "jsonl"}, {"model.h5"}),
            ("ds-train --list ", names([]), set()),
            ("ds-train --generate complete-", {"complete-bash", "complete-zsh", "complete-fish"}, {"man"}),
            ("ds-tune r", {"run", "replay"}, {"init"}),
            ("ds-eval mod", {"model.h5"}, {"recipe.yaml"}),
            ("ds-train -c rec", {"recipe.yaml"}, {"model.h5"}),
            ("ds-train --run-dir fo", {"follow"}, {"forged.h5"}),
            ("ds-prune --criterion ", names(["criterion"]), {"model.h5"})]


def offers(folder, shell, complete):
    if not shutil.which(shell):
        return print(f"skipped: {shell} is not there")
    scripts, here = prepare(folder, shell)
    for line, wanted, unwanted in cases():
        got = complete(scripts, here, line)
        check(wanted <= got, f"{shell}: '{line}' offers {sorted(got)[:20]}, expected {sorted(wanted)}")
        check(not unwanted & got, f"{shell}: '{line}' offers {sorted(unwanted & got)}")


def test_bash(folder):
    offers(folder, "bash", bash)


def test_fish(folder):
    offers(folder, "fish", fish)


def test_zsh(folder):
    offers(folder, "zsh", zsh)


def test_scripts_are_syntax_of_their_shell_and_have_every_flag(folder):
    for tool in TOOLS:
        # "-o, --output FILE", "--[no-]verify"
        flags = re.findall(r"^  +(?:-\w, )?--(?:\[no-\])?([\w.-]+)", run(tool, "--help-all").out, re.M)
        check(len(flags) > 15, tool, flags)
        for shell in ("bash", "zsh", "fish"):
            script = run(tool, "--generate", "complete-" + shell).out
            for flag in flags:
                check(f"-l {flag} " in script if shell == "fish" else "--" + flag in script, tool, shell, "lacks", flag)
            if shutil.which(shell):
                done = subprocess.run([shell, "-n"], input=script, capture_output=True, text=True)
                check(done.returncode == 0 and not done.stderr, tool, shell, done.stderr)


main(__name__)
