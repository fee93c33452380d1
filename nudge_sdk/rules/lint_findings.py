"""What the lint says: findings, and the words they are made of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Literal, Protocol, TypeVar

import msgspec

from nudge_sdk.rules.compiled import POINT

Severity = Literal["block", "warn", "note"]
T = TypeVar("T")

MOST_EVIDENCE = 12


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """Something unwise in a definition that is otherwise in order.

    Attributes:
        severity: ``block`` needs an override with a reason to be published; ``warn`` and ``note`` do not.
        code: A stable word in capitals.
        where: The entity and field, such as ``segments[smb].member.warm.score``.
        message: What is unwise, in words for people.
        fix: What to do.
        evidence: What shows it, such as the smallest sets of milestones that reach a tier.
    """

    severity: Severity
    code: str
    where: str
    message: str
    fix: str
    evidence: tuple[str, ...] = ()

    def __str__(self) -> str:
        lines = [f"{self.severity}: {self.code} at {self.where}", f"  {self.message}", f"  To do: {self.fix}"]
        return "\n".join([*lines, *(f"  - {line}" for line in self.evidence)])


class Named(Protocol):
    """An entity with a key and a name."""

    @property
    def key(self) -> str:
        """Its name in the document."""

    @property
    def name(self) -> str:
        """Its name for people."""


def name_of(entity: Named) -> str:
    """Return what people call an entity."""
    return entity.name or entity.key


def points_text(thousandths: int) -> str:
    """Return points as a person would write them."""
    return f"{thousandths / POINT:.3f}".rstrip("0").rstrip(".")


def listed(names: Iterable[str], word: str = "and") -> str:
    """Return names as a list in a sentence."""
    *most, last = names
    return f"{', '.join(most)} {word} {last}" if most else last


def shortened(items: Sequence[T], say: Callable[[T], str]) -> tuple[str, ...]:
    """Return the first items in words, and how many more there are."""
    more = len(items) - MOST_EVIDENCE
    lines = tuple(say(item) for item in items[:MOST_EVIDENCE])
    return (*lines, f"and {more} more") if more > 0 else lines


def counted(number: int, word: str) -> str:
    """Return a number with its word, in the plural where it needs one."""
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def capital(sentence: str) -> str:
    """Return a sentence with a capital at its start."""
    return sentence[:1].upper() + sentence[1:]
