"""A Spark cluster on this machine: a standalone master and two workers on loopback, stopped at the end.

``python -m tests.cluster.spark`` says whether there can be one, with exit status 1 if not.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path

LOOPBACK = "127.0.0.1"
WORKERS = 2
WAIT = 60.0
"""Seconds that each part of the cluster may take to start."""

OLDEST_JAVA = 17
SETTINGS = {
    "spark.driver.host": LOOPBACK,
    "spark.driver.bindAddress": LOOPBACK,
    "spark.executor.memory": "512m",
    "spark.cores.max": str(WORKERS),
    "spark.executor.cores": "1",
    "spark.sql.shuffle.partitions": "2",
    "spark.default.parallelism": "2",
    "spark.sql.adaptive.enabled": "false",
}


def missing() -> str:
    """Return what has to be installed first, or nothing."""
    if find_spec("pyspark") is None:
        return "pyspark is not in this environment; make cluster has one of its own"
    if java_home() is None:
        return f"Java {OLDEST_JAVA} or newer was not found: install it (Debian: sudo apt-get install openjdk-17-jre)"
    return ""


def java_home() -> Path | None:
    """Return where Java is: where ``JAVA_HOME`` says, or Debian puts it, or ``PATH`` leads to."""
    homes = [Path(os.environ["JAVA_HOME"])] if os.environ.get("JAVA_HOME") else []
    homes += sorted(Path("/usr/lib/jvm").glob(f"java-{OLDEST_JAVA}-openjdk-*"))
    found = shutil.which("java")
    homes += [Path(found).resolve().parents[1]] if found else []
    return next((home for home in homes if (home / "bin" / "java").exists()), None)


class Cluster:
    """A running cluster.

    Attributes:
        master: Its address.
        workers: The processes of its workers.
    """

    def __init__(self, master: str, workers: list[subprocess.Popen[bytes]]) -> None:
        self.master = master
        self.workers = workers


@contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    """Start a cluster whose files all lie in a folder, and point this process's Spark to it."""
    import pyspark

    settings = folder / "conf"
    settings.mkdir(parents=True)
    (settings / "spark-defaults.conf").write_text("".join(f"{name} {value}\n" for name, value in SETTINGS.items()))
    home = Path(pyspark.__file__).parent
    environment = {
        "SPARK_HOME": str(home),
        "SPARK_CONF_DIR": str(settings),
        "SPARK_LOCAL_IP": LOOPBACK,
        "SPARK_LOCAL_DIRS": str(folder / "local"),
        "JAVA_HOME": str(java_home()),
        "SPARK_NO_DAEMONIZE": "1",
    }
    program = home / "bin" / "spark-class"
    with ExitStack() as stack:
        stack.enter_context(_set(environment))
        words = ["org.apache.spark.deploy.master.Master", "--host", LOOPBACK, "--port", "0", "--webui-port", "0"]
        _, master = _started(stack, [program, *words], folder / "master.log", r"(spark://[\d.]+:\d+)")
        workers = []
        for number in range(WORKERS):
            words = ["org.apache.spark.deploy.worker.Worker", "--host", LOOPBACK, "--cores", "1", "--memory", "1g"]
            words += ["--webui-port", "0", "--work-dir", str(folder / f"work{number}"), master]
            log = folder / f"worker{number}.log"
            worker, _ = _started(stack, [program, *words], log, r"(Successfully registered) with master")
            workers.append(worker)
        stack.enter_context(_set({"NUDGE_SPARK_MASTER": master}))
        yield Cluster(master, workers)


def _started(stack: ExitStack, command: list[str | Path], log: Path, ready: str) -> tuple[subprocess.Popen[bytes], str]:
    """Start a process that writes a log, and wait until that says that it is ready; return what it says."""
    with log.open("wb") as out:
        # A group of its own: a worker's executors are its children, and end with it.
        process = subprocess.Popen(
            list(map(str, command)), stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True
        )
    stack.callback(_stop, process)
    deadline = time.monotonic() + WAIT
    while True:
        said = log.read_text(errors="replace")
        found = re.search(ready, said)
        if found:
            return process, found[1]
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"Spark did not start:\n{said}")
        time.sleep(0.1)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End a process and its children, by the group that was made for them."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.wait(10)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue


@contextmanager
def _set(environment: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


if __name__ == "__main__":
    print(missing() or f"Spark can run with Java in {java_home()}")
    sys.exit(bool(missing()))
