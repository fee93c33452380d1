"""The playbooks at work: what people did, and the score and tier worked out by hand."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest

from nudge_sdk.documents import read_definition
from nudge_sdk.playbooks import read_playbook
from nudge_sdk.rules.compiled import Rules, in_thousandths
from nudge_sdk.rules.counting import apply_to_account, apply_to_member
from nudge_sdk.rules.definition import Definition
from nudge_sdk.rules.records import Kind, Record
from nudge_sdk.rules.standing import UNJUDGED, Judged, Standing, judge, phase_of
from nudge_sdk.rules.state import State
from nudge_sdk.rules.times import DAY, HOUR

FIRST_DAY = 20_000


@cache
def playbook(key: str) -> Definition:
    return read_definition(read_playbook(key))


class Company:
    """An account under a playbook; days count from its first one, and everything happens at noon."""

    def __init__(self, key: str) -> None:
        self.rules = Rules(playbook(key))
        self.account = State()
        self.members: dict[str, State] = {}
        self.said = 0

    def did(self, user: str, event: str, *, day: int = 0, times: int = 1, **properties: Any) -> Company:
        for _ in range(times):
            self._say("track", user, day, name=event, data=properties)
        return self

    def knows(self, user: str, **traits: Any) -> Company:
        self._say("identify", user, 0, data=traits)
        return self

    def is_like(self, **traits: Any) -> Company:
        self._say("group", "", 0, data=traits)
        return self

    def reaches_goal(self, goal: str, day: int) -> Company:
        self._say("convert", "", day, name=goal)
        return self

    def member(self, user: str = "ada", *, day: int = 0, before: Standing = UNJUDGED) -> Standing:
        return judge(self.rules, Judged(user, self._state(user), self.account), self._noon(day), before, "test")

    def as_account(self, *, day: int = 0) -> Standing:
        return judge(self.rules, Judged("", self.account, self.account), self._noon(day), UNJUDGED, "test")

    def _say(self, kind: Kind, user: str, day: int, *, name: str = "", data: dict[str, Any] | None = None) -> None:
        self.said += 1
        at = self._noon(day)
        record = Record(kind, "acme", user, f"m{self.said}", at, at, name, data or {})
        apply_to_account(self.account, record, self.rules.plan, user)
        if user:
            apply_to_member(self._state(user), record, self.rules.plan, user)

    def _state(self, user: str) -> State:
        return self.members.setdefault(user, State())

    @staticmethod
    def _noon(day: int) -> int:
        return (FIRST_DAY + day) * DAY + 12 * HOUR


def email_company() -> Company:
    return Company("email_tool").is_like(employees=20)


def test_a_campaign_and_three_teammates_are_8_points_and_a_pql() -> None:
    company = email_company().did("ada", "campaign_sent").did("ada", "teammate_invited", times=3)
    standing = company.member()
    assert (standing.score, standing.tier, standing.segment) == (in_thousandths(8), "warm", "smb")
    assert company.did("bob", "campaign_sent").did("bob", "teammate_invited", times=2).member("bob").tier == "none"


def test_7_points_are_no_pql() -> None:
    company = email_company().knows("ada", role="admin").did("ada", "campaign_sent")
    standing = company.member()
    assert (standing.score, standing.tier) == (in_thousandths(7), "none")
    assert company.did("ada", "session_started", times=3).member().tier == "warm"


def test_points_without_a_campaign_are_no_pql_however_many() -> None:
    company = Company("email_tool").is_like(employees=20).knows("ada", role="pm")
    company.did("ada", "teammate_invited", times=3).did("ada", "integration_connected", kind="core")
    company.did("ada", "payment_received").did("ada", "session_started", times=3)
    standing = company.member()
    assert (standing.score, standing.tier) == (in_thousandths(14), "none")


def test_signing_up_and_logging_in_alone_never_qualify_anybody() -> None:
    company = email_company().knows("ada", role="admin").did("ada", "signed_up")
    for day in range(30):
        for user in ("ada", "bob", "cyd"):
            company.did(user, "session_started", day=day, times=3, role="admin").did(user, "logged_in", day=day)
    assert {company.member(user, day=day).tier for user in company.members for day in range(30)} == {"none"}
    assert {company.as_account(day=day).tier for day in range(30)} == {"none"}
    assert company.member(day=29).score == in_thousandths(3)


def test_an_integration_that_is_not_core_gives_nothing() -> None:
    company = email_company().did("ada", "campaign_sent").did("ada", "integration_connected", kind="other")
    assert company.member().score == in_thousandths(5)
    assert company.did("ada", "integration_connected", kind="core").member().score == in_thousandths(8)


def test_8_points_last_14_days_and_are_held_for_3_more() -> None:
    company = email_company().did("ada", "campaign_sent").did("ada", "teammate_invited", times=3)
    tiers = [company.member(day=day).tier for day in (0, 13, 14, 16, 17)]
    assert tiers == ["warm", "warm", "warm", "warm", "none"]
    assert company.member(day=14).entry == "none"


def test_12_points_make_a_pqa_only_with_three_active_users() -> None:
    company = email_company().did("ada", "campaign_sent").did("ada", "workflow_started")
    company.did("bob", "contacts_imported", role="pm")
    standing = company.as_account()
    assert (standing.score, standing.active_users, standing.tier) == (in_thousandths(12), 2, "warm")
    company.did("cyd", "opened_report")
    assert (company.as_account().active_users, company.as_account().tier) == (3, "hot")


def test_three_active_users_with_11_points_are_no_pqa() -> None:
    company = email_company().did("ada", "campaign_sent").did("bob", "workflow_started").did("cyd", "session_started")
    company.did("cyd", "session_started", times=2)
    standing = company.as_account()
    assert (standing.score, standing.active_users, standing.tier) == (in_thousandths(11), 3, "warm")


def test_active_users_count_for_7_days_and_points_for_14() -> None:
    company = email_company().did("ada", "campaign_sent").did("ada", "workflow_started", role="pm")
    company.did("bob", "opened_report").did("cyd", "opened_report")
    entries = [(company.as_account(day=day).entry, company.as_account(day=day).active_users) for day in (6, 7)]
    assert entries == [("hot", 3), ("warm", 0)]


@pytest.mark.parametrize("traits", [{"employees": 100}, {"plan": "enterprise"}])
def test_an_enterprise_needs_more_than_a_small_company(traits: dict[str, Any]) -> None:
    company = Company("email_tool").is_like(**traits).did("ada", "campaign_sent")
    company.did("ada", "teammate_invited", times=3)
    assert (company.member().segment, company.member().tier) == ("enterprise", "none")
    company.did("ada", "workflow_started")
    assert company.member().tier == "warm"


def test_99_employees_are_a_small_company() -> None:
    assert Company("email_tool").is_like(employees=99).did("ada", "campaign_sent").member().segment == "smb"


def test_help_replaces_prompts_on_day_7() -> None:
    company = email_company().did("ada", "campaign_sent").did("ada", "teammate_invited", times=3)
    standing = company.member()
    smb = next(each for each in playbook("email_tool").segments if each.key == standing.segment)
    phases = [phase_of(standing.episode, smb, (FIRST_DAY + day) * DAY) for day in (0, 6, 7)]
    assert phases == ["prompt", "prompt", "help"]


def test_after_conversion_and_a_rest_the_next_episode_is_about_expansion() -> None:
    company = email_company().did("ada", "campaign_sent").did("ada", "teammate_invited", times=3)
    first = company.member()
    assert first.episode is not None
    assert first.episode.goal == "paid"
    won = company.reaches_goal("paid", day=1).member(day=1, before=first)
    assert won.episode is not None
    assert won.episode.end_reason == "goal"
    company.did("ada", "campaign_sent", day=40).did("ada", "workflow_started", day=40)
    again = company.member(day=40, before=won)
    assert again.episode is not None
    assert (again.episode.goal, again.episode.started_at // DAY) == ("expansion", FIRST_DAY + 40)


def test_a_shop_without_an_order_is_not_ready() -> None:
    company = Company("ecommerce").did("ada", "product_added").did("ada", "payment_processor_connected")
    assert company.member().tier == "none"
    assert company.did("ada", "order_received").member().tier == "warm"


def test_an_analytics_account_needs_four_users_and_a_second_role() -> None:
    company = Company("analytics_b2b").did("ada", "dashboard_shared", times=3).did("ada", "integration_connected")
    for day in (0, 7):
        company.did("ada", "session_started", day=day, role="admin")
        for user in ("bob", "cyd"):
            company.did(user, "session_started", day=day, role="analyst")
    assert (company.as_account(day=7).active_users, company.as_account(day=7).tier) == (3, "warm")
    assert company.did("dan", "session_started", day=7, role="admin").as_account(day=7).tier == "hot"


def test_an_analytics_account_of_one_role_is_not_hot() -> None:
    company = Company("analytics_b2b").did("ada", "dashboard_shared", times=3).did("ada", "integration_connected")
    for user in ("ada", "bob", "cyd", "dan", "eva"):
        for day in (0, 7):
            company.did(user, "session_started", day=day, role="admin")
    assert company.as_account(day=7).tier == "warm"


def test_the_hundredth_call_counts_even_when_calls_come_in_batches() -> None:
    company = Company("api_tool").did("ada", "billing_linked").did("ada", "api_calls_made", calls=60)
    company.did("ada", "api_calls_made", calls=39)
    assert company.member().tier == "none"
    assert company.did("ada", "api_calls_made", calls=1).member().tier == "warm"


def test_two_limits_at_once_give_the_points_of_one() -> None:
    limits = {"storage_used": 10, "storage_limit": 10, "projects_used": 6, "projects_limit": 5}
    company = Company("collaboration").is_like(**limits).did("ada", "opened_report")
    assert company.member().score == in_thousandths(5)
    assert company.did("ada", "document_edited", times=3).member().tier == "warm"


def test_a_trial_counts_those_who_start_soon_and_come_back() -> None:
    company = Company("trial").did("ada", "core_action_done", times=9)
    assert company.member().tier == "none"
    company.did("ada", "core_action_done", day=2).did("ada", "core_action_done", day=4)
    assert company.member(day=4).tier == "hot"


def test_a_late_starter_of_a_trial_is_warm_but_not_hot() -> None:
    company = Company("trial").did("ada", "signed_up")
    for day in (4, 5, 6):
        company.did("ada", "core_action_done", day=day)
    assert company.member(day=6).tier == "warm"


def test_a_deep_free_user_needs_one_more_sign() -> None:
    company = Company("freemium").did("ada", "core_action_done", times=10)
    assert company.member().tier == "none"
    company.did("ada", "integration_connected", name="slack", times=2)
    assert company.member().tier == "none"
    assert company.did("ada", "integration_connected", name="github").member().tier == "warm"


def test_invites_and_the_free_limit_are_70_exactly() -> None:
    company = Company("points_70").is_like(plan_used=3, plan_limit=3).did("ada", "teammate_invited", times=3)
    assert (company.member().score, company.member().tier) == (in_thousandths(70), "warm")


def test_invites_two_shared_files_and_four_log_ins_are_70_exactly() -> None:
    company = Company("points_70").did("ada", "teammate_invited", times=3).did("ada", "logged_in", times=4)
    company.did("ada", "file_shared").did("ada", "project_shared")
    assert (company.member().score, company.member().tier) == (in_thousandths(70), "warm")


def test_all_log_ins_together_give_20_at_most() -> None:
    company = Company("points_70")
    for day in range(7):
        company.did("ada", "logged_in", day=day)
    assert company.member(day=6).score == in_thousandths(20)


def test_the_pricing_page_never_changes_a_tier() -> None:
    acts = {"teammate_invited": 3, "file_shared": 2, "logged_in": 4}
    for chosen in range(16):
        company = Company("points_70").is_like(plan_used=3 if chosen & 8 else 0, plan_limit=3)
        company.did("ada", "opened_report")
        for index, (event, times) in enumerate(acts.items()):
            if chosen >> index & 1:
                company.did("ada", event, times=times)
        without = company.member()
        with_it = company.did("ada", "pricing_page_viewed", times=5).member()
        assert with_it.tier == without.tier
        assert with_it.score == without.score + in_thousandths(5)
