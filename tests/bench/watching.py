"""A store that counts what is asked of it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class WatchedStore:
    """A store that counts its calls, by name, and the seconds spent in them.

    A transaction's seconds run from its beginning to its commit.
    """

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.calls: Counter[str] = Counter()
        self.seconds = 0.0

    @contextmanager
    def transaction(self, *, wait: float) -> Iterator[Any]:
        self.calls["transaction"] += 1
        started = time.perf_counter()
        try:
            with self.inner.transaction(wait=wait) as transaction:
                yield transaction
        finally:
            self.seconds += time.perf_counter() - started

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.inner, name)

        def call(*arguments: Any, **named: Any) -> Any:
            self.calls[name] += 1
            started = time.perf_counter()
            try:
                return found(*arguments, **named)
            finally:
                self.seconds += time.perf_counter() - started

        return call
