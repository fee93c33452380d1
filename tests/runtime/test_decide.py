"""What a person is shown, and why not: caps, displays, triggers, variants, holdouts, over stores and hosts."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest

from nudge_sdk import Definition, NudgeClient, Options, Reason
from nudge_sdk.rules.authoring import parse_definition
from nudge_sdk.testing import NudgeTest
from tests.runtime.examples import (
    FREE,
    HELP,
    content,
    locked,
    nudge,
    open_client,
    product,
    trial,
)


def _shown(test: NudgeTest, user: str = "ada", placement: str = "page", **asked: Any) -> str | None:
    decision = test.client.decide(placement, user=user, **asked)
    return decision.nudge.nudge if decision.nudge else None


def _reason(test: NudgeTest, key: str, user: str = "ada", placement: str = "page", **asked: Any) -> str:
    decision = test.client.decide(placement, user=user, **asked)
    assert decision.nudge is None or decision.nudge.nudge != key
    return decision.reasons[key]


def test_the_milestone_just_reached_brings_the_prompt_in_the_same_request() -> None:
    test = trial(nudge("upgrade", goal="paid", needs_episode=True, trigger={"milestone": "two_campaigns"}))
    test.given("ada", "campaign_sent", account="acme")
    assert _reason(test, "upgrade", account="acme") == "NOT_TARGETED"
    test.given("ada", "campaign_sent", account="acme")
    assert _shown(test, account="acme") == "upgrade"
    test.given("bob", "campaign_sent", account="acme", times=2)
    test.clock.move(seconds=61)
    assert _reason(test, "upgrade", user="bob", account="acme") == "NOT_TRIGGERED"


def test_the_copy_names_what_was_just_done_and_the_real_count() -> None:
    text = {
        "type": "card",
        "title": "You {{ done | did it }}: {{ count.two_campaigns | some }}",
        "cta": content()["cta"],
    }
    test = trial(nudge("upgrade", content=text))
    test.given("ada", "campaign_sent", times=3)
    decision = test.client.decide("page", user="ada")
    assert decision.nudge is not None
    assert decision.nudge.title == "You sent two campaigns: 3"


def test_a_nudge_on_display_stays_for_half_an_hour_and_is_counted_once() -> None:
    test = trial(nudge("hello"), nudge("other", priority=9, trigger={"manual": True}))
    first = test.client.decide("page", user="ada")
    for _ in range(5):
        test.clock.move(minutes=5)
        again = test.client.decide("page", user="ada", request=["other"])
        assert (again.id, again.nudge) == (first.id, first.nudge)
    test.clock.move(minutes=6)
    assert _reason(test, "hello") == "THROTTLED"
    exposures = test.client.store.exposures("personal:ada", "ada")
    assert [(each.kind, each.id) for each in exposures] == [("offered", first.id)]


def test_a_display_ends_with_its_goal() -> None:
    test = trial(nudge("upgrade", goal="paid"))
    assert _shown(test, account="acme") == "upgrade"
    assert _shown(test, account="acme") == "upgrade"
    test.client.convert("acme")
    assert _reason(test, "upgrade", account="acme") == "GOAL_MET"
    test.client.churn("acme")
    assert _shown(test, account="acme") == "upgrade"


def test_one_nudge_a_day_and_three_a_week_are_the_default() -> None:
    nudges = [nudge(f"n{number}", placement=f"p{number}", lifetime=99) for number in range(9)]
    test = trial(*nudges)
    offered = []
    for hour in range(0, 24 * 8, 3):
        for number in range(9):
            if _shown(test, placement=f"p{number}") and test.client.store.exposures("personal:ada", "ada"):
                offered.append(hour)
        test.clock.move(hours=3)
    days = [each.at for each in test.client.store.exposures("personal:ada", "ada")]
    gaps = [later - earlier for earlier, later in pairwise(days)]
    assert min(gaps) >= 24 * 3600 * 1_000_000
    assert len(days) == 4
    assert days[3] - days[0] >= 7 * 24 * 3600 * 1_000_000


def test_ten_minutes_lie_between_two_nudges() -> None:
    test = trial(nudge("one", placement="a"), nudge("two", placement="b"), settings={"caps": []})
    assert _shown(test, placement="a") == "one"
    test.clock.move(minutes=9, seconds=59)
    assert _reason(test, "two", placement="b") == "THROTTLED"
    test.clock.move(seconds=1)
    assert _shown(test, placement="b") == "two"


def test_a_nudge_is_offered_three_times_in_a_life() -> None:
    test = trial(nudge("hello"), settings=FREE)
    for _ in range(3):
        assert _shown(test) == "hello"
        test.clock.move(hours=1)
    assert _reason(test, "hello") == "CAPPED"
    test.clock.move(days=400)
    assert _reason(test, "hello") == "CAPPED"


def test_a_cap_of_the_account_is_spent_by_colleagues() -> None:
    test = trial(nudge("hello", caps=[{"count": 2, "days": 7, "per": "account"}]), settings=FREE)
    assert _shown(test, user="ada", account="acme") == "hello"
    assert _shown(test, user="bob", account="acme") == "hello"
    assert _reason(test, "hello", user="eve", account="acme") == "CAPPED"
    assert _shown(test, user="eve", account="other") == "hello"
    test.clock.move(days=7, seconds=1)
    assert _shown(test, user="eve", account="acme") == "hello"


def test_a_cap_of_a_tag_is_shared_by_its_nudges() -> None:
    nudges = [nudge("one", placement="a", tags=["sales"]), nudge("two", placement="b", tags=["sales"])]
    nudges.append(nudge("tip", placement="c", tags=["tips"]))
    test = trial(*nudges, settings={**FREE, "tag_caps": [{"tag": "sales", "count": 1, "days": 2}]})
    assert _shown(test, placement="a") == "one"
    assert _reason(test, "two", placement="b") == "THROTTLED"
    assert _shown(test, placement="c") == "tip"
    test.clock.move(days=2, seconds=1)
    assert _shown(test, placement="b") == "two"


def test_a_critical_notice_passes_the_overall_caps_and_is_written_down() -> None:
    test = trial(nudge("promo", placement="a"), nudge("outage", placement="b", lane="critical"))
    assert _shown(test, placement="a") == "promo"
    assert _shown(test, placement="b") == "outage"
    promo, outage = test.client.store.exposures("personal:ada", "ada")
    assert (promo.details, outage.details) == (b"", b"critical")


def test_a_critical_notice_wins_over_any_priority_and_spends_no_overall_cap() -> None:
    test = trial(nudge("promo", priority=100), nudge("outage", lane="critical", lifetime=1))
    decision = test.client.decide("page", user="ada")
    assert decision.nudge is not None
    assert decision.nudge.nudge == "outage"
    assert decision.reasons == {"promo": "OUTRANKED"}
    test.clock.move(minutes=31)
    assert _shown(test) == "promo"


def test_priority_then_tier_then_newest_then_key_decides() -> None:
    test = trial(nudge("b", tier="warm"), nudge("a", tier="hot"), nudge("high", priority=1, trigger={"manual": True}))
    assert _shown(test, user="new") == "a"
    test.given("ada", "campaign_sent", times=2)
    assert _shown(test, user="ada") == "b"
    assert _shown(test, user="eve", request=["high"]) == "high"


def test_hide_rules_hide_all_or_one() -> None:
    hide = {"context": "page", "contains": "checkout"}
    test = trial(nudge("hello", hide={"trait": "role", "equals": "guest"}), settings={"hide": hide})
    assert _reason(test, "hello", context={"page": "/checkout/2"}) == "HIDDEN"
    test.client.identify("eve", {"role": "guest"})
    assert _reason(test, "hello", user="eve") == "HIDDEN"
    assert _shown(test, context={"page": "/home"}) == "hello"
    assert _reason(test, "hello", context={"page": "/checkout"}) == "HIDDEN", "also what is on display"


def test_a_schedule_opens_and_closes_to_the_second() -> None:
    schedule = {"starts_at": "2026-03-02T10:00:00Z", "ends_at": "2026-03-02T12:00:00+01:00"}
    test = trial(nudge("sale", schedule=schedule, lifetime=99), settings={**FREE, "display_minutes": 1})
    assert _reason(test, "sale") == "NOT_SCHEDULED"
    test.clock.move(hours=1)
    assert _shown(test) == "sale"
    test.clock.move(hours=1)
    assert _reason(test, "sale") == "NOT_SCHEDULED"


def test_manual_and_page_triggers() -> None:
    test = trial(
        nudge("asked", trigger={"manual": True}),
        nudge("paged", placement="paged", trigger={"page": ["/exact", "/reports/*"]}),
        settings=FREE,
    )
    assert _reason(test, "asked") == "NOT_TRIGGERED"
    assert _shown(test, request=["asked"]) == "asked"
    for page in ("/exact/more", "/report", "", None, 7):
        assert _reason(test, "paged", placement="paged", context={"page": page}) == "NOT_TRIGGERED"
    assert _shown(test, placement="paged", context={"page": "/reports/2026"}) == "paged"
    assert _shown(test, user="eve", placement="paged", context={"page": "/exact"}) == "paged"


def test_a_usage_limit_is_met_by_live_numbers_of_the_request() -> None:
    text = {"type": "card", "title": "{{ usage.seats_full.value | All }} of {{ usage.seats_full.limit | your }}"}
    test = trial(nudge("full", trigger={"usage": "seats_full"}, content={**text, "cta": content()["cta"]}))
    test.client.identify("ada", {"seats_used": 2, "seats": 3})
    assert _reason(test, "full") == "NOT_TRIGGERED"
    assert _reason(test, "full", context={"seats_used": "3", "seats": 3}) == "NOT_TRIGGERED"
    decision = test.client.decide("page", user="ada", context={"seats_used": 3, "seats": 3})
    assert decision.nudge is not None
    assert decision.nudge.title == "3 of 3"


def test_somebody_who_may_not_purchase_gets_the_text_that_asks() -> None:
    test = trial(nudge("upgrade", ask=content("Ask your admin")))
    decision = test.client.decide("page", user="ada", can_purchase=False)
    assert decision.nudge is not None
    assert decision.nudge.title == "Ask your admin"
    assert test.client.decide("page", user="eve").nudge.title == "upgrade"  # type: ignore[union-attr]


def test_a_text_is_looked_up_by_locale_field_by_field() -> None:
    text = {**content(), "title": {"en": "Hello", "de": "Hallo", "ar": "مرحبا"}, "body": {"en": "Go on", "fr": "Allez"}}
    test = trial(nudge("hello", content=text), settings=FREE)

    def read(user: str, locale: str) -> tuple[str, str, str]:
        shown = test.client.decide("page", user=user, locale=locale).nudge
        assert shown is not None
        return shown.title, shown.body.strip().removeprefix("<p>").removesuffix("</p>"), shown.direction

    assert read("a", "de-AT") == ("Hallo", "Go on", "ltr")
    assert read("b", "fr") == ("Hello", "Allez", "ltr")
    assert read("c", "ar-EG") == ("مرحبا", "Go on", "rtl")
    assert read("d", "xx-nonsense!") == ("Hello", "Go on", "ltr")


def _variants(*weights: float) -> Definition:
    variants = [{"key": f"v{n}", "weight": weight, "content": content(f"v{n}")} for n, weight in enumerate(weights)]
    return product({**nudge("hello", lifetime=99, variants=variants), "content": None}, settings=FREE)


def test_a_variant_stays_with_a_person_after_the_weights_change() -> None:
    test = NudgeTest(_variants(1, 1))
    users = [f"user-{number}" for number in range(60)]
    before = {user: test.client.decide("page", user=user).nudge.variant for user in users}  # type: ignore[union-attr]
    assert set(before.values()) == {"v0", "v1"}
    test.client.publish(_variants(0.0001, 1))
    test.clock.move(hours=1)
    after = {user: test.client.decide("page", user=user).nudge.variant for user in users}  # type: ignore[union-attr]
    assert after == before
    fresh = {test.client.decide("page", user=f"new-{number}").nudge.variant for number in range(60)}  # type: ignore[union-attr]
    assert fresh == {"v1"}


def _held(share: float, **changes: Any) -> Definition:
    nudges = [nudge("upgrade", goal="paid", priority=5, lifetime=2), nudge("tip", priority=1)]
    return product(*nudges, holdout={"share": share, "unit": "member"}, **changes)


def test_the_held_out_are_written_down_at_the_same_point_and_spend_the_same_caps() -> None:
    test = NudgeTest(_held(0.5))
    users = [f"user-{number}" for number in range(80)]
    held = {user for user in users if not test.client.decide("page", user=user).nudge}
    assert 20 < len(held) < 60
    for user in users:
        decision = test.client.decide("page", user=user)
        if user in held:
            assert decision.nudge is None, "nothing is shown in its place"
            assert decision.reasons["upgrade"] == "HELD_OUT"
            assert decision.reasons["tip"] == "OUTRANKED"
        (exposure,) = test.client.store.exposures(f"personal:{user}", user)
        assert exposure.kind == ("withheld" if user in held else "offered")
        assert exposure.nudge == "upgrade"
        assert bool(exposure.holdout) == (user in held)
    test.clock.move(minutes=31)
    for user in users:
        assert test.client.decide("page", user=user).reasons == {"upgrade": "THROTTLED", "tip": "THROTTLED"}
    test.clock.move(days=1)
    assert {user for user in users if not test.client.decide("page", user=user).nudge} == held
    test.clock.move(days=1)
    for user in users:
        decision = test.client.decide("page", user=user)
        assert decision.reasons["upgrade"] == "CAPPED"
        assert decision.nudge is not None
        assert decision.nudge.nudge == "tip", "a nudge without a goal is not held out"


def test_the_holdout_is_stable_over_publications() -> None:
    test = NudgeTest(_held(0.5, settings=FREE))
    users = [f"user-{number}" for number in range(80)]
    held = {user for user in users if not test.client.decide("page", user=user).nudge}
    test.client.publish(_held(0.5, settings=FREE, notes="a new text"))
    test.clock.move(hours=1)
    assert {user for user in users if not test.client.decide("page", user=user).nudge} == held
    test.client.publish(_held(0.6, settings=FREE, name="bigger"))
    test.clock.move(hours=1)
    fresh = [f"new-{number}" for number in range(80)]
    smaller = NudgeTest(_held(0.5, settings=FREE))
    bigger = {user for user in fresh if not test.client.decide("page", user=user).nudge}
    assert {user for user in fresh if not smaller.client.decide("page", user=user).nudge} < bigger


def test_a_nudge_of_its_own_holdout() -> None:
    test = trial(nudge("hello", holdout=0.5))
    reasons = [test.client.decide("page", user=f"user-{number}").reasons.get("hello") for number in range(60)]
    assert 10 < reasons.count(Reason.HELD_OUT) < 50


@pytest.mark.parametrize(("unit", "is_mixed"), [("account", False), ("member", True)])
def test_colleagues_are_on_one_side_of_a_nudges_own_holdout_where_the_account_buys(unit: str, is_mixed: bool) -> None:
    test = trial(nudge("hello", goal="paid", holdout=0.5), goals=[{"key": "paid", "unit": unit}])
    sides = [
        {
            test.client.decide("page", user=f"user-{user}", account=f"account-{account}").reasons.get("hello")
            for user in range(4)
        }
        for account in range(20)
    ]
    assert any(len(side) > 1 for side in sides) == is_mixed
    assert {reason for side in sides for reason in side} == {None, Reason.HELD_OUT}


def test_every_reason_is_reached_through_the_client(tmp_path: Path, request_wait: float) -> None:
    seen: set[str] = set()
    manual = nudge("hello", trigger={"manual": True})
    for definition in (
        product(nudge("hello"), settings={"is_paused": True}),
        product(nudge("hello", is_paused=True)),
        product(manual),
        product(nudge("hello", audience={"trait": "role", "equals": "admin"})),
        product(nudge("hello", schedule={"starts_at": "2030-01-01T00:00:00Z"})),
        product(nudge("hello", hide={"can_purchase": True})),
        product(nudge("hello", holdout=1)),
        product(nudge("hello"), nudge("better", priority=1)),
    ):
        seen.add(_reason(NudgeTest(definition), "hello"))
    test = trial(nudge("hello", goal="paid"))
    test.client.convert(user="ada")
    seen.add(_reason(test, "hello"))
    for kind in ("dismissed", "snoozed", "completed", "opted_out"):
        test = trial(nudge("hello"))
        until = "2026-03-03T00:00:00Z" if kind == "snoozed" else None
        test.client.record("" if kind == "opted_out" else "hello", kind, user="ada", until=until)
        seen.add(_reason(test, "hello"))
    test = trial(nudge("hello", lifetime=1))
    assert _shown(test) == "hello"
    test.clock.move(hours=1)
    seen.add(_reason(test, "hello"))
    test = trial(nudge("hello"))
    assert _shown(test) == "hello"
    test.clock.move(hours=1)
    seen.add(_reason(test, "hello"))
    database = tmp_path / "nudges.db"
    with open_client(database, definition=product(nudge("hello"))) as client:
        client.decide("elsewhere", user="ada")
        with locked(database):
            seen.add(client.decide("page", user="ada").reasons["hello"])
    assert seen == set(Reason)


def test_every_candidate_that_is_not_shown_has_a_reason() -> None:
    nudges = [nudge(f"n{number}", priority=number) for number in range(6)]
    nudges[2]["is_paused"] = True
    nudges[3]["trigger"] = {"manual": True}
    test = trial(*nudges)
    expected = {"n0": "OUTRANKED", "n1": "OUTRANKED", "n2": "PAUSED", "n3": "NOT_TRIGGERED", "n4": "OUTRANKED"}
    for _ in range(2):
        decision = test.client.decide("page", user="ada")
        assert decision.nudge is not None
        assert decision.nudge.nudge == "n5"
        assert set(decision.reasons) == set(expected)
    explained = test.client.explain("page", user="ada")
    assert explained is not None
    assert {line.key for line in explained.candidates} == {each["key"] for each in nudges}


def test_a_dismissal_silences_for_thirty_days_and_a_snooze_until_then() -> None:
    test = trial(nudge("hello", lifetime=9), nudge("later", placement="b", lifetime=9), settings=FREE)
    offered = test.client.decide("page", user="ada")
    test.client.record(offered, "dismissed")
    assert _reason(test, "hello") == "DISMISSED"
    until = test.clock() + test.clock.move(days=2).resolution
    snoozed = test.client.decide("b", user="ada")
    test.client.record(snoozed, "snoozed", until=until.replace(microsecond=0))
    test.clock.move(days=28)
    assert _shown(test) == "hello"
    assert _shown(test, placement="b") == "later"


def test_help_takes_over_on_day_seven_and_comes_twice_at_most() -> None:
    helping = [nudge(f"help{n}", placement="help", mode="help", goal="paid", needs_episode=True, content=HELP,
                     lifetime=1, priority=n) for n in range(4)]  # fmt: skip
    prompt = nudge("upgrade", goal="paid", needs_episode=True, lifetime=99)
    test = trial(prompt, *helping, settings={**FREE, "display_minutes": 1})
    test.given("ada", "campaign_sent", times=2)
    assert _shown(test) == "upgrade"
    assert _shown(test, placement="help") is None
    test.clock.move(days=7)
    assert _shown(test) is None
    assert [_shown(test, placement="help"), test.clock.move(hours=1) and _shown(test, placement="help")] == [
        "help3",
        "help2",
    ]
    test.clock.move(hours=1)
    assert set(test.client.decide("help", user="ada").reasons.values()) == {"CAPPED"}


def test_a_report_delivered_twice_counts_once() -> None:
    test = trial(nudge("hello"))
    offered = test.client.decide("page", user="ada")
    for _ in range(3):
        for kind in ("shown", "clicked", "dismissed"):
            assert test.client.record(offered, kind)
    kinds = [each.kind for each in test.client.store.exposures("personal:ada", "ada")]
    assert sorted(kinds) == ["clicked", "dismissed", "offered", "shown"]


def test_opting_out_of_a_tag_leaves_the_others_and_opting_in_brings_it_back() -> None:
    test = trial(nudge("promo", tags=["promo"]), nudge("tip", placement="tips"), settings=FREE)
    assert test.client.record("promo", "opted_out", user="ada")
    assert _reason(test, "promo") == "OPTED_OUT"
    assert _shown(test, placement="tips") == "tip"
    test.clock.move(minutes=1)
    assert test.client.record("promo", "opted_in", user="ada")
    assert _shown(test) == "promo"


def test_explaining_spends_nothing() -> None:
    test = trial(nudge("hello"))
    for _ in range(5):
        explained = test.client.explain("page", user="ada")
        assert explained is not None
        assert explained.decision.nudge is not None
    assert test.client.store.exposures("personal:ada", "ada") == []
    assert _shown(test) == "hello"


def test_a_nudge_whose_copy_cannot_be_rendered_is_not_shown_and_counted() -> None:
    definition = product(nudge("broken"))
    (only,) = definition.nudges
    assert only.content is not None
    broken = msgspec.structs.replace(only.content, title="{{ unclosed")
    test = NudgeTest(product(nudge("fine")))
    row = test.client.store.definitions()[-1]
    changed = msgspec.structs.replace(definition, nudges=(msgspec.structs.replace(only, content=broken),))
    from nudge_sdk.rules.authoring import encode_definition

    with test.client.store.transaction(wait=1) as transaction:
        transaction.put_definition(msgspec.structs.replace(row, number=2, document=encode_definition(changed)))
    decision = test.client.decide("page", user="ada")
    assert decision.nudge is None or "{{" in decision.nudge.title
    assert decision.problem == ""


def test_a_decision_without_definition_is_neutral() -> None:
    client = NudgeClient("memory://", options=Options(on_error="raise"))
    decision = client.decide("page", user="ada")
    assert (decision.nudge, decision.reasons, decision.problem) == (None, {}, "")
    assert parse_definition({"name": "x"}).nudges == ()
