"""Lift from a store: who was offered and who was withheld, counted by hand beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from nudge_sdk.cli import main
from nudge_sdk.insights.archive import archive
from nudge_sdk.insights.holdouts import published_holdouts
from nudge_sdk.insights.journeys import refresh
from nudge_sdk.insights.lift import lift_of_nudges
from nudge_sdk.insights.lift_reports import LiftReport, Verdict
from nudge_sdk.insights.lift_words import lift_words
from nudge_sdk.insights.statistics.power import plan_experiment
from nudge_sdk.insights.tables import opened_tables
from nudge_sdk.testing import START, NudgeTest
from tests.runtime.examples import FREE, nudge, product

UPGRADE = nudge("upgrade", goal="paid", lifetime=100)
BY_MEMBER = {"goals": [{"key": "paid", "unit": "member"}]}


class Trial:
    """A store, and what was seen of it from outside.

    Args:
        url: Its address.

    Attributes:
        offered, withheld: Users in the order in which they were asked for.
    """

    def __init__(self, url: str, *nudges: dict[str, Any], **changes: Any) -> None:
        self.url = url
        self.test = NudgeTest(product(*nudges, **{"settings": FREE, **changes}), store=self.url)
        self.offered: list[str] = []
        self.withheld: list[str] = []

    def publish(self, *nudges: dict[str, Any], **changes: Any) -> None:
        self.test.client.publish(product(*nudges, **{"settings": FREE, **changes}))

    def ask(self, users: Iterable[str], *, account: str | None = None, placement: str = "page") -> None:
        """Let them come to the page."""
        for user in users:
            shown = self.test.client.decide(placement, user=user, account=account)
            (self.offered if shown else self.withheld).append(user)

    def pay(self, users: Iterable[str], *, account: str | None = None) -> None:
        for user in users:
            self.test.client.convert(user=user, account=account)

    def reports(self, **asked: Any) -> dict[str, LiftReport]:
        """The reports by key of the nudge; the overall one is ``overall``."""
        *earlier, definition = published_holdouts(self.test.client.store.definitions())
        with opened_tables(store=self.url) as tables:
            found = lift_of_nudges(tables, definition, self.test.client.now(), earlier=earlier, **asked)
        return {"overall" if each.kind == "overall" else each.key: each for each in found}


@pytest.fixture
def trial_of(tmp_path: Path) -> Iterator[Callable[..., Trial]]:
    """Make trials with these nudges; they are closed in the end."""
    with ExitStack() as stack:

        def make(*nudges: dict[str, Any], url: str = "", **changes: Any) -> Trial:
            trial = Trial(url or f"sqlite:///{tmp_path}/nudge.db", *nudges, **changes)
            stack.callback(trial.test.client.close)
            return trial

        yield make


def users(count: int, prefix: str = "user") -> list[str]:
    return [f"{prefix}-{number}" for number in range(count)]


def counted(report: LiftReport) -> tuple[tuple[int, int], tuple[int, int]]:
    """Of the control and of the treated: how many met the goal, of how many observed."""
    control, treated = report.control.seen, report.treated.seen
    return (control.count, control.of), (treated.count, treated.of)


def test_the_overall_holdout_is_counted_from_the_first_exposure_on(trial_of: Callable[..., Trial]) -> None:
    trial = trial_of(UPGRADE, holdout={"share": 0.5})
    trial.ask(users(40))
    offered, withheld = len(trial.offered), len(trial.withheld)
    trial.test.clock.move(days=29, hours=23)
    trial.pay([*trial.offered[:6], *trial.withheld[:2]])
    trial.test.clock.move(hours=1)
    trial.pay([trial.offered[6], trial.withheld[2]])
    late = users(5, "late")
    trial.ask(late)
    trial.test.clock.move(days=1)
    trial.pay([trial.offered[offered]])
    found = trial.reports(plan=plan_experiment(0.1, 0.8, 0.5))["overall"]
    assert counted(found) == ((2, withheld), (6, offered))
    assert (found.treated.waiting, found.treated.waiting_won) == (len(trial.offered) - offered, 1)
    assert found.control.waiting == len(trial.withheld) - withheld
    assert found.ratio.arms[0].units == len(trial.withheld)
    assert found.live.difference == pytest.approx(6 / offered - 2 / withheld)
    assert (found.progress.observed, found.progress.days, found.unit) == (40, 31, "account")
    assert (found.is_randomised, found.holdout, found.left_out, found.exposures.several) == (True, "overall", 0, 0)


def test_later_exposures_and_conversions_before_the_first_change_nothing(trial_of: Callable[..., Trial]) -> None:
    trial = trial_of(UPGRADE, holdout={"share": 0.5})
    trial.ask(users(20))
    first, other = trial.offered[0], trial.withheld[0]
    trial.test.clock.move(days=20)
    trial.ask(users(20))
    trial.test.clock.move(days=15)
    trial.pay([first, other])
    trial.test.clock.move(days=10)
    found = trial.reports()["overall"]
    assert found.progress.observed == 20
    assert (found.control.seen.count, found.treated.seen.count) == (0, 0), "day 35 is after the window of 30"
    longer = trial.reports(window_days=40)["overall"]
    assert (longer.control.seen.count, longer.treated.seen.count) == (1, 1)


def test_the_account_is_the_unit_where_it_buys(trial_of: Callable[..., Trial]) -> None:
    trial = trial_of(UPGRADE, holdout={"share": 0.5})
    names = users(20, "account")
    sides: dict[str, bool] = {}
    for account in names:
        before = len(trial.offered)
        trial.ask(["ada", "bob"], account=account)
        sides[account] = len(trial.offered) > before
        trial.test.clock.move(hours=1)
    paying = [account for account in names if sides[account]][:3]
    for account in paying:
        trial.test.client.convert(account=account)
    trial.test.clock.move(days=40)
    found = trial.reports()["overall"]
    offered = sum(sides.values())
    assert counted(found) == ((0, 20 - offered), (3, offered))
    assert (found.unit, found.exposures.several, found.live.clusters) == ("account", 0, None)


def test_members_of_shared_accounts_are_counted_with_cluster_robust_errors(trial_of: Callable[..., Trial]) -> None:
    trial = trial_of(UPGRADE, holdout={"share": 0.5}, **BY_MEMBER)
    for account in users(30, "account"):
        before = len(trial.offered)
        trial.ask(["ada", "bob", "eve"], account=account)
        is_offered = len(trial.offered) > before
        if (is_offered and account < "account-2") or len(trial.withheld) == 3:
            trial.pay(["ada", "bob", "eve"], account=account)
    trial.test.clock.move(days=45)
    plan = plan_experiment(0.1, 0.6, 0.5)
    found = trial.reports(plan=plan)["overall"]
    (_, withheld), (won, offered) = counted(found)
    assert (found.unit, withheld + offered, won % 3) == ("member", 90, 0)
    assert {each.units for each in found.ratio.arms} == {withheld // 3, offered // 3}, "accounts were drawn"
    assert found.live.clusters == 30
    assert found.final is not None
    assert found.final_clustered is not None
    assert found.final_clustered.clusters == 30
    assert found.final_clustered.design_effect == pytest.approx(3, rel=0.15)
    assert found.final_clustered.low < found.final.low
    assert any("the verdict rests on it" in line for line in lift_words(found))


def test_a_holdout_of_its_own_is_the_control_of_its_nudge(trial_of: Callable[..., Trial]) -> None:
    trial = trial_of({**UPGRADE, "holdout": 0.5}, holdout={"share": 0.4})
    people = users(60)
    trial.ask(people)
    reasons = {
        user: trial.test.client.store.exposures(f"personal:{user}", user)[0].holdout or "offered" for user in people
    }
    groups = {name: [user for user in people if reasons[user] == name] for name in ("overall", "nudge", "offered")}
    for name, paying in (("overall", 1), ("nudge", 2), ("offered", 5)):
        trial.pay(groups[name][:paying])
    trial.test.clock.move(days=31)
    found = trial.reports()
    sizes = {name: len(group) for name, group in groups.items()}
    assert counted(found["upgrade"]) == ((2, sizes["nudge"]), (5, sizes["offered"]))
    assert (found["upgrade"].holdout, found["upgrade"].control.share) == ("own", 0.5)
    assert counted(found["overall"]) == ((1, sizes["overall"]), (7, sizes["nudge"] + sizes["offered"]))
    assert (found["overall"].holdout, found["overall"].control.share) == ("overall", 0.4)


def test_after_another_nudge_the_overall_holdout_no_longer_compares_like_with_like(
    trial_of: Callable[..., Trial],
) -> None:
    second = nudge("second", goal="paid", placement="other", lifetime=100)
    trial = trial_of(UPGRADE, second, holdout={"share": 0.5})
    trial.ask(users(10))
    trial.test.clock.move(hours=1)
    trial.ask(users(16), placement="other")
    trial.test.clock.move(days=40)
    found = trial.reports()
    assert (found["overall"].progress.observed, found["upgrade"].progress.observed) == (16, 10)
    assert (found["second"].progress.observed, found["second"].left_out) == (6, 10)
    assert "a holdout of its own would let them count" in " ".join(lift_words(found["second"]))


def test_who_was_exposed_under_another_holdout_is_left_out(trial_of: Callable[..., Trial]) -> None:
    trial = trial_of(UPGRADE, holdout={"share": 0.2})
    trial.ask(users(30))
    trial.publish(UPGRADE, holdout={"share": 0.2}, notes="a new text changes nothing")
    trial.ask(users(10, "same"))
    assert trial.reports()["overall"].treated.units + trial.reports()["overall"].control.units == 40
    trial.publish(UPGRADE, holdout={"share": 0.6})
    trial.test.clock.move(hours=1)
    trial.ask([*users(30), *users(20, "new")])
    found = trial.reports()["overall"]
    assert (found.treated.units + found.control.units, found.left_out) == (20, 30), "those who came again"
    assert found.control.share == 0.6
    trial.publish(UPGRADE, holdout={"share": 0})
    trial.ask(users(5, "newest"))
    ended = trial.reports()["overall"]
    assert (ended.ended_with, ended.treated.units + ended.control.units) == (3, 20)
    assert "ended with definition 3" in lift_words(ended)[0]


def test_without_a_holdout_it_is_association_and_has_no_verdict(trial_of: Callable[..., Trial]) -> None:
    trial = trial_of(UPGRADE)
    trial.ask(users(8))
    trial.pay(users(2))
    trial.test.clock.move(days=31)
    for found in trial.reports().values():
        assert (found.verdict, found.is_randomised, found.plan, found.final) == (None, False, None, None)
        assert counted(found) == ((0, 0), (2, 8))
        words = " ".join(lift_words(found))
        assert "association, not lift" in words
        assert "lift" not in words.replace("association, not lift", "")


def test_somebody_seen_on_both_sides_is_told_and_too_many_forbid_a_verdict(trial_of: Callable[..., Trial]) -> None:
    trial = trial_of(UPGRADE, holdout={"share": 0.5, "unit": "member"})
    for account in users(30, "account"):
        trial.ask([f"ada-{account}", f"bob-{account}"], account=account)
        trial.test.clock.move(minutes=1)
    trial.test.clock.move(days=40)
    found = trial.reports()["overall"]
    assert found.treated.units + found.control.units == 30, "an account is on the side of its first member"
    assert {each.units for each in found.ratio.arms} == {len(trial.offered), len(trial.withheld)}, "members were drawn"
    mixed = found.exposures.several
    assert 10 <= mixed < 30
    assert found.verdict is Verdict.INVALID
    assert f"{mixed} of 30 units" in found.reason


def test_before_anybody_came_there_is_nothing_to_say(trial_of: Callable[..., Trial]) -> None:
    found = trial_of(UPGRADE, nudge("tip"), holdout={"share": 0.5}).reports()
    assert list(found) == ["overall", "upgrade", "tip"]
    assert found["overall"].verdict is Verdict.NOT_YET
    assert found["tip"].verdict is None
    for report in found.values():
        assert counted(report) == ((0, 0), (0, 0))
        assert lift_words(report)


@pytest.fixture
def measured(trial_of: Callable[..., Trial]) -> Trial:
    """Forty who came on the first day, of whom those whose number ends in 3 paid a day later."""
    trial = trial_of({**UPGRADE, "name": "Upgrade now"}, holdout={"share": 0.5})
    trial.ask(users(40))
    trial.test.clock.move(days=1)
    trial.pay([user for user in users(40) if user.endswith("3")])
    return trial


def run(*words: str) -> list[str]:
    done = CliRunner().invoke(main, ["lift", *words], env={"NUDGE_STORE": ""})
    assert done.exit_code == 0, done.output
    return done.stdout.splitlines()


LATER = (START + timedelta(days=60)).isoformat()


def test_the_command_reports_on_a_store(measured: Trial) -> None:
    offered, won = len(measured.offered), sum(user.endswith("3") for user in measured.offered)
    lines = run("--store", measured.url, "--at", LATER)
    assert lines[0] == "Overall holdout: goal paid within 30 days of the first exposure, by account"
    assert "Not yet: 40 of 1,372 accounts planned" in lines[1]
    assert f"offered: {offered} accounts; {won} of {offered} " in lines[2]
    assert "Nudge Upgrade now, by the overall holdout: goal paid" in "\n".join(lines)
    found = run("--store", measured.url, "--at", LATER, "--nudge", "upgrade", "--baseline", "0.2", "--effect", "0.58")
    assert found[0].startswith("Nudge Upgrade now")
    assert found[1].startswith("  No difference shown: Of those offered ")
    assert "relative lift" in "".join(found)


def test_the_plan_that_is_kept_is_the_plan(measured: Trial) -> None:
    said = run("--plan", "--baseline", "0.2", "--effect", "0.58", "--keep", "--by", "kim", "--store", measured.url)
    assert "22 units (11 in the control, 11 treated)" in said[0]
    lines = run("--store", measured.url, "--at", LATER, "--nudge", "upgrade")
    assert lines[1].startswith("  No difference shown")


def test_postgresql_tells_the_same(
    measured: Trial, trial_of: Callable[..., Trial], new_postgresql: Callable[[], str]
) -> None:
    other = trial_of({**UPGRADE, "name": "Upgrade now"}, holdout={"share": 0.5}, url=new_postgresql())
    other.ask(users(40))
    other.test.clock.move(days=1)
    other.pay([user for user in users(40) if user.endswith("3")])
    assert other.reports() == measured.reports()


def test_the_archive_tells_the_same_as_the_store(measured: Trial, tmp_path: Path) -> None:
    refresh(measured.test.client.store, measured.test.client.decider.catalog().rules, measured.test.client.now())
    archive(measured.test.client.store, tmp_path / "archive", measured.test.client.now())
    stored = measured.reports()
    *earlier, definition = published_holdouts(measured.test.client.store.definitions())
    with opened_tables(archive=tmp_path / "archive") as tables:
        found = lift_of_nudges(tables, definition, measured.test.client.now(), earlier=earlier)
    assert list(found) == list(stored.values())
