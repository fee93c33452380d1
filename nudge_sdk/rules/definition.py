"""The definition: everything a product manager decides, as frozen values.

Published definitions are immutable and numbered. Entities stand in lists and carry a ``key``. A text is either one
text or a mapping from locale tag to text. Points are written as numbers and calculated in whole thousandths.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from nudge_sdk.rules.conditions import Condition, Signal, Window

Text = str | dict[str, str]
Subject = Literal["member", "account"]
Category = Literal["high", "medium", "context", "hygiene"]
Tier = Literal["none", "warm", "hot"]
Mode = Literal["prompt", "help"]

CATEGORY_POINTS: dict[Category, float] = {"high": 5, "medium": 3, "context": 2, "hygiene": 1}
"""Points of a milestone that names only its category."""


CONTENT_TYPES = frozenset({"banner", "card", "modal", "slideout", "tooltip", "checklist", "help", "survey"})
"""Formats this release can show; others are not offered."""


class Value(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Root of all entities: frozen, written without what is default."""


class Usage(Value, frozen=True, kw_only=True):
    """A limit of the plan: reached when value / limit >= share.

    Attributes:
        value: Name of the trait that holds the number used.
        limit: Name of the trait that holds the limit.
        share: The share of the limit, 1 = all of it.
    """

    value: str
    limit: str
    share: float = 1.0


class Decay(Value, frozen=True, kw_only=True):
    """How points fade: by half every ``half_life_days``, after ``grace_days`` without fading."""

    half_life_days: float
    grace_days: int = 3


class Milestone(Value, frozen=True, kw_only=True):
    """Something that shows value was reached.

    Exactly one of ``signal``, ``when`` and ``usage`` says what.

    Attributes:
        key: Its name in the document.
        name: Its name for people.
        subject: Whose milestone it is.
        category: How strong a sign it is; gives the points if there are none.
        points: Its contribution; may be negative.
        signal: What is counted.
        at_least: How much of it; 1 if not said.
        window: When it counts; the last 14 days if not said.
        when: A condition on traits.
        usage: A limit of the plan.
        axis: ``score``, or ``fit`` for what the person is rather than does (fit is no part of the score).
        group: Group whose cap its points share.
        decay: How its points fade; the segment's decay if not said.
        is_aha: Whether reaching it is activation.
        done: What the person has just done, for copy: "sent your first campaign".
        notes: Why it is here.
    """

    key: str
    name: str = ""
    subject: Subject = "member"
    category: Category = "medium"
    points: float | None = None
    signal: Signal | None = None
    at_least: float = 1
    window: Window | None = None
    when: Condition | None = None
    usage: Usage | None = None
    axis: Literal["score", "fit"] = "score"
    group: str = ""
    decay: Decay | None = None
    is_aha: bool = False
    done: Text = ""
    notes: str = ""


class Group(Value, frozen=True, kw_only=True):
    """Milestones whose points together never exceed ``cap``."""

    key: str
    cap: float
    name: str = ""


class Gate(Value, frozen=True, kw_only=True):
    """What a tier needs beside its score; exactly one of the three kinds.

    Attributes:
        milestones: Of these milestones at least ``at_least`` must be reached.
        at_least: How many of them.
        active_users: At least that many active members (accounts only) in the last ``days`` UTC days.
        days: The window of active members.
        fit: At least that much fit.
    """

    milestones: tuple[str, ...] = ()
    at_least: int = 1
    active_users: int | None = None
    days: int = 7
    fit: float | None = None


class Entry(Value, frozen=True, kw_only=True):
    """What it takes to enter a tier: the score and every gate."""

    score: float
    gates: tuple[Gate, ...] = ()


class Thresholds(Value, frozen=True, kw_only=True):
    """The entry to each tier; a tier without one is never entered."""

    warm: Entry | None = None
    hot: Entry | None = None


class Segment(Value, frozen=True, kw_only=True):
    """A kind of account, with its own thresholds; the first whose condition holds applies.

    Attributes:
        when: Condition on the account's traits; without one it holds for everybody.
        model: Free trial or freemium.
        member: Entry to the tiers of members; a warm member is a PQL.
        account: Entry to the tiers of accounts; a hot account is a PQA.
        decay: How points fade where the milestone does not say.
        hold_days: For how many days a tier is held after its entry condition was true.
        help_after_days: Day of the episode from which help replaces prompts.
        episode_days: Length of an episode; its last day is this minus 1.
        rest_days: Days without upgrade nudges after an episode.
        capacity_per_week: How many hot accounts a week sales can take.
    """

    key: str
    name: str = ""
    when: Condition | None = None
    model: Literal["trial", "freemium"] = "freemium"
    member: Thresholds = Thresholds()
    account: Thresholds = Thresholds()
    decay: Decay | None = None
    hold_days: int = 3
    help_after_days: int = 7
    episode_days: int = 28
    rest_days: int = 30
    capacity_per_week: int | None = None
    notes: str = ""


class Goal(Value, frozen=True, kw_only=True):
    """What nudges aim at; the first goal not yet met is the one an episode is about.

    Attributes:
        unit: Whether the account or the member meets it.
    """

    key: str
    name: str = ""
    unit: Subject = "account"


class Button(Value, frozen=True, kw_only=True):
    """A button: its label, and where it leads. ``action`` names something the host handles in the page."""

    label: Text
    url: str = ""
    action: str = ""


class Step(Value, frozen=True, kw_only=True):
    """One step of a guide; ``milestone`` marks it done when that milestone is reached."""

    title: Text
    body: Text = ""
    url: str = ""
    milestone: str = ""


class Video(Value, frozen=True, kw_only=True):
    """A short video with its captions and transcript."""

    url: str
    title: Text = ""
    captions_url: str = ""
    transcript_url: str = ""
    seconds: int = 60


class Content(Value, frozen=True, kw_only=True):
    """What is shown. ``type`` is the format; a type this release does not know is not offered.

    Attributes:
        type: banner, card, modal, slideout, tooltip, checklist, help or survey.
        title: Plain text with placeholders.
        body: Markdown with placeholders.
        cta: The one primary call to action.
        dismiss: Label of the button that closes it.
        steps: The guide of a help panel.
        video: The video of a help panel.
        chat: The invitation to talk to a person.
    """

    type: str = "card"
    title: Text = ""
    body: Text = ""
    cta: Button | None = None
    dismiss: Text = ""
    steps: tuple[Step, ...] = ()
    video: Video | None = None
    chat: Button | None = None


class Variant(Value, frozen=True, kw_only=True):
    """One of several contents, drawn by weight."""

    key: str
    content: Content
    weight: float = 1


class Cap(Value, frozen=True, kw_only=True):
    """At most ``count`` times in any period of ``days`` (or ``hours``), rolling.

    Attributes:
        per: Counted for the member or over the whole account.
    """

    count: int
    days: float | None = None
    hours: float | None = None
    per: Subject = "member"


class TagCap(Cap, frozen=True, kw_only=True):
    """A cap shared by all nudges with a tag."""

    tag: str


class Trigger(Value, frozen=True, kw_only=True):
    """What must just have happened; exactly one kind, and without a trigger the audience alone decides.

    Attributes:
        milestone: That milestone was reached within ``seconds`` (``*`` is any milestone).
        usage: That usage milestone is reached at this moment.
        tier: The member's tier rose to this one within ``seconds``.
        page: The page the host named in the context matches one of these (a trailing ``*`` matches any rest).
        manual: Only when the host names this nudge in ``decide(request=...)``.
        seconds: How long "just" is.
    """

    milestone: str = ""
    usage: str = ""
    tier: Tier | None = None
    page: tuple[str, ...] = ()
    manual: bool = False
    seconds: int = 60


class Schedule(Value, frozen=True, kw_only=True):
    """From when until when a nudge may be offered: ISO 8601 with offset, either may be missing."""

    starts_at: str = ""
    ends_at: str = ""


class Nudge(Value, frozen=True, kw_only=True):
    """Content for one placement.

    Attributes:
        placement: The named slot of the host's page.
        mode: ``prompt``, or ``help`` for somebody who qualified but did not upgrade.
        goal: The goal it aims at; it stops when that is met. Empty: it aims at none.
        needs_episode: Whether it is offered only in the phase of an episode that fits its mode.
        audience: Who may get it.
        trigger: What must just have happened.
        hide: When it must not be shown, whatever else holds.
        lane: ``critical`` notices pass overall caps; each pass is written down.
        priority: The higher one wins.
        tier: The tier it is written for; a match wins among equal priority.
        tags: Names of groups that share caps.
        lifetime: How often one member is offered it at most, ever.
        caps: Further caps.
        dismiss_days: Silence of this nudge after it was dismissed.
        schedule: When it may be offered.
        content: What is shown when there are no variants.
        ask: What is shown to somebody who cannot purchase.
        variants: Contents drawn by weight.
        holdout: Share of units that are withheld it, 0 to 1.
        is_paused: Whether it is switched off.
        published_in: Number of the definition that brought its present form; set when published.
    """

    key: str
    placement: str
    name: str = ""
    mode: Mode = "prompt"
    goal: str = ""
    needs_episode: bool = True
    audience: Condition | None = None
    trigger: Trigger | None = None
    hide: Condition | None = None
    lane: Literal["normal", "critical"] = "normal"
    priority: int = 0
    tier: Tier | None = None
    tags: tuple[str, ...] = ()
    lifetime: int = 3
    caps: tuple[Cap, ...] = ()
    dismiss_days: float = 30
    schedule: Schedule | None = None
    content: Content | None = None
    ask: Content | None = None
    variants: tuple[Variant, ...] = ()
    holdout: float = 0
    is_paused: bool = False
    published_in: int = 0
    notes: str = ""


class Holdout(Value, frozen=True, kw_only=True):
    """The overall holdout: a share of units that is shown no nudge that aims at a goal."""

    share: float = 0.1
    unit: Subject = "account"
    salt: str = "overall"


class Settings(Value, frozen=True, kw_only=True):
    """What holds for all nudges.

    Attributes:
        default_locale: The locale of texts that are not marked with one.
        caps: Overall caps, over every nudge that is not critical.
        tag_caps: Caps shared by the nudges with a tag.
        help_per_episode: How many help items one episode may bring.
        gap_minutes: Least time between two nudges to one member.
        display_minutes: How long a nudge stays on display until it is closed.
        hide: When nothing at all is shown.
        is_paused: The kill switch.
    """

    default_locale: str = "en"
    caps: tuple[Cap, ...] = (Cap(count=1, days=1), Cap(count=3, days=7))
    tag_caps: tuple[TagCap, ...] = ()
    help_per_episode: int = 2
    gap_minutes: float = 10
    display_minutes: float = 30
    hide: Condition | None = None
    is_paused: bool = False


class Definition(Value, frozen=True, kw_only=True):
    """All rules and copy, as one document.

    Attributes:
        format: Version of the document's form.
        number: Which publication it is; 0 before it is published.
        back_to: Of a roll-back: number of the earlier definition it puts in force again; set when published. Episodes
            that only definitions in between began, end with it.
    """

    name: str = ""
    format: int = 1
    number: int = 0
    back_to: int = 0
    milestones: tuple[Milestone, ...] = ()
    groups: tuple[Group, ...] = ()
    segments: tuple[Segment, ...] = ()
    goals: tuple[Goal, ...] = (Goal(key="paid", name="Paid plan"),)
    nudges: tuple[Nudge, ...] = ()
    holdout: Holdout = Holdout()
    settings: Settings = Settings()
    notes: str = ""
