"""The client: load, ask the rules, write down. The only file that knows all parts.

What no request needs, explaining and publishing, is imported where it is used: hosts pay for the import at each start.
"""

from __future__ import annotations

import os
import time
import weakref
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from nudge_sdk.errors import RecordError
from nudge_sdk.options import Drain, Options, checked, definition_of, folder_beside, journal_in
from nudge_sdk.rules.definition import Definition
from nudge_sdk.rules.records import Kind
from nudge_sdk.rules.times import to_micros
from nudge_sdk.runtime.checking import check_account, check_instant, check_name, member_key
from nudge_sdk.runtime.claiming import claim
from nudge_sdk.runtime.deciding import Decider, Decision, Question, further
from nudge_sdk.runtime.drainer import Drainer, DrainThread
from nudge_sdk.runtime.failures import Failures
from nudge_sdk.runtime.intake import Intake
from nudge_sdk.runtime.metrics import measure, measured
from nudge_sdk.runtime.profiles import Profiles
from nudge_sdk.runtime.recorder import Recorder, present
from nudge_sdk.runtime.sayings import Reporter, ReportKind, Saying, quiet, report
from nudge_sdk.runtime.upkeep import Upkeep, prepare
from nudge_sdk.runtime.views import View
from nudge_sdk.store import open_store
from nudge_sdk.store.protocol import Key, Store

if TYPE_CHECKING:
    from nudge_sdk.answers import Explanation
    from nudge_sdk.rules.explaining import StandingReport
    from nudge_sdk.runtime.forgetting import Forgotten
    from nudge_sdk.runtime.publishing import Progress

T = TypeVar("T")
DEFAULTS = Options()
_NONE_REQUESTED: frozenset[str] = frozenset()
Clock = Callable[[], datetime | int]


class NudgeClient:
    """Tracks what people do and decides what to show them.

    Nothing is opened, started or connected here: the first call does.

    Args:
        store: ``sqlite:///path``, ``memory://``, or a store.
        journal: Folder of the journals; by default beside the SQLite file. Must be on a local disk.
        drain: ``thread`` drains in a daemon thread of this process, ``external`` leaves it to ``nudge worker``,
            ``inline`` writes every event to the store at once.
        definition: A definition, or the path or the text of one, that is published if the store has none.
        clock: The present instant, as an aware datetime or microseconds since 1970 UTC.
        options: The rest.

    Raises:
        SetupError: An argument that makes no sense.
        DefinitionError: The definition has problems.
    """

    def __init__(
        self,
        store: str | Store,
        *,
        journal: str | Path | None = None,
        drain: Drain | None = None,
        definition: Definition | str | Path | None = None,
        clock: Clock | None = None,
        options: Options = DEFAULTS,
    ) -> None:
        drain = checked(drain, store, clock)
        self.options = options
        self._failures = Failures()
        self.counters = self._failures.counts
        self._clock = clock
        self._definition = None if definition is None else definition_of(definition)
        self.store = open_store(store) if isinstance(store, str) else store
        instant = present if clock is None else self.now
        self.intake = Intake(self.store, instant, options.capacity, prepare=self._prepare)
        folder = None if drain == "inline" else Path(journal) if journal is not None else folder_beside(store)
        self.profiles = Profiles(self.store, most=options.profiles, max_staleness=options.max_staleness, folder=folder)
        self.drainer: Drainer | None = None
        queue = thread = None
        if folder is not None:
            queue = journal_in(folder, options)
            self.drainer = Drainer(self.intake, folder, self.profiles.drained)
            thread = DrainThread(self.drainer, seconds=options.drain_seconds) if drain == "thread" else None
        recorder, decider = (Recorder, Decider) if options.metrics is None else measured()
        self.recorder = recorder(
            self.intake, self.profiles, journal=queue, thread=thread, clock=instant, release=options.release
        )
        self.upkeep = Upkeep(self.intake, self.profiles, journal=queue, drainer=self.drainer, thread=thread)
        self.recorder.store_wait, self.recorder.is_settled = options.store_wait, options.durability == "power"
        self.recorder.repeat_within = round(options.repeat_seconds * 1_000_000)
        self.decider = decider(
            self.intake,
            self.profiles,
            self.recorder.ids.new,
            refresh_seconds=options.refresh_seconds,
            wait=options.store_wait,
            failures=self._failures,
        )
        if options.metrics is not None:
            measure(options.metrics, self._failures, self.intake, self.drainer, self.recorder, self.decider)
        _clients.add(self)

    def now(self) -> int:
        """Return the present instant in microseconds, by the client's clock."""
        return present() if self._clock is None else to_micros(self._clock(), "clock")

    def track(
        self,
        user: str,
        event: str,
        properties: Mapping[str, Any] | None = None,
        *,
        account: str | None = None,
        at: datetime | str | int | None = None,
        id: str | None = None,
        connection: Any = None,
    ) -> bool:
        """Say that a member did something.

        Args:
            user: Who.
            event: What, such as ``campaign_sent``.
            properties: JSON values; Decimals and aware datetimes are taken too.
            account: In which account; None for the user's personal one.
            at: When, if not now: an aware datetime, ISO 8601 with offset, or microseconds.
            id: Message id; the same (account, user, id, at) counts once.
            connection: A connection or session of the host's to the store's database (SQLAlchemy's, Django's, or the
                driver's own): the event counts if its transaction commits, and leaves no trace if that rolls back.

        Returns:
            Whether it is safe: True survives ``kill -9`` of this process; with ``connection``, once that commits.
        """
        try:
            recorder = self.recorder
            event = check_name(event, "event")
            record = recorder.make("track", user, event, properties, account=account, at=at, id=id)
            if connection is not None:
                recorder.hand_over(record, connection)
            else:
                recorder.write(record, is_ours=id is None)
        except Exception as error:
            return self._failed("track", error, False)
        return True

    def track_many(self, events: Iterable[Mapping[str, Any]]) -> list[bool]:
        """Say several things: each mapping holds the arguments of ``track``; for each, whether it is safe."""
        return [self._track_one(event) for event in events]

    def identify(
        self,
        user: str,
        traits: Mapping[str, Any],
        *,
        account: str | None = None,
        at: datetime | str | int | None = None,
        id: str | None = None,
    ) -> bool:
        """Say what a member is; the same said again within an hour writes nothing. A trait of None is removed."""
        return self._say("identify", user, "", traits, account=account, at=at, id=id)

    def group(
        self,
        account: str,
        traits: Mapping[str, Any] | None = None,
        *,
        user: str | None = None,
        left: bool = False,
        at: datetime | str | int | None = None,
        id: str | None = None,
    ) -> bool:
        """Say what an account is, and that a member belongs to it (or has left it).

        The first account a user is put into takes over what the user did without one.
        """
        kind: Kind = "left" if left else "group"
        return self._say(kind, user, "", traits, account=account, at=at, id=id)

    def alias(self, anonymous: str, user: str, *, account: str | None = None) -> bool:
        """Say that an anonymous visitor is this user: counts, caps and answers of both are joined."""
        return self._say("alias", anonymous, user, None, account=account)

    def convert(
        self,
        account: str | None = None,
        *,
        user: str | None = None,
        goal: str = "paid",
        value: float | None = None,
        at: datetime | str | int | None = None,
        id: str | None = None,
    ) -> bool:
        """Say that a goal is met, by an account or by a user without one: its nudges stop at once."""
        data = None if value is None else {"value": value}
        return self._say("convert", user, goal, data, account=account, at=at, id=id)

    def churn(
        self,
        account: str | None = None,
        *,
        user: str | None = None,
        goal: str = "paid",
        at: datetime | str | int | None = None,
        id: str | None = None,
    ) -> bool:
        """Say that a goal is no longer met: it is open again."""
        return self._say("churn", user, goal, None, account=account, at=at, id=id)

    def record(
        self,
        nudge: str | Decision,
        kind: ReportKind,
        *,
        user: str | None = None,
        account: str | None = None,
        until: datetime | str | int | None = None,
        id: str | None = None,
    ) -> bool:
        """Say what a person did with a nudge.

        Args:
            nudge: The decision that offered it, or its key. For ``opted_out`` and ``opted_in``: a tag, or an empty text
                for all nudges.
            kind: shown, clicked, dismissed, snoozed, completed, opted_out or opted_in.
            user: Who; taken from a decision.
            account: In which account; taken from a decision.
            until: Of snoozed: until when.
            id: Message id, so that a report delivered again counts once.
        """
        try:
            record = report(self.recorder, nudge, kind, Reporter(user, account, until, id))
            if kind in ("shown", "clicked"):
                self.recorder.write(record)
            else:
                self.recorder.commit_or_write(record, wait=self.options.store_wait)
        except Exception as error:
            return self._failed("record", error, False)
        return True

    def decide(
        self,
        placement: str,
        *,
        user: str,
        account: str | None = None,
        context: Mapping[str, Any] | None = None,
        locale: str = "",
        can_purchase: bool = True,
        request: Iterable[str] = (),
    ) -> Decision:
        """Choose what to show a person at a placement, if anything.

        Args:
            placement: The named slot of the host's page.
            user: Who looks at it.
            account: In which account.
            context: Values of this request for conditions and copy, such as ``page`` or live usage numbers.
            locale: BCP 47 tag of the person's language.
            can_purchase: Whether the person may buy; others may get a text that asks the one who can.
            request: Keys of nudges with a manual trigger that the host asks for.

        Returns:
            The decision; false where nothing is to be shown, with a reason for each candidate.
        """
        try:
            self.intake.ready(self.options.store_wait)
            asked = context if type(context) is dict else dict(context or {})
            requested = frozenset(request) if request else _NONE_REQUESTED
            question = Question(placement, member_key(user, account), asked, locale, can_purchase, requested)
            return self.decider.decide(question)
        except Exception as error:
            return self._failed("decide", error, Decision(placement=placement, problem=str(error)))

    def claim(self, placement: str, *, user: str, account: str | None = None) -> bool:
        """Spend the caps on a banner of the host's own; whether there was room for it, so that it may be shown."""
        try:
            self.intake.ready(self.options.store_wait)
            return claim(self.decider, self.recorder, Question(placement, member_key(user, account)))
        except Exception as error:
            return self._failed("claim", error, True)

    def silence(self, user: str, *, account: str | None = None, until: datetime | str | int) -> bool:
        """Show a person no nudge until then, such as after an error of the host; whether it is safe."""
        try:
            self.recorder.commit_or_write(quiet(self.recorder, user, account, until), wait=self.options.store_wait)
        except Exception as error:
            return self._failed("silence", error, False)
        return True

    def standing(
        self, user: str | None = None, *, account: str | None = None, at: datetime | str | int | None = None
    ) -> StandingReport | None:
        """Return the standing of a member, or without a user of an account, with every reason; None on failure."""
        try:
            self.intake.ready()
            from nudge_sdk.answers import report_of

            key = (check_account(account), "") if user is None else member_key(user, account)
            return report_of(self._view(key, at), is_account=user is None)
        except Exception as error:
            return self._failed("standing", error, None)

    def explain(
        self,
        placement: str,
        *,
        user: str,
        account: str | None = None,
        at: datetime | str | int | None = None,
        **asked: Any,
    ) -> Explanation | None:
        """Say what ``decide`` would answer and why; nothing is spent. Further arguments as for ``decide``."""
        try:
            self.intake.ready()
            question = Question(placement=placement, key=member_key(user, account), **further(asked))
            from nudge_sdk.answers import explain

            return explain(self.decider, question, self.now() if at is None else check_instant(at, "at"))
        except Exception as error:
            return self._failed("explain", error, None)

    def publish(
        self,
        definition: Definition | str | Path,
        *,
        by: str = "",
        note: str = "",
        back_to: int = 0,
        progress: Progress | None = None,
    ) -> int:
        """Publish a definition and return its number; it is in force then. Raises whatever ``on_error`` says.

        Args:
            definition: A definition, or the path or the text of one.
            by: Who publishes.
            note: Why.
            back_to: Of a roll-back: the number it goes back to, so that episodes only later ones began end.
            progress: Told how far the counting of new signals from history is.

        Raises:
            DefinitionError: It has problems; all of them are listed.
            StoreError: The store refused.
        """
        self.intake.ready()
        from nudge_sdk.runtime.publishing import make_live, publish

        publish(self.intake, definition_of(definition), by=by, note=note, back_to=back_to)
        number = make_live(self.intake, progress)
        self.decider.forget_catalog()
        return number

    def forget(self, user: str, *, account: str | None = None, scrub: bool = True) -> Forgotten:
        """Forget a person for good, with all that was joined to them; raises whatever ``on_error`` says.

        Args:
            user: Who.
            account: The only account to forget them in; without one they are forgotten everywhere.
            scrub: Whether to overwrite at once what deleting leaves in the database's files; that writes tables anew.

        Raises:
            StoreError: The store refused or was busy; doing it again finishes what is left.
        """
        self.intake.ready()
        from nudge_sdk.runtime.forgetting import forget

        user_id, account_id = check_name(user, "user"), None if account is None else check_account(account)
        return forget(self.upkeep, self.recorder, user_id=user_id, account_id=account_id, scrub=scrub)

    def export(self, user: str, *, account: str | None = None) -> dict[str, Any]:
        """Return everything that is held about a person, as JSON values; raises whatever ``on_error`` says.

        Args:
            user: Who.
            account: The only account meant; without one, every account.

        Raises:
            StoreError: The store refused or was busy.
        """
        self.intake.ready()
        from nudge_sdk.answers import report_of
        from nudge_sdk.runtime.disclosing import disclose

        user_id, account_id = check_name(user, "user"), None if account is None else check_account(account)
        self.upkeep.flush(time.monotonic() + 10)
        return disclose(
            self.intake,
            lambda key: report_of(self._view(key, None), is_account=False),
            user_id=user_id,
            account_id=account_id,
        )

    def flush(self, timeout: float = 10.0) -> bool:
        """Bring everything tracked so far into the store; whether it is all in. What is not stays safe in the journal.

        Args:
            timeout: Most seconds to wait.
        """
        try:
            return self.upkeep.flush(time.monotonic() + timeout)
        except Exception as error:
            return self._failed("flush", error, False)

    def sweep(self) -> int:
        """Step members and accounts through what time alone changed.

        The drain thread and ``nudge worker`` do it by themselves.

        Returns:
            How many there were; 0 where another process is at it.
        """
        try:
            return self.upkeep.sweep()
        except Exception as error:
            return self._failed("sweep", error, 0)

    def close(self, deadline: float = 5.0) -> None:
        """Drain what can be drained, and let go of everything; what is left is safe in the journal.

        A process that ends without it loses nothing: whichever drains next takes its journal over. So nothing is done
        at exit by itself, and no exit waits for a store. Close where no other process may come for long.

        Args:
            deadline: Most seconds to take.
        """
        self.upkeep.close(deadline)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def _prepare(self, wait: float) -> None:
        prepare(self.intake, wait, migrate=self.options.migrate, first=self._definition)

    def _track_one(self, event: Mapping[str, Any]) -> bool:
        try:
            return self.track(**event)
        except TypeError as error:
            return self._failed("track", RecordError("event", str(error)), False)

    def _say(
        self,
        kind: Kind,
        user: str | None,
        name: str,
        data: Mapping[str, Any] | None,
        *,
        account: str | None = None,
        at: datetime | str | int | None = None,
        id: str | None = None,
    ) -> bool:
        try:
            saying = Saying(kind, user, name, data, account=account, at=at, id=id)
            self.recorder.say(saying.record(self.recorder), is_ours=id is None)
        except Exception as error:
            return self._failed(kind, error, False)
        return True

    def _view(self, key: Key, at: datetime | str | int | None) -> View:
        now = self.now() if at is None else check_instant(at, "at")
        return self.profiles.view(key, now, self.decider.catalog(), is_kept=at is None)

    def _failed(self, what: str, error: Exception, neutral: T) -> T:
        """Answer neutrally, count the failure, and say it once per cause."""
        if self.options.on_error == "raise":
            raise error
        self._failures.note(what, error)
        return neutral

    def _after_fork(self) -> None:
        for part in (self._failures, self.drainer, self.intake, self.profiles, self.recorder, self.store):
            if part is not None:
                part.after_fork()


_clients: weakref.WeakSet[NudgeClient] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for client in list(_clients):
        client._after_fork()


os.register_at_fork(after_in_child=_after_fork_in_child)
