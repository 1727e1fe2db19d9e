#!/usr/bin/env python3
"""Unpack the files of a wheel whose paths begin with one of the prefixes.

  unpack_wheel.py WHEEL DIR PREFIX...

A path that would leave DIR is an error. Needs only the standard library.
"""
import os
import shutil
import sys
import zipfile


def main():
    if len(sys.argv) < 4 or sys.argv[1] in ("-h", "--help"):
        print(__doc__.strip())
        return 0 if len(sys.argv) > 1 and sys.argv[1] in ("-h", "--help") else 2
    wheel, folder, prefixes = sys.argv[1], os.path.abspath(sys.argv[2]), tuple(sys.argv[3:])
    with zipfile.ZipFile(wheel) as archive:
        members = [info for info in archive.infolist() if info.filename.startswith(prefixes) and not info.is_dir()]
        if not members:
            raise ValueError("no file in it begins with " + ", ".join(prefixes))
        for info in members:
            path = os.path.abspath(os.path.join(folder, info.filename))
            if not path.startswith(folder + os.sep):
                raise ValueError(f"'{info.filename}' would be written outside of {folder}")
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with archive.open(info) as source, open(path + ".new", "wb") as target:
                shutil.copyfileobj(source, target, 1 << 20)
            os.replace(path + ".new", path)  # a library in use is replaced, not overwritten
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        print(f"unpack_wheel.py: error: {sys.argv[1]}: {error}", file=sys.stderr)
        sys.exit(4 if isinstance(error, OSError) else 3)
