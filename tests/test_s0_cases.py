"""The S0 framework, worked by hand in ``cases/s0_framework.json``, run through the client."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from nudge_sdk.documents import read_definition
from nudge_sdk.playbooks import read_playbook
from nudge_sdk.rules.definition import Definition
from nudge_sdk.testing import NudgeTest

_FILE = json.loads((Path(__file__).parent / "cases" / "s0_framework.json").read_text())


def _without_holdout(playbook: str) -> Definition:
    definition = read_definition(read_playbook(playbook))
    return msgspec.structs.replace(definition, holdout=msgspec.structs.replace(definition.holdout, share=0))


def _do(test: NudgeTest, step: dict[str, Any]) -> None:
    client, what = test.client, step.pop("do")
    if what == "track":
        test.given(
            step["user"], step["event"], step.get("properties"), account=step["account"], times=step.get("times", 1)
        )
    elif what == "sweep":
        client.sweep()
    else:
        assert getattr(client, what)(**step)


def _expect_standing(test: NudgeTest, step: dict[str, Any]) -> None:
    report = test.client.standing(step.get("user"), account=step["account"])
    assert report is not None
    episode = report.episode
    found = {
        "tier": report.tier, "score": report.score, "entry": report.entry, "phase": report.phase,
        "segment": report.segment, "active_users": report.active_users, "goal": episode.goal if episode else None,
    }  # fmt: skip
    wanted = {key: value for key, value in step.items() if key in found}
    assert {key: found[key] for key in wanted} == wanted, [reason.text for reason in report.reasons]


def _expect_decision(test: NudgeTest, step: dict[str, Any]) -> None:
    asked = {"user": step["user"], "account": step["account"], "context": step.get("context")}
    decision = test.client.decide(step["placement"], **asked)
    assert (decision.nudge.nudge if decision.nudge else None) == step["nudge"], decision.reasons
    if "mode" in step:
        assert decision.nudge is not None
        assert decision.nudge.mode == step["mode"]
    for key, reason in step.get("reasons", {}).items():
        assert decision.reasons[key] == reason


@pytest.mark.parametrize("case", _FILE["cases"], ids=lambda case: case["name"])
@pytest.mark.parametrize("store", ["memory", "sqlite"])
def test_s0_framework(case: dict[str, Any], store: str, tmp_path: Path) -> None:
    url = "memory://" if store == "memory" else f"sqlite:///{tmp_path}/nudges.db"
    test = NudgeTest(_without_holdout(_FILE["playbook"]), store=url)
    for written in case["steps"]:
        step = dict(written)
        if "do" in step:
            _do(test, step)
        elif "move" in step:
            test.clock.move(**step["move"])
        elif step["expect"] == "standing":
            _expect_standing(test, step)
        else:
            _expect_decision(test, step)
    test.client.close()
