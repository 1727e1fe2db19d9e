"""ds-convert from the outside: inspect, diff, verify, rewrite, pipes, exit codes."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

BIN = pathlib.Path(os.environ["DS_BIN"])
TOOL = str(BIN / "ds-convert")
MAKER = str(BIN / "make_sample")


def run(*args, stdin=b"", tool=TOOL, cwd=None, **more):
    return subprocess.run([tool, *map(str, args)], input=stdin, capture_output=True, cwd=cwd, timeout=60, **more)


class Convert(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="ds-convert-")
        self.at = pathlib.Path(self.folder.name)
        self.a, self.b = self.at / "a.h5", self.at / "b.h5"
        subprocess.run([MAKER, self.a, "1"], check=True)
        subprocess.run([MAKER, self.b, "2"], check=True)

    def tearDown(self):
        self.folder.cleanup()

    def record(self, result, code=0):
        self.assertEqual(result.returncode, code, result.stderr.decode())
        return json.loads(result.stdout)

    def error(self, result, code, part, files=("a.h5", "b.h5")):
        """One line on stderr with that code, and no file more or less than before."""
        text = result.stderr.decode()
        self.assertEqual(result.returncode, code, text)
        self.assertEqual(text.count("\n"), 1, text)
        self.assertTrue(text.startswith("ds-convert: error: "), text)
        self.assertIn(part, text)
        self.assertEqual(sorted(os.listdir(self.at)), sorted(files))

    def digest(self, path):
        return self.record(run(path, "--inspect", "--format", "json"))["inputs"][0]["digest"]

    def test_inspect(self):
        record = self.record(run(self.a, "--inspect", "--format", "json"))
        self.assertEqual(record["status"], "done")
        self.assertEqual(record["inputs"][0]["path"], str(self.a))
        self.assertEqual(record["labels"], ["zero", "one"])
        self.assertEqual(record["history"]["epochs"], 2)
        self.assertIn("ds-train 0.1.0: -o a.h5", record["provenance"][0])
        tensors = {t["name"]: t for t in record["tensors"]}
        self.assertEqual(tensors["fc.weight"], {"name": "fc.weight", "dtype": "float32", "shape": [2, 3], "bytes": 24})
        self.assertEqual(record["metrics"]["tensor_bytes"], sum(t["bytes"] for t in record["tensors"]))
        self.assertEqual(record["metrics"]["file_bytes"], self.a.stat().st_size)

    def test_inspect_as_table_and_yaml(self):
        text = run(self.a, "--inspect", "--format", "table").stdout.decode()
        self.assertIn("fc.weight", text)
        self.assertIn("[2,3]", text)
        self.assertIn("provenance, oldest first\n", text)
        self.assertTrue(run(self.a, "--inspect").stdout.startswith(b"schema: ds-record/1\nstatus: done\n"))

    def test_verify(self):
        record = self.record(run("--verify", self.a, self.b, "--format", "json"))
        self.assertEqual([i["digest"] for i in record["inputs"]], [self.digest(self.a), self.digest(self.b)])
        data = bytearray(self.a.read_bytes())
        at = data.index(bytes.fromhex("0000803f00000040"))  # 1.0f and 2.0f, the first weights
        data[at] ^= 1
        self.a.write_bytes(data)
        self.error(run("--verify", self.a), 3, ":/tensors/fc.weight: is corrupt")
        self.error(run(self.a, "-o", self.at / "c.h5"), 3, ":/tensors/fc.weight: is corrupt")
        self.assertEqual(run(self.a, "--inspect").returncode, 0)
        self.assertEqual(run(self.a, "--no-verify", "-o", self.at / "c.h5").returncode, 0)

    def test_diff(self):
        copy = self.at / "c.h5"
        self.record(run(self.a, "-o", copy, "--format", "json"))
        self.assertTrue(self.record(run("--diff", self.a, copy, "--format", "json"))["equal"])
        result = run("--diff", self.a, self.b, "--format", "json")
        record = self.record(result, code=5)
        self.assertFalse(record["equal"])
        self.assertEqual(record["tensors"], [{"name": "fc.weight", "max_abs": 6.0, "index": 5, "elements": 6}])
        self.assertEqual(record["documents"], [])
        self.assertIn("differs from", result.stderr.decode())
        self.assertIn("'fc.weight', by at most 6", result.stderr.decode())

    def test_rewrite_keeps_the_digest(self):
        out = self.at / "out.h5"
        record = self.record(run(self.a, "-o", out, "--drop-history", "--drop-state", "--format", "json"))
        self.assertEqual(record["outputs"][0]["path"], str(out))
        self.assertEqual(record["outputs"][0]["digest"], self.digest(self.a))
        self.assertEqual(self.digest(out), self.digest(self.a))
        after = self.record(run(out, "--inspect", "--format", "json"))
        self.assertNotIn("history", after)
        self.assertNotIn("state_tensors", after)
        self.assertEqual(len(after["provenance"]), 2)
        self.assertLess(out.stat().st_size, self.a.stat().st_size)
        self.assertEqual(self.record(run("--verify", out, "--format", "json"))["verified"], True)

    def test_what_is_written_is_held_against_what_it_was_made_of(self):
        record = self.record(run(self.a, "-o", self.at / "out.h5", "--atol", 0, "--format", "json"))
        tensors = len(self.record(run(self.a, "--inspect", "--format", "json"))["tensors"])
        self.assertEqual(record["verified"], {"tensors": tensors, "largest_difference": 0})
        self.error(run("--verify", self.a, "--atol", 0), 2, "--atol: holds what is written against what it was made of, and nothing is written", ("a.h5", "b.h5", "out.h5"))
        self.error(run(self.a, "-o", self.at / "b.npz", "--atol", -2), 2, "--atol", ("a.h5", "b.h5", "out.h5"))

    def test_reproducible_rewrites_are_equal_bytes(self):
        folders = [self.at / "x", self.at / "y"]
        for folder in folders:
            folder.mkdir()
            self.assertEqual(run(self.a, "--reproducible", "-o", folder / "out.h5").returncode, 0)
        self.assertEqual((folders[0] / "out.h5").read_bytes(), (folders[1] / "out.h5").read_bytes())

    def test_pipe_of_bytes(self):
        result = run(self.a, "-o", "-")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(result.stdout[:8], b"\x89HDF\r\n\x1a\n")
        out = self.at / "out.h5"
        self.record(run("-", "-o", out, "--format", "json", stdin=result.stdout))
        self.assertEqual(self.digest(out), self.digest(self.a))
        with open(self.a, "rb") as file:  # stdin that is a file
            direct = subprocess.run([TOOL, "-", "--inspect", "--format", "json"], stdin=file, capture_output=True)
        self.assertEqual(json.loads(direct.stdout)["inputs"][0]["digest"], self.digest(self.a))
        verified = run("--verify", "-", stdin=result.stdout)
        self.assertEqual(verified.returncode, 0, verified.stderr)

    def test_pipe_of_records(self):
        out, then = self.at / "out.h5", self.at / "then.h5"
        for form in ("yaml", "json"):
            first = run(self.a, "-o", out, "-f", "--format", form)
            self.record(run("-", "-o", then, "-f", "--format", "json", stdin=first.stdout))
            self.assertEqual(self.digest(then), self.digest(self.a))
        stale = run(self.b, "-o", out, "-f")
        self.assertEqual(stale.returncode, 0)
        self.error(run("-", "--inspect", stdin=first.stdout), 3, "was written again", ("a.h5", "b.h5", "out.h5", "then.h5"))

    def test_bad_stdin(self):
        inspect = lambda stdin: run("-", "--inspect", stdin=stdin)
        self.error(inspect(b""), 3, "stdin is empty")
        self.error(inspect(b"status: failed\n"), 3, "status 'failed'")
        self.error(inspect(b"status: done\n"), 3, "names no output")
        self.error(inspect(b"status: done\noutputs: []\n"), 3, "names no output")
        self.error(inspect(b"status: done\noutputs:\n- path: a.h5\n"), 3, "relative path 'a.h5'")
        self.error(inspect(b"status: done\noutputs:\n- path: /none/a.h5\n"), 3, "no such file")
        self.error(inspect(b"hello"), 3, "neither a checkpoint")
        self.error(inspect(b"\t{"), 3, "neither a checkpoint")
        self.error(inspect(os.urandom(1000)), 3, "neither a checkpoint")
        self.error(inspect(self.a.read_bytes()[:1000]), 3, "truncated")

    def test_bad_input(self):
        bad = self.at / "bad.h5"
        files = ("a.h5", "b.h5", "bad.h5")
        for content, part in ((b"", "is empty"), (b"x" * 100, "no HDF5 signature"), (self.a.read_bytes()[:777], "truncated"),
                              (b"\x89HDF\r\n\x1a\n\2\10\10" + bytes(100), "is not a ds checkpoint")):
            bad.write_bytes(content)
            for mode in (["--inspect"], ["--verify"], ["-o", self.at / "o.h5"]):
                self.error(run(bad, *mode), 3, part, files)
        bad.unlink()
        self.error(run(bad, "--inspect"), 3, "no such file")
        self.error(run(self.at, "--inspect"), 3, "has no weights")
        os.mkfifo(bad)
        self.error(run(bad, "--inspect"), 3, "is a FIFO", files)

    def test_bad_output(self):
        before = self.b.read_bytes()
        self.error(run(self.a, "-o", self.b), 2, "exists; -f overwrites it")
        self.error(run(self.a, "-f", "-o", self.a), 2, "output is also an input")
        self.error(run(self.a, "-o", self.at / "none/o.h5"), 4, "does not exist")
        self.error(run(self.a, "-o", "/proc/o.h5"), 4, "is not writable")
        self.error(run(self.a, "-o", "out.tflite", cwd=self.at), 2, "unknown format '.tflite'")
        self.assertEqual(self.b.read_bytes(), before)

    def test_usage(self):
        self.error(run(self.a, "--no-verify"), 2, "leaves nothing to do")
        self.error(run(self.a, "--inspect", "--diff"), 2, "only one of them")
        self.error(run(self.a, "--drop-state"), 2, "nothing is")
        self.error(run(self.a, "--inspect", "-o", "c.h5", cwd=self.at), 2, "nothing is written")
        self.error(run("--diff", self.a), 2, "1 inputs, expected 2")
        self.error(run("--diff", "-", "-"), 2, "two inputs are -")
        self.error(run(self.a, "--inspekt"), 2, "--inspect")

    def test_dry_run_writes_nothing(self):
        self.record(run(self.a, "-n", "-o", self.at / "o.h5", "--format", "json"))
        self.assertEqual(sorted(os.listdir(self.at)), ["a.h5", "b.h5"])

    def test_disk_full_and_a_reader_that_goes(self):
        shim = pathlib.Path(os.environ["DS_BUILD"]) / "lib" / "libds_fault.so"
        env = dict(os.environ, LD_PRELOAD=str(shim), DS_FAULT="write:1+:enospc", DS_FAULT_PATH=str(self.at))
        self.error(run(self.a, "-o", self.at / "o.h5", env=env), 4, "No space left on device")
        writer = subprocess.Popen([TOOL, str(self.a), "-o", "-"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        writer.stdout.close()
        text = writer.stderr.read().decode()
        writer.stderr.close()
        self.assertEqual(writer.wait(), 4, text)
        self.assertIn("the reader of the pipe has gone", text)

    def test_binary_to_a_terminal(self):
        import pty

        parent, child = pty.openpty()
        result = subprocess.run([TOOL, str(self.a), "-o", "-"], stdin=subprocess.DEVNULL, stdout=child, stderr=subprocess.PIPE)
        os.close(child)
        os.close(parent)
        self.error(result, 2, "stdout is a terminal")


if __name__ == "__main__":
    sys.exit(unittest.main())
