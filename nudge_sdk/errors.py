"""Every error this package raises.

NudgeError
├── SetupError            a wrong argument or a missing piece when the client is made
├── RecordError           something handed to track, identify, group … that cannot be stored
├── DefinitionError       a definition with problems (all of them at once, in ``problems``)
├── CopyError             a text that cannot be rendered
├── StoreError            the store refused, or did not answer within its bound
│   └── StoreBusyError    it did not answer in time; trying again later is safe
├── JournalError          the journal's folder or file cannot be written
└── ImportFileError       an import that cannot start (the file, its columns, its time zone)
"""

from __future__ import annotations

from dataclasses import dataclass


class NudgeError(Exception):
    """Root of all errors raised by nudge-sdk."""


class SetupError(NudgeError):
    """A wrong argument or a missing piece, found while the client is being made."""


class RecordError(NudgeError):
    """Something that no store can hold was handed in; nothing was written.

    Attributes:
        field: Where it stood, such as ``properties.amount``.
        reason: What was wrong and what to do.
    """

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


@dataclass(frozen=True)
class Problem:
    """One thing wrong in a definition.

    Attributes:
        where: The entity and field, such as ``milestones[first_campaign].at_least``.
        what: What is wrong.
        fix: What would be right.
    """

    where: str
    what: str
    fix: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}. {self.fix}"


class DefinitionError(NudgeError):
    """A definition that cannot be used; ``problems`` lists every one found."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


class CopyError(NudgeError):
    """A text that cannot be rendered."""


class StoreError(NudgeError):
    """The store refused a request."""


class StoreBusyError(StoreError):
    """The store did not answer within its bound; trying again later is safe."""


class JournalError(NudgeError):
    """The journal's folder or file cannot be written."""


class ImportFileError(NudgeError):
    """An import that cannot start."""
