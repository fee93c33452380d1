from __future__ import annotations

from typing import Any

import msgspec
import pytest

from nudge_sdk.documents import read_definition
from nudge_sdk.playbooks import read_playbook
from nudge_sdk.rules.conditions import Condition
from nudge_sdk.rules.definition import Milestone
from nudge_sdk.rules.wording import condition_words, label_words, signal_words

DEFINITION = read_definition(read_playbook("email_tool"))


def words_of(plain: Any) -> str:
    return condition_words(msgspec.convert(plain, Condition), DEFINITION)


@pytest.mark.parametrize(
    ("plain", "words"),
    [
        ({"account_trait": "employees", "at_least": 100}, "the account has at least 100 employees"),
        ({"account_trait": "status", "at_least": 2}, "the account’s status is at least 2"),
        ({"account_trait": "plan", "equals": "free"}, "the account’s plan is free"),
        ({"trait": "role", "in": ["admin", "pm"]}, "the person’s role is admin or pm"),
        ({"trait": "role", "not_in": ["admin", "pm"]}, "the person’s role is not admin or pm"),
        ({"trait": "is_paying", "equals": True}, "the person’s is paying is true"),
        ({"trait": "is_paying", "equals": "true"}, "the person’s is paying is “true”"),
        ({"trait": "Company Name", "contains": "GmbH & Co"}, "the person’s “Company Name” contains “GmbH & Co”"),
        ({"trait": "phone", "exists": False}, "the person’s phone is not known"),
        ({"trait": "since", "before": "2026-03-01"}, "the person’s since is before 2026-03-01"),
        ({"trait": "seen_at", "within_days": 1}, "the person’s seen at lies within the last day"),
        ({"tier": "member", "equals": "hot"}, "the person is hot"),
        ({"tier": "account", "equals": "none"}, "the account is neither warm nor hot"),
        ({"tier": "account", "not_equals": "none"}, "the account is warm or hot"),
        ({"segment": True, "equals": "smb"}, "the segment is Small and mid-sized"),
        ({"locale": True, "in": ["de", "fr"]}, "the language is de or fr"),
        ({"milestone": "teammates"}, "the person has reached “Three teammates invited”"),
        ({"milestone": "teammates", "is": False}, "the person has not reached “Three teammates invited”"),
        ({"account_milestone": "x", "within_days": 7}, "the account reached “x” within the last 7 days"),
        ({"count": {"event": "campaign_sent"}, "at_least": 3}, "campaign sent at least 3 times in the last 14 days"),
        (
            {"count": {"event": "campaign_sent"}, "window": {"ever": True}, "less": 1},
            "campaign sent not once at any time",
        ),
        (
            {"exposure": "*", "did": "never", "within_days": 3},
            "the person has not seen any nudge within the last 3 days",
        ),
        ({"exposure": "tag:upgrade", "did": "seen"}, "the person has seen any nudge tagged upgrade"),
        ({"exposure": "after_team", "did": "dismissed"}, "the person has dismissed “After inviting the team”"),
        (
            {"hours": {"from": "09:00", "to": "17:00", "weekdays": [1, 5]}},
            "it is between 09:00 and 17:00 on Monday or Friday where the person is",
        ),
        ({"can_purchase": True}, "the person may buy"),
        ({"not": {"can_purchase": True}}, "the person may not buy"),
        ({"not": {"trait": "a", "equals": 1}}, "not (the person’s a is 1)"),
        (
            {"any": [{"trait": "a", "equals": 1}, {"all": [{"trait": "b", "equals": 2}, {"trait": "c", "equals": 3}]}]},
            "the person’s a is 1 or (the person’s b is 2 and the person’s c is 3)",
        ),
        ({"any": []}, "nobody"),
        ({}, "a condition that cannot be read"),
    ],
)
def test_a_condition_reads_as_a_person_would_say_it(plain: Any, words: str) -> None:
    assert words_of(plain) == words


def test_no_condition_is_everybody() -> None:
    assert condition_words(None) == "everybody"


@pytest.mark.parametrize(
    ("plain", "words"),
    [
        ({"signal": {"event": "campaign_sent"}}, "Campaign sent in the last 14 days"),
        (
            {"signal": {"event": "campaign_sent"}, "at_least": 3, "window": {"days": 1}},
            "Campaign sent at least 3 times today",
        ),
        (
            {"signal": {"event": ["file_shared", "project_shared"]}, "window": {"ever": True}},
            "File shared or project shared at any time",
        ),
        (
            {"signal": {"event": "logged_in", "measure": "days"}, "at_least": 5, "window": {"days": 7}},
            "Logged in on at least 5 days in the last 7 days",
        ),
        (
            {"signal": {"event": "logged_in", "measure": "streak"}, "at_least": 3},
            "Logged in on at least 3 days in a row in the last 14 days",
        ),
        (
            {"signal": {"event": "sync", "measure": "values", "property": "project"}, "at_least": 2},
            "Sync with at least 2 different projects in the last 14 days",
        ),
        (
            {"signal": {"event": "sync", "measure": "values", "property": "$user"}, "at_least": 2},
            "Sync by at least 2 different people in the last 14 days",
        ),
        (
            {"signal": {"event": "paid", "measure": "sum", "property": "amount"}, "at_least": 99.5},
            "Paid with at least 99.5 amount in total in the last 14 days",
        ),
        (
            {"signal": {"event": "linked", "where": {"property": "kind", "equals": "core"}}},
            "Linked (kind is core) in the last 14 days",
        ),
        (
            {"signal": {"event": "x"}, "window": {"since_signup_hours": 72}},
            "X in the first 72 hours after sign-up",
        ),
        ({"usage": {"value": "seats_used", "limit": "seats_limit"}}, "Seats used reaches seats limit"),
        ({"usage": {"value": "used", "limit": "limit", "share": 0.8}}, "Used reaches 80 % of limit"),
        ({"when": {"trait": "role", "equals": "admin"}}, "The person’s role is admin"),
        ({"signal": {"event": ""}}, "Nothing yet"),
        ({}, "Nothing yet"),
    ],
)
def test_a_milestone_reads_as_a_person_would_say_it(plain: Any, words: str) -> None:
    assert signal_words(msgspec.convert({"key": "k", **plain}, Milestone)) == words


def test_only_plain_names_lose_their_underscores() -> None:
    assert label_words("campaign_sent") == "campaign sent"
    assert label_words("Campaign_Sent") == "“Campaign_Sent”"
    assert label_words("<b>") == "“<b>”"


def test_everything_in_every_condition_of_the_playbook_has_words() -> None:
    for milestone in DEFINITION.milestones:
        assert "cannot be read" not in signal_words(milestone, DEFINITION)
