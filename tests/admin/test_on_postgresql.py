"""The admin over PostgreSQL: every page, its numbers, drafts and publications, by the tests that run over SQLite."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from nudge_sdk import NudgeClient, Options
from nudge_sdk.testing import Clock
from tests.admin.conftest import fill
from tests.admin.test_access import test_no_page_answers_with_an_error_of_ours
from tests.admin.test_overview import (
    test_a_goal_met_during_an_episode_is_counted,
    test_hot_accounts_come_with_their_reason,
    test_it_says_where_things_stand,
    test_newly_qualified_people_are_counted_by_day_once_each,
    test_what_was_shown_is_counted_by_prompt_and_help,
)
from tests.admin.test_publishing import (
    desk,
    test_a_version_never_comes_twice,
    test_nobody_overwrites_what_they_have_not_seen,
    test_publishing_puts_the_drafts_in_force_and_writes_down_who_and_why,
    test_roll_back_puts_the_earlier_definition_in_force_and_leaves_drafts,
    test_the_review_shows_what_changes_and_who_would_enter,
)

__all__ = [
    "desk",
    "test_a_goal_met_during_an_episode_is_counted",
    "test_a_version_never_comes_twice",
    "test_hot_accounts_come_with_their_reason",
    "test_it_says_where_things_stand",
    "test_newly_qualified_people_are_counted_by_day_once_each",
    "test_no_page_answers_with_an_error_of_ours",
    "test_nobody_overwrites_what_they_have_not_seen",
    "test_publishing_puts_the_drafts_in_force_and_writes_down_who_and_why",
    "test_roll_back_puts_the_earlier_definition_in_force_and_leaves_drafts",
    "test_the_review_shows_what_changes_and_who_would_enter",
    "test_what_was_shown_is_counted_by_prompt_and_help",
]


@pytest.fixture
def client(new_postgresql: Callable[[], str], clock: Clock) -> Iterator[NudgeClient]:
    """The same people in a database of PostgreSQL."""
    options = Options(on_error="raise", refresh_seconds=0.0, store_wait=5.0)
    with NudgeClient(new_postgresql(), drain="inline", clock=clock, options=options) as client:
        fill(client)
        yield client
