"""Questions whose answers take long at a long history: what a page may ask, and what it asks first."""

from __future__ import annotations

from typing import ClassVar, Generic, NamedTuple, TypeVar, get_args

import msgspec

from nudge_sdk.insights.calibration_reports import CalibrationReport, Nudged, Settings
from nudge_sdk.insights.drift_reports import DriftReport
from nudge_sdk.insights.signal_reports import MilestoneSignal, SignalReport, Unit
from nudge_sdk.insights.statistics.logistic import Penalty
from nudge_sdk.insights.tables import Tables
from nudge_sdk.rules.definition import Definition
from nudge_sdk.rules.lint_findings import name_of
from nudge_sdk.runtime.catalog import Catalog
from nudge_sdk.store.sql_store import SqlStore

UNITS: tuple[Unit, ...] = get_args(Unit)
NUDGED: tuple[Nudged, ...] = get_args(Nudged)
PENALTIES: tuple[Penalty, ...] = get_args(Penalty)

Answer = TypeVar("Answer", bound=msgspec.Struct, covariant=True)


class Source(NamedTuple):
    """What answers are made from.

    Attributes:
        store: Read for what was counted of everybody.
        tables: Its journeys and events.
        catalog: What is published.
        now: The instant the answer is for, in microseconds.
    """

    store: SqlStore
    tables: Tables
    catalog: Catalog
    now: int


class Question(msgspec.Struct, Generic[Answer], frozen=True, kw_only=True):
    """What somebody may ask. Its name tells it from every other question."""

    kind: ClassVar[type[msgspec.Struct]]

    @property
    def name(self) -> str:
        """What the answer is kept under."""
        return " ".join([type(self).__name__, *(str(each) for each in msgspec.structs.astuple(self))])

    def answer(self, source: Source) -> Answer:
        """Make the answer.

        Raises:
            SetupError: A package is missing.
            StoreError: The store did not answer.
        """
        raise NotImplementedError


class AskSignals(Question[SignalReport], frozen=True, kw_only=True):
    """Which early actions go with paying."""

    kind = SignalReport
    unit: Unit = "account"
    within_days: int = 30

    def answer(self, source: Source) -> SignalReport:
        from nudge_sdk.insights.signals import signals

        return signals(source.tables, now=source.now, within_days=self.within_days, unit=self.unit)


class Worth(msgspec.Struct, frozen=True, kw_only=True):
    """What today's milestones tell, reached within so many days."""

    milestones: tuple[MilestoneSignal, ...]
    days: int


class AskWorth(Question[Worth], frozen=True, kw_only=True):
    """How reaching each of today's milestones goes with paying."""

    kind = Worth
    unit: Unit = "account"
    within_days: int = 30

    def answer(self, source: Source) -> Worth:
        from nudge_sdk.insights.features import Asked, observe, points_of
        from nudge_sdk.insights.milestone_signals import milestone_signals

        rules = source.catalog.rules
        asked = Asked(source.now, within_days=self.within_days, unit=self.unit)
        names = {each.key: name_of(each) for each in rules.definition.milestones}
        found = milestone_signals(observe(source.store, source.tables, rules, asked), points_of(rules), names)
        return Worth(milestones=found, days=asked.at_days)


class Calibrated(msgspec.Struct, frozen=True, kw_only=True):
    """What points are proposed, and whether what was true still is."""

    report: CalibrationReport
    drift: DriftReport


class AskCalibration(Question[Calibrated], frozen=True, kw_only=True):
    """What points milestones should have."""

    kind = Calibrated
    unit: Unit = "account"
    at_days: int = 7
    within_days: int = 30
    nudged: Nudged = "adjust"
    penalty: Penalty = "firth"

    def answer(self, source: Source) -> Calibrated:
        from nudge_sdk.insights.calibration import calibrate
        from nudge_sdk.insights.drift import drift, points_changed_at
        from nudge_sdk.insights.features import Asked, observe, points_of

        rules, published = source.catalog.rules, source.catalog.rows
        observations = observe(
            source.store, source.tables, rules, Asked(source.now, self.at_days, self.within_days, self.unit)
        )
        return Calibrated(
            report=calibrate(observations, Settings(penalty=self.penalty, nudged=self.nudged), points_of(rules)),
            drift=drift(
                observations,
                points_of(rules),
                now=source.now,
                published_at=published[-1].published_at if published else None,
                calibrated_at=points_changed_at(published),
            ),
        )


def first_questions(definition: Definition) -> tuple[Question[msgspec.Struct], ...]:
    """Return what the pages ask where nobody chose anything."""
    return (AskSignals(), AskWorth(), AskCalibration(unit=buyer_of(definition)))


def buyer_of(definition: Definition) -> Unit:
    """Return who pays: accounts, unless the first goal is one of members."""
    return "member" if definition.goals and definition.goals[0].unit == "member" else "account"
