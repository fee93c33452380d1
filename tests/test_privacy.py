"""One person, forgotten: nothing of them is left, nothing brings them back, and nobody else loses anything."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner

from nudge_sdk import NudgeClient
from nudge_sdk.cli import main
from nudge_sdk.insights.journeys import refresh
from nudge_sdk.options import Drain, Options
from nudge_sdk.rules.conditions import Signal, Window
from nudge_sdk.rules.definition import Button, Content, Definition, Entry, Gate, Milestone, Nudge, Segment, Thresholds
from nudge_sdk.rules.times import DAY, HOUR
from nudge_sdk.runtime import forgetting
from nudge_sdk.store import Store
from nudge_sdk.store.memory import MemoryStore
from nudge_sdk.store.protocol import Quarantined
from nudge_sdk.store.sql_store import SqlStore
from tests.postgresql import Server, name_of

NOON = 20_500 * DAY + 12 * HOUR
ANN, ANON, SECRET = "ann-7f3c", "anon-91bd", "sapphire-4471"
SENT = Milestone(key="sent", signal=Signal(event="sent"), at_least=3, window=Window(ever=True), points=5)
TEAM = Milestone(
    key="team", subject="account", signal=Signal(event="sent", measure="values", property="$user"), at_least=2,
    window=Window(ever=True), points=5,
)  # fmt: skip
HELLO = Content(title="Hello", cta=Button(label="Upgrade", url="/plans"))
DEFINITION = Definition(
    milestones=(SENT, TEAM),
    segments=(
        Segment(
            key="all",
            member=Thresholds(warm=Entry(score=5)),
            account=Thresholds(hot=Entry(score=5, gates=(Gate(active_users=2),))),
        ),
    ),
    nudges=(Nudge(key="hello", placement="top", needs_episode=False, content=HELLO),),
)


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> int:
        self.now += 1_000_000
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def _client(store: str | Store, folder: Path | None, clock: Clock) -> NudgeClient:
    options = Options(on_error="raise", store_wait=5.0)
    drain: Drain = "inline" if folder is None else "external"
    return NudgeClient(store, journal=folder, drain=drain, definition=DEFINITION, clock=clock, options=options)


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def client(
    request: pytest.FixtureRequest, tmp_path: Path, clock: Clock, new_postgresql: Callable[[], str]
) -> Iterator[NudgeClient]:
    urls = {"sqlite": lambda: f"sqlite:///{tmp_path}/n.db", "postgresql": new_postgresql}
    folder = None if request.param == "memory" else tmp_path / "journals"
    store = MemoryStore() if request.param == "memory" else urls[request.param]()
    with _client(store, folder, clock) as client:
        yield client


def live(client: NudgeClient) -> None:
    """Let Ann come as a visitor, sign up, work beside Bob, see a nudge, and buy."""
    client.track(ANON, "visited", {"from": SECRET})
    client.alias(ANON, ANN)
    client.identify(ANN, {"email": f"{SECRET}@example.org"})
    client.group("acme", {"plan": "pro", "owner": ANN}, user=ANN)
    for number in range(3):
        client.track(ANN, "sent", {"to": SECRET, "n": number}, account="acme", id=f"{ANN}-{number}")
    client.flush()
    client.track("bob", "sent", {"n": 1}, account="acme")
    client.convert("acme", user=ANN, value=12)
    decision = client.decide("top", user=ANN, account="acme")
    assert decision
    client.record(decision, "clicked")
    client.record(decision, "dismissed")
    client.track(ANN, "sent", {"to": SECRET}, account="beta")
    client.flush()
    client.sweep()
    if isinstance(client.store, SqlStore):
        assert refresh(client.store, client.intake.refresh().rules, client.now())


def poison(client: NudgeClient) -> None:
    """Leave lines of Ann's that were set aside."""
    lines = [b'["track","acme","%s' % ANN.encode(), b'["track","acme","bob","half']
    rows = [Quarantined("j", number, line, "torn", NOON) for number, line in enumerate(lines)]
    with client.store.transaction(wait=5) as transaction:
        transaction.add_quarantined(rows)


def held(client: NudgeClient) -> str:
    """Return all that the store gives, as one text."""
    store = client.store
    keys = [(account, user) for account in ("acme", "beta", f"personal:{ANN}") for user in (ANN, "bob", "")]
    parts: list[object] = [store.subjects(), list(store.records()), store.quarantined()]
    parts += [
        read(*key) for read in (store.transitions, store.episodes, store.exposures, store.reached) for key in keys
    ]
    return repr(parts)


def test_nothing_in_the_store_names_somebody_forgotten(client: NudgeClient) -> None:
    live(client)
    poison(client)
    assert {name for name in (ANN, ANON, SECRET) if name in held(client)} == {ANN, ANON, SECRET}
    result = client.forget(ANN)
    assert not [name for name in (ANN, ANON, SECRET) if name in held(client)]
    assert result.accounts == ("acme", "beta")
    assert result.rows > 10
    assert len(client.store.quarantined()) == 1
    assert client.store.exposures("acme", ANN) == []


def test_what_others_did_and_what_the_account_is_stays(client: NudgeClient) -> None:
    live(client)
    before = client.standing(account="acme")
    assert before is not None
    assert (before.tier, before.active_users) == ("hot", 2)
    client.forget(ANN)
    after = client.standing(account="acme")
    assert after is not None
    assert (after.score, after.active_users) == (0, 1)
    bob = client.standing("bob", account="acme")
    assert bob is not None
    assert bob.reasons[0].measured == 1
    view = client._view(("acme", "bob"), None)
    assert view.account.state.plain_traits() == {"plan": "pro"}
    assert view.person.met_goals == {"paid"}


def test_what_comes_late_does_not_bring_them_back(client: NudgeClient) -> None:
    live(client)
    client.forget(ANN)
    client.track(ANN, "sent", account="acme")
    client.track(ANN, "sent", account="gamma")
    client.identify(ANN, {"email": SECRET})
    client.track(ANON, "visited", {"from": SECRET})
    client.alias(ANON, ANN)
    client.alias("other", ANN)
    client.convert(user=ANN)
    client.record("hello", "dismissed", user=ANN, account="acme")
    client.track("bob", "sent", account="acme")
    client.flush()
    assert not [name for name in (ANN, ANON, SECRET) if name in held(client)]
    assert client.intake.dropped == 8
    bob = client.standing("bob", account="acme")
    assert bob is not None
    assert bob.reasons[0].measured == 2


def test_nothing_is_shown_to_somebody_forgotten_and_asking_writes_nothing(client: NudgeClient) -> None:
    live(client)
    client.forget(ANN)
    assert not client.decide("top", user=ANN, account="delta")
    assert client.claim("top", user=ANN, account="delta") in (True, False)
    client.flush()
    assert ANN not in held(client)


def test_somebody_forgotten_in_one_account_stays_in_the_others(client: NudgeClient) -> None:
    live(client)
    result = client.forget(ANN, account="acme")
    assert result.accounts == ("acme",)
    assert [row.key for row in client.store.subjects() if row.user_id == ANN] == [("beta", ANN)]
    client.track(ANN, "sent", account="acme")
    client.track(ANN, "sent", account="beta")
    client.flush()
    beta = client.standing(ANN, account="beta")
    assert beta is not None
    assert beta.reasons[0].measured == 2
    assert ("acme", ANN) not in {row.key for row in client.store.subjects()}


def test_forgetting_again_and_forgetting_nobody_harms_nobody(client: NudgeClient) -> None:
    live(client)
    client.forget(ANN)
    before = held(client)
    assert client.forget(ANN).rows == 0
    assert client.forget("nobody").rows == 0
    assert len(held(client)) == len(before)


def test_a_joined_visitor_can_be_forgotten_alone(client: NudgeClient) -> None:
    live(client)
    client.forget(ANON)
    assert ANON not in held(client)
    ann = client.standing(ANN, account="acme")
    assert ann is not None
    assert ann.reasons[0].measured == 3


def test_counts_after_forgetting_are_those_of_the_stored_events(client: NudgeClient) -> None:
    from nudge_sdk.exporting import Dump, recounted_states, stored_states

    live(client)
    client.forget(ANN)
    client.flush()
    rules = client.decider.catalog().rules
    stored = Dump(stored_states(client.store), rules, NOON + DAY).sha256()
    assert stored == Dump(recounted_states(client.store.records, rules.plan), rules, NOON + DAY).sha256()


def test_nobody_comes_back_by_writing_at_the_very_moment(client: NudgeClient, clock: Clock, tmp_path: Path) -> None:
    live(client)
    url = getattr(client.store, "sqlalchemy_url", "").replace("+psycopg", "")
    others = [_client(url or client.store, None, clock) for _ in range(3)]
    is_over = threading.Event()
    told: list[bool] = []

    def tell(number: int, other: NudgeClient) -> None:
        while not is_over.is_set():
            told.append(other.track(ANN, "sent", account=("acme", "beta", f"new-{number}-{len(told)}")[len(told) % 3]))
            other.decide("top", user=ANN, account="acme")

    threads = [threading.Thread(target=tell, args=each) for each in enumerate(others)]
    for thread in threads:
        thread.start()
    while len(told) < 20:
        time.sleep(0.001)
    client.forget(ANN, scrub=False)
    is_over.set()
    for thread in threads:
        thread.join()
    for other in others:
        if other.store is not client.store:
            other.close()
    assert all(told)
    assert ANN not in held(client)


def _found(paths: Iterator[Path] | list[Path]) -> list[tuple[str, str]]:
    needles = {name: name.encode() for name in (ANN, ANON, SECRET)}
    found = []
    for path in paths:
        if path.is_file():
            data = path.read_bytes()
            found += [(path.name, name) for name, needle in needles.items() if needle in data]
    return found


def test_no_byte_of_somebody_forgotten_is_left_in_the_files_of_sqlite(tmp_path: Path, clock: Clock) -> None:
    folder = tmp_path / "journals"
    with _client(f"sqlite:///{tmp_path}/n.db", folder, clock) as client, _client(client.store, folder, clock) as other:
        live(client)
        poison(client)
        other.track(ANN, "sent", {"to": SECRET}, account="acme")
        other.track("bob", "sent", account="acme")
        client.store.read_subjects([("acme", ANN)])
        assert {name for _, name in _found([*tmp_path.iterdir(), *folder.iterdir()])} == {ANN, ANON, SECRET}
        result = client.forget(ANN)
        assert result.lines > 6
        assert _found([*tmp_path.iterdir(), *folder.iterdir()]) == []
        client.flush()
        bob = client.standing("bob", account="acme")
        assert bob is not None
        assert bob.reasons[0].measured == 2


def test_no_byte_of_somebody_forgotten_is_left_in_the_files_of_postgresql(
    tmp_path: Path, clock: Clock, new_postgresql: Callable[[], str], postgresql_server: Server
) -> None:
    url = new_postgresql()
    folder = tmp_path / "journals"
    with psycopg.connect(url, autocommit=True) as root:
        where = root.execute("SELECT oid FROM pg_database WHERE datname = %s", (name_of(url),)).fetchone()
        assert where
        files = postgresql_server.data / "base" / str(where[0])
        with _client(url, folder, clock) as client:
            live(client)
            poison(client)
            root.execute("ANALYZE")
            root.execute("CHECKPOINT")
            before = _found(list(files.iterdir()))
            assert {name for _, name in before} == {ANN, ANON, SECRET}
            client.forget(ANN)
            root.execute("CHECKPOINT")
            assert _found(list(files.iterdir())) == []
            assert _found(list(folder.iterdir())) == []


def test_journals_are_readable_by_their_owner_alone(tmp_path: Path, clock: Clock) -> None:
    folder = tmp_path / "journals"
    with _client(f"sqlite:///{tmp_path}/n.db", folder, clock) as client:
        client.track("ann", "sent")
        client.flush()
        assert folder.stat().st_mode & 0o777 == 0o700
        assert {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()} == {
            path.name: 0o600 for path in folder.iterdir()
        }
        assert os.listdir(folder)


def test_all_that_is_held_about_a_person_can_be_had(client: NudgeClient) -> None:
    live(client)
    client.record("", "opted_out", user=ANN, account="acme")
    found = json.loads(json.dumps(client.export(ANN)))
    assert [(each["account"], each["opted_out"]) for each in found["members"]] == [("acme", [""]), ("beta", [])]
    assert found["members"][0]["traits"] == {"email": f"{SECRET}@example.org"}
    assert found["members"][0]["standing"]["reasons"] is not None
    told = [(each["kind"], each["name"]) for each in found["events"]]
    assert told[0] == ("track", "visited")
    assert ("alias", ANN) in told
    assert told.count(("track", "sent")) == 4
    assert {each["kind"] for each in found["nudges"]} == {"offered", "clicked", "dismissed"}
    assert {each["tier"] for each in found["transitions"]} >= {"warm"}
    assert [each["milestone"] for each in found["milestones"]] == ["sent"]
    assert len(found["episodes"]) == 1
    assert {(each["user"], each["to_user"]) for each in found["aliases"]} == {(ANON, ANN), (ANN, ANN)}
    assert "bob" not in json.dumps(found)


def test_an_export_of_one_account_holds_no_other(client: NudgeClient) -> None:
    live(client)
    found = client.export(ANN, account="beta")
    assert [each["account"] for each in found["members"]] == ["beta"]
    assert {each["account"] for each in found["events"]} == {"beta"}
    assert client.export("nobody")["members"] == []


def test_the_commands_export_and_forget(tmp_path: Path, clock: Clock) -> None:
    url, journal = f"sqlite:///{tmp_path}/n.db", tmp_path / "n.db-journals"
    with _client(url, journal, clock) as client:
        live(client)
        run = CliRunner().invoke
        shown = run(main, ["export-person", ANN, "--store", url])
        assert json.loads(shown.output)["user"] == ANN
        file = tmp_path / "out.json"
        assert run(main, ["export-person", ANN, "--store", url, "-o", str(file)]).exit_code == 0
        assert json.loads(file.read_text())["events"] == json.loads(shown.output)["events"] != []
        file.unlink()
        assert run(main, ["forget", ANN, "--store", url], input="n\n").exit_code == 1
        assert ANN in held(client)
        done = run(main, ["forget", ANN, "--store", url, "--yes"])
        assert done.exit_code == 0
        assert "2 accounts counted anew, 2 facts about them kept" in done.output
        assert _found([*tmp_path.iterdir(), *journal.iterdir()]) == []
        back = run(main, ["forget", ANN, "--store", url, "--yes", "--readmit"])
        assert "taken again" in back.output
        client.track(ANN, "sent", account="acme")
        client.flush()
        ann = client.standing(ANN, account="acme")
        assert ann is not None
        assert ann.reasons[0].measured == 1


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_forgetting_is_complete_while_others_go_on_working(
    kind: str, tmp_path: Path, clock: Clock, new_postgresql: Callable[[], str], postgresql_server: Server
) -> None:
    url = f"sqlite:///{tmp_path}/n.db" if kind == "sqlite" else new_postgresql()
    is_over = threading.Event()
    told: list[bool] = []

    def work(other: NudgeClient) -> None:
        while not is_over.is_set():
            told.append(other.track("bob", "sent", account="acme"))
            other.decide("top", user="bob", account="acme")
            time.sleep(0.002)

    with _client(url, tmp_path / "one", clock) as client, _client(url, tmp_path / "two", clock) as other:
        live(client)
        thread = threading.Thread(target=work, args=(other,))
        thread.start()
        try:
            client.forget(ANN)
        finally:
            is_over.set()
            thread.join()
        assert all(told)
        other.flush()
        bob = client.standing("bob", account="acme")
        assert bob is not None
        assert bob.reasons[0].measured == len(told) + 1
        files = tmp_path
        if kind == "postgresql":
            with psycopg.connect(url, autocommit=True) as root:
                root.execute("CHECKPOINT")
                row = root.execute("SELECT oid FROM pg_database WHERE datname = %s", (name_of(url),)).fetchone()
            files = postgresql_server.data / "base" / str(row[0] if row else "")
        assert _found([*files.iterdir(), *(tmp_path / "one").iterdir(), *(tmp_path / "two").iterdir()]) == []


def test_forgetting_on_another_host_erases_its_journals_too(tmp_path: Path, clock: Clock) -> None:
    url = f"sqlite:///{tmp_path}/n.db"
    with _client(url, tmp_path / "one", clock) as client, _client(url, tmp_path / "two", clock) as other:
        live(other)
        client.forget(ANN)
        assert {name for _, name in _found(list((tmp_path / "two").iterdir()))} == {ANN, ANON, SECRET}
        assert other.forget(ANN).lines > 6
        assert _found(list((tmp_path / "two").iterdir())) == []


def test_a_journal_that_cannot_be_written_is_named(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forgetting, "WAIT", 1.0)
    with _client(f"sqlite:///{tmp_path}/n.db", tmp_path / "one", clock) as client:
        live(client)
        (tmp_path / "elsewhere").write_text("not a journal")
        (tmp_path / "one" / "0-1-link.journal").symlink_to(tmp_path / "elsewhere")
        assert client.forget(ANN).journals_left == ("0-1-link.journal",)
