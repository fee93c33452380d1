"""Labels: the few texts of a rendered nudge that its copy does not bring."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from nudge_sdk.rules.copy import pick_locale


class Labels(msgspec.Struct, frozen=True, kw_only=True):
    """Texts of one language; all plain text.

    Attributes:
        progress: How far a guide is; ``{done}`` and ``{steps}`` are put in.
        more: Of the button that shows the rest.
        opt_out: No more of this kind.
        said_closed, said_snoozed, said_finished, said_opted_out: What a screen reader says once it is done.
    """

    close: str = "Close"
    snooze: str = "Remind me tomorrow"
    finish: str = "I'm done"
    done: str = "Done"
    progress: str = "{done} of {steps} done"
    captions: str = "Captions"
    transcript: str = "Read instead"
    more: str = "More options"
    opt_out: str = "Don't show suggestions like this"
    said_closed: str = "Closed"
    said_snoozed: str = "You'll be reminded tomorrow"
    said_finished: str = "Well done"
    said_opted_out: str = "You won't see suggestions like this"

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
        more="Weitere Möglichkeiten",
        opt_out="Solche Vorschläge nicht mehr zeigen",
        said_closed="Geschlossen",
        said_snoozed="Sie werden morgen erinnert",
        said_finished="Gut gemacht",
        said_opted_out="Solche Vorschläge erscheinen nicht mehr",
    ),
}
"""The languages that come along; a host adds its own or replaces these."""


def labels_for(locale: str, own: Mapping[str, Labels] | None = None) -> Labels:
    """Return the labels of a language, by the same look-up as all copy; English where there are none."""
    known = {**LABELS, **(own or {})}
    return known[pick_locale({tag: tag for tag in known}, locale, "en")[0]]
