"""Conclusions: what judging found out in one transaction, for the logs that are only ever added to."""

from __future__ import annotations

from nudge_sdk.rules.standing import Standing
from nudge_sdk.rules.stepping import Change
from nudge_sdk.store.protocol import EpisodeRow, FoldTransaction, Key, Reached, Transition


class Conclusions:
    """Collects transitions, milestones reached, and episodes.

    Args:
        now: The present instant, in microseconds.
    """

    def __init__(self, now: int) -> None:
        self.now = now
        self._transitions: list[Transition] = []
        self._reached: list[Reached] = []
        self._episodes: dict[tuple[Key, int], EpisodeRow] = {}

    def note(self, key: Key, change: Change) -> None:
        """Write down what a judgement changed."""
        account_id, user_id = key
        before, after = change.before, change.after
        if after.tier != before.tier:
            is_late = change.at < before.at
            tiers = (before.tier, after.tier, after.score, after.definition, is_late)
            self._transitions.append(Transition(account_id, user_id, change.at, self.now, change.cause, *tiers))
        if after.reached is not before.reached:
            for milestone in after.reached.keys() - before.reached.keys():
                self._reached.append(
                    Reached(account_id, user_id, milestone, after.reached[milestone], after.definition)
                )
        if after.episode is not before.episode:
            self._note_episode(key, before, after)

    def write(self, transaction: FoldTransaction) -> None:
        """Write everything down."""
        transaction.add_transitions(self._transitions)
        transaction.add_reached(self._reached)
        transaction.put_episodes(self._episodes.values())

    def _note_episode(self, key: Key, before: Standing, after: Standing) -> None:
        episode = after.episode
        if episode is not None and episode != before.episode:
            self._episodes[key, episode.started_at] = EpisodeRow(
                key[0], key[1], episode.started_at, episode.goal, episode.tier,
                episode.definition, episode.cause, episode.ended_at, episode.end_reason,
            )  # fmt: skip
