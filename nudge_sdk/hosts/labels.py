"""Labels: the few texts of a rendered nudge that its copy does not bring."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from nudge_sdk.rules.copy import pick_locale


class Labels(msgspec.Struct, frozen=True, kw_only=True):
    """Texts of one language; all plain text.

    Attributes:
        progress: How far a guide is; ``{done}`` and ``{steps}`` are put in.
    """

    close: str = "Close"
    snooze: str = "Remind me tomorrow"
    finish: str = "I'm done"
    done: str = "Done"
    progress: str = "{done} of {steps} done"
    captions: str = "Captions"
    transcript: str = "Read instead"

    def progress_text(self, done: int, steps: int) -> str:
        """Return how far a guide is."""
        return self.progress.replace("{done}", str(done)).replace("{steps}", str(steps))


LABELS: dict[str, Labels] = {
    "en": Labels(),
    "de": Labels(
        close="Schließen",
        snooze="Morgen erinnern",
        finish="Fertig",
        done="Erledigt",
        progress="{done} von {steps} erledigt",
        captions="Untertitel",
        transcript="Lieber lesen",
    ),
}
"""The languages that come along; a host adds its own or replaces these."""


def labels_for(locale: str, own: Mapping[str, Labels] | None = None) -> Labels:
    """Return the labels of a language, by the same look-up as all copy; English where there are none."""
    known = {**LABELS, **(own or {})}
    return known[pick_locale({tag: tag for tag in known}, locale, "en")[0]]
