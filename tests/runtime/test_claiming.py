"""The host's own banners share the attention that nudges spend; after an error of the host there is silence."""

from __future__ import annotations

from pathlib import Path

import pytest

from nudge_sdk import NudgeClient, Options, RecordError
from nudge_sdk.store.memory import MemoryStore
from nudge_sdk.testing import Clock
from tests.runtime.examples import locked, nudge, product, two_clients

CAPS = {"caps": [{"count": 2, "days": 7}], "gap_minutes": 10}


def test_a_claim_spends_the_gap_and_the_caps_and_stays_granted(tmp_path: Path) -> None:
    here, there, clock = two_clients(tmp_path / "n.db", nudge("hello"), settings=CAPS)
    assert here.claim("top", user="ada", account="acme")
    assert not here.decide("page", user="ada", account="acme")
    assert there.decide("page", user="ada", account="acme").reasons == {"hello": "THROTTLED"}
    clock.move(minutes=9)
    assert there.claim("top", user="ada", account="acme")
    assert not there.claim("side", user="ada", account="acme")
    assert there.claim("top", user="bo", account="acme")
    clock.move(minutes=2)
    assert there.decide("page", user="ada", account="acme")
    clock.move(days=1)
    assert not here.claim("top", user="ada", account="acme")
    kinds = [(row.kind, row.nudge) for row in here.store.exposures("acme", "ada")]
    assert kinds == [("claimed", "@top"), ("offered", "hello")]
    here.close()
    there.close()


def test_what_is_on_display_is_not_pushed_away_by_a_claim(tmp_path: Path) -> None:
    here, there, clock = two_clients(tmp_path / "n.db", nudge("hello"), settings={"caps": [], "gap_minutes": 0})
    decision = here.decide("page", user="ada")
    assert not there.claim("page", user="ada")
    here.record(decision, "dismissed")
    assert here.claim("page", user="ada")
    clock.move(hours=1)
    assert here.claim("page", user="ada")
    here.close()
    there.close()


def test_caps_of_the_account_are_spent_too(tmp_path: Path) -> None:
    caps = {"caps": [{"count": 1, "days": 1, "per": "account"}], "gap_minutes": 0}
    here, there, _ = two_clients(tmp_path / "n.db", nudge("hello"), settings=caps)
    assert here.claim("top", user="ada", account="acme")
    assert there.decide("page", user="bo", account="acme").reasons == {"hello": "THROTTLED"}
    here.close()
    there.close()


def test_what_concerns_nudges_alone_does_not_stop_a_banner() -> None:
    clock = Clock()
    store = MemoryStore()
    with NudgeClient(
        store, drain="inline", clock=clock, definition=product(nudge("hello"), settings={"is_paused": True})
    ) as client:
        client.record("", "opted_out", user="ada")
        client.silence("ada", until=clock.move(minutes=5))
        clock.move(minutes=-5)
        assert client.claim("top", user="ada")


def test_a_claim_that_the_store_does_not_confirm_is_granted_and_kept(tmp_path: Path, request_wait: float) -> None:
    here, there, _ = two_clients(tmp_path / "n.db", nudge("hello"))
    assert not here.decide("nowhere", user="ada")
    with locked(tmp_path / "n.db"):
        assert here.claim("top", user="ada")
    here.flush()
    assert there.decide("page", user="ada").reasons == {"hello": "THROTTLED"}
    assert [row.kind for row in here.store.exposures("personal:ada", "ada")] == ["claimed"]
    here.close()
    there.close()


def test_after_silence_nothing_is_shown_until_its_end_on_any_worker(tmp_path: Path) -> None:
    here, there, clock = two_clients(tmp_path / "n.db", nudge("hello"))
    until = clock.move(minutes=5)
    clock.move(minutes=-5)
    assert here.silence("ada", account="acme", until=until)
    assert there.decide("page", user="ada", account="acme").reasons == {"hello": "HIDDEN"}
    assert there.decide("page", user="bo", account="acme")
    here.silence("ada", account="acme", until=clock())
    clock.move(minutes=4)
    assert not here.decide("page", user="ada", account="acme")
    clock.move(minutes=2)
    assert here.decide("page", user="ada", account="acme")
    here.close()
    there.close()


def test_silence_needs_an_instant_and_a_claim_a_placement() -> None:
    client = NudgeClient("memory://", definition=product(nudge("hello")), options=Options(on_error="raise"))
    with pytest.raises(RecordError, match="until"):
        client.silence("ada", until="soon")
    with pytest.raises(RecordError, match="placement"):
        client.claim("", user="ada")
    client.close()


def test_failures_are_answered_as_if_there_were_no_nudges(tmp_path: Path) -> None:
    (tmp_path / "n.db").write_bytes(b"this is no database at all" * 100)
    client = NudgeClient(f"sqlite:///{tmp_path / 'n.db'}", drain="external")
    assert client.claim("top", user="ada")
    assert client.counters["claim: StoreError"] == 1
    client.close()
