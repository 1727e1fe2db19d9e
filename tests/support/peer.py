"""Packages of PyPI that judge what we write, in a virtual environment of the cache: pinned, made once, shared by all tests that ask for the same."""
import fcntl
import hashlib
import os
import subprocess
import sys


def home():
    """The cache of data sets and libraries, as the tools have it."""
    if os.environ.get("DS_HOME"):
        return os.environ["DS_HOME"]
    return os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "ds")


def run_with(packages):
    """Goes on in a Python that has these packages ("numpy==2.4.6"); returns where this one is it."""
    name = hashlib.sha256("\n".join([sys.version, *sorted(packages)]).encode()).hexdigest()[:12]
    folder = os.path.join(home(), f"peer-{name}")
    if os.path.realpath(sys.prefix) == os.path.realpath(folder):
        return
    os.makedirs(home(), exist_ok=True)
    python = os.path.join(folder, "bin", "python3")
    with open(folder + ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(os.path.join(folder, "complete")):
            subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
            subprocess.run([python, "-m", "pip", "--no-input", "--disable-pip-version-check", "--quiet", "install", "--only-binary", ":all:", *packages], check=True)
            open(os.path.join(folder, "complete"), "w").close()
    os.execv(python, [python, *sys.argv])
