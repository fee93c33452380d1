"""Making reports beside requests: one thread a process, one report at a time, only while somebody asked for some."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from nudge_sdk.errors import NudgeError

log = logging.getLogger("nudge_sdk")

_UNFORESEEN = "It failed in an unforeseen way, which was written to the log."


class Maker:
    """Does jobs one after the other in a thread of its own, which ends when there is none left.

    A process that ends does not wait for it: what is not kept by then is made anew.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._jobs: dict[str, Callable[[], object]] = {}
        self._failures: dict[str, str] = {}
        self._thread: threading.Thread | None = None

    def ask(self, name: str, job: Callable[[], object]) -> str:
        """Do a job, unless one of that name waits or is being done; return why it failed the last time, once.

        Args:
            name: Tells jobs apart.
            job: Keeps its result itself.
        """
        with self._lock:
            failure = self._failures.pop(name, "")
            if not failure:
                self._jobs.setdefault(name, job)
                if self._thread is None or not self._thread.is_alive():
                    self._thread = threading.Thread(target=self._run, name="nudge-reports", daemon=True)
                    self._thread.start()
            return failure

    def failure(self, name: str) -> str:
        """Return why a job failed; empty where it did not."""
        with self._lock:
            return self._failures.get(name, "")

    def wait(self, seconds: float) -> bool:
        """Wait until no job is left; whether that was within so many seconds."""
        with self._lock:
            thread = self._thread
        if thread is not None:
            thread.join(seconds)
        return thread is None or not thread.is_alive()

    def _run(self) -> None:
        while (name := self._first()) is not None:
            failure = _failure_of(self._jobs[name])
            with self._lock:
                del self._jobs[name]
                if failure:
                    self._failures[name] = failure

    def _first(self) -> str | None:
        with self._lock:
            name = next(iter(self._jobs), None)
            if name is None:
                self._thread = None
            return name


def _failure_of(job: Callable[[], object]) -> str:
    try:
        job()
    except NudgeError as error:
        return str(error)
    except ImportError as error:
        return f"This needs more packages: pip install 'nudge-sdk[insights]' ({error.name} is missing)."
    except Exception as error:
        facts = {"nudge_event": "report_failed", "nudge_cause": type(error).__name__}
        log.exception("a report of the admin could not be made", extra=facts)
        return _UNFORESEEN
    return ""
