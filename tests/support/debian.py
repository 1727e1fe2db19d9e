"""Programs of Debian packages for tests, unpacked in the cache: nothing is installed, nothing runs as a service."""
import fcntl
import glob
import os
import subprocess

import peer


def unpacked(package):
    """The folder with a package's files. Fetched once, as this user."""
    folder = os.path.join(peer.home(), f"debian-{package}")
    os.makedirs(peer.home(), exist_ok=True)
    with open(folder + ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(os.path.join(folder, "complete")):
            subprocess.run(["rm", "-rf", folder], check=True)
            os.makedirs(folder)
            # Right after an installation of the system there are no lists yet.
            if subprocess.run(["apt-get", "-q", "download", package], cwd=folder, capture_output=True).returncode != 0:
                subprocess.run(["apt-get", "-q", "update"], capture_output=True)
                subprocess.run(["apt-get", "-q", "download", package], cwd=folder, check=True, capture_output=True)
            (archive,) = glob.glob(f"{folder}/*.deb")
            subprocess.run(["dpkg", "-x", archive, folder], check=True)
            os.remove(archive)
            open(os.path.join(folder, "complete"), "w").close()
    return folder
