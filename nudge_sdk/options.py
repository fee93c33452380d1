"""How a client behaves."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from nudge_sdk.errors import SetupError
from nudge_sdk.rules.definition import Definition
from nudge_sdk.rules.tallies import CAPACITY, Capacity
from nudge_sdk.runtime.journal import Durability, Journal
from nudge_sdk.runtime.metrics import Metrics
from nudge_sdk.store.protocol import Store

Drain = Literal["thread", "external", "inline"]

_LEAST = {
    "max_staleness": 0, "refresh_seconds": 0, "store_wait": 0, "drain_seconds": 0.001, "profiles": 1,
    "repeat_seconds": 0, "max_journal_bytes": 1,
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a client behaves; every value has a default that suits most hosts.

    Attributes:
        on_error: ``log`` never raises into a request after set-up; ``raise`` is for tests.
        release: The host's release, put on every event.
        max_staleness: After how many seconds what other processes wrote is seen.
        refresh_seconds: How often to look for a new definition.
        store_wait: Most seconds a request waits for the store.
        drain_seconds: How often the thread drains.
        profiles: How many members are kept in memory.
        repeat_seconds: For how long the same traits, said again, write nothing.
        max_journal_bytes: Most bytes of undrained journals in the folder. Nothing accepted is dropped for it: what is
            new is refused until something is drained. Each process may go over it by the file it has begun.
        durability: What an accepted event survives: ``process``, ``kill -9`` of it; ``power``, also a power cut. Then
            each call waits for the disk, and threads that wait at the same time wait for it together.
        metrics: Told what is counted and timed; see ``nudge_sdk.runtime.metrics``. None costs nothing.
        migrate: Whether the first use brings the schema to this release's version.
        capacity: How much a member's state keeps of each bounded part.
    """

    on_error: Literal["log", "raise"] = "log"
    release: str = ""
    max_staleness: float = 2.0
    refresh_seconds: float = 2.0
    store_wait: float = 0.05
    drain_seconds: float = 0.1
    profiles: int = 10_000
    repeat_seconds: float = 3600.0
    max_journal_bytes: int = 1024 * 1024 * 1024
    durability: Durability = "process"
    metrics: Metrics | None = None
    migrate: bool = True
    capacity: Capacity = CAPACITY

    def __post_init__(self) -> None:
        if self.on_error not in ("log", "raise"):
            raise SetupError(f"on_error={self.on_error!r} is not known; say log or raise")
        if self.durability not in ("process", "power"):
            raise SetupError(f"durability={self.durability!r} is not known; say process or power")
        if self.metrics is not None and not all(hasattr(self.metrics, name) for name in ("count", "timing", "gauge")):
            raise SetupError(f"metrics={self.metrics!r} has not all of count, timing and gauge")
        for name, least in _LEAST.items():
            value = getattr(self, name)
            if type(value) not in (int, float) or not math.isfinite(value) or value < least:
                raise SetupError(f"{name}={value!r} makes no sense; give a number of at least {least}")


def definition_of(given: Definition | str | Path) -> Definition:
    """Return a definition that was given as one, or as the path or the text of one.

    Raises:
        SetupError: The file cannot be read.
        DefinitionError: It has problems.
    """
    if isinstance(given, Definition):
        return given
    from nudge_sdk.documents import read_definition

    try:
        return read_definition(given)
    except OSError as error:
        raise SetupError(f"the definition {str(given)!r} cannot be read: {error.strerror}") from error


def checked(drain: Drain | None, store: object, clock: object) -> Drain:
    """Return how to drain: a thread unless something else is said, and inline for memory.

    Raises:
        SetupError: A way that is not known; a store or a clock that is none.
    """
    if not isinstance(store, str) and not hasattr(store, "transaction"):
        raise SetupError(f"store={store!r} is no store; give a URL such as sqlite:////var/lib/shop/nudges.db")
    if clock is not None and not callable(clock):
        raise SetupError(f"clock={clock!r} cannot be called; give a function that returns an aware datetime")
    if drain is None:
        return "inline" if isinstance(store, str) and store.startswith("memory:") else "thread"
    if drain not in ("thread", "external", "inline"):
        raise SetupError(f"drain={drain!r} is not known; say thread, external or inline")
    return drain


def journal_in(folder: Path, options: Options) -> Journal:
    """Return the journal of a folder; a file takes at most a quarter of the whole."""
    most = options.max_journal_bytes
    file = min(64 * 1024 * 1024, most // 4 + 1)
    return Journal(folder, max_file_bytes=file, max_total_bytes=most, durability=options.durability)


def folder_beside(store: str | Store) -> Path:
    """Return the folder of journals beside an SQLite file.

    Raises:
        SetupError: Another store, whose journals need a folder of their own.
    """
    if isinstance(store, str) and store.startswith("sqlite:///"):
        path = Path(store.removeprefix("sqlite:///").split("?")[0])
        return path.with_name(path.name + "-journals")
    raise SetupError("say in which folder the journals are: journal='/var/lib/…'")
