"""States at rest: as they lie in their rows, about a tenth of their size unpacked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

import msgspec

from nudge_sdk.rules.state import State, unpack_around_tallies
from nudge_sdk.rules.tallies import Tally, unpack_tally


class DormantState:
    """A state as it lies in its row, about a tenth of the size; a piece of it is unpacked when somebody asks for it.

    It stands where a ``State`` is only read, and only now and then.

    Args:
        packed: What ``pack`` returned.
    """

    __slots__ = ("_packed",)

    def __init__(self, packed: bytes) -> None:
        self._packed = packed

    def __getattr__(self, name: str) -> Any:
        return getattr(opened(self._packed), name)


class DormantTallies(Mapping[str, Tally]):
    """Tallies by signal id, packed."""

    __slots__ = ("_packed",)

    def __init__(self, packed: dict[str, msgspec.Raw]) -> None:
        self._packed = packed

    def __getitem__(self, signal_id: str) -> Tally:
        return unpack_tally(self._packed[signal_id])

    def __iter__(self) -> Iterator[str]:
        return iter(self._packed)

    def __len__(self) -> int:
        return len(self._packed)


def opened(packed: bytes) -> State:
    """Return a packed state for reading, of which only the tallies are unpacked when somebody asks for them."""
    state = unpack_around_tallies(packed)
    state.tallies = cast(dict[str, Tally], DormantTallies(state.packed))
    return state


def dormant(packed: bytes) -> State:
    """Return a packed state for reading, without unpacking it."""
    return cast(State, DormantState(packed))
