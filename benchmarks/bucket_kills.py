"""Is anything lost with a machine? Kills examples/resume_in_bucket.py fifty times.

An S3 server runs on this machine. One run is not killed. Other runs are killed with SIGKILL at
random moments, and the directory that their process had for its files is deleted: each start is on
a fresh machine, which has only the bucket. Apart from the times, their lines and rows must equal
those of the first run. `python -m benchmarks.bucket_kills --kills 50` fails if one differs.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.kills import LINES, SETTINGS, finish
from tests_buckets.s3_server import S3Server

EXAMPLE = Path(__file__).parent.parent / "examples" / "resume_in_bucket.py"
MIRROR_SECONDS = 0.5
"""The seconds between two uploads, so that a session that was killed is soon known to be gone."""


class Machine:
    """A process with a directory of its own, which is deleted with it.

    Args:
      root: with the directories of all machines, and the programs that were compiled.
      number: of the machine.
      address: of the run.
      options: of the example.
      environment: with which the store is found.
    """

    def __init__(
        self, root: Path, number: int, address: str, options: list[str], environment: dict[str, str]
    ) -> None:
        self.disk = root / f"machine{number}"
        self.disk.mkdir()
        own = {
            "TMPDIR": str(self.disk),
            "HOME": str(self.disk),
            "JAX_COMPILATION_CACHE_DIR": str(root / "compiled"),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        }
        self.process = subprocess.Popen(
            [sys.executable, EXAMPLE, address, *options],
            cwd=self.disk,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=os.environ | environment | own,
        )

    @property
    def trains(self) -> bool:
        """True if its run is open and has lines."""
        return any(path.stat().st_size for path in self.disk.rglob(LINES[0]))

    def finish(self) -> None:
        """Waits until it ends, which it must do without an error."""
        finish(self.process)
        shutil.rmtree(self.disk)

    def kill(self) -> None:
        """Kills its process, and deletes its directory."""
        self.process.kill()
        self.process.communicate()
        shutil.rmtree(self.disk)


def lines(address: str) -> dict[str, list[dict[str, Any]]]:
    """Reads the lines and rows of a run in the bucket, without their times."""
    import jaxlog

    run = jaxlog.read_run(address)
    assert run.status == "finished", run.status
    metrics = run.metrics_of("batch").drop("timestamp")
    return {"metrics": metrics.to_dicts(), "episodes": run.episodes.drop("timestamp").to_dicts()}


def main() -> None:
    """Kills runs, compares their lines, and reports the result."""
    parser = argparse.ArgumentParser(description="Kills examples/resume_in_bucket.py.")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--num-updates", type=int, default=300)
    parser.add_argument("--save-every", type=int, default=4)
    arguments = parser.parse_args()
    at, total, runs, machines = random.Random(arguments.seed), 0, 0, 0
    server = S3Server()
    os.environ.update(server.environment)
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        settings = root / "settings.yaml"
        settings.write_text(f"{SETTINGS}mirror_seconds: {MIRROR_SECONDS}\n")
        options = [
            f"--settings={settings}",
            "--num-seeds=2",
            f"--num-updates={arguments.num_updates}",
            f"--save-every={arguments.save_every}",
        ]
        import fsspec

        fsspec.filesystem("s3").mkdir("kills")
        Machine(root, 0, "s3://kills/whole", options, server.environment).finish()
        expected = lines("s3://kills/whole")
        began = time.monotonic()
        while total < arguments.kills:
            address = f"s3://kills/killed{runs}"
            while total < arguments.kills:
                machines += 1
                machine = Machine(root, machines, address, options, server.environment)
                started = time.monotonic()
                while machine.process.poll() is None and time.monotonic() - started < 60:
                    if machine.trains:
                        break
                    time.sleep(0.01)
                time.sleep(at.uniform(0, 1.5))
                if machine.process.poll() is not None:
                    machine.finish()
                    break
                machine.kill()
                total += 1
            else:
                machines += 1
                Machine(root, machines, address, options, server.environment).finish()
            runs += 1
            got = lines(address)
            for table, rows in expected.items():
                assert got[table] == rows, f"{table} differ in run {runs}"
            count = sum(map(len, got.values()))
            seconds = time.monotonic() - began
            print(
                f"{total} kills, {machines} machines, {runs} runs of {count} lines, all alike, "
                f"{seconds:.0f} s",
                flush=True,
            )
    server.close()


if __name__ == "__main__":
    main()
