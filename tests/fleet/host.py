"""A host as ``gunicorn --preload tests.fleet.host:app`` serves it: its client is made before the workers are forked.

A browser is known by the cookie that signing in gave it, a client without cookies by ``?user=``.
"""

from __future__ import annotations

import os
from typing import Any

from flask import Flask, request, session
from werkzeug.exceptions import Unauthorized

from nudge_sdk import NudgeClient, Options

PLACEMENT = "page"

client = NudgeClient(
    os.environ["NUDGE_STORE"],
    journal=os.environ["NUDGE_JOURNAL"],
    options=Options(
        store_wait=float(os.environ.get("NUDGE_WAIT", "0.05")),
        refresh_seconds=float(os.environ.get("NUDGE_REFRESH", "2")),
        # Far longer than a test: whoever relies on what it remembers shows it.
        max_staleness=float(os.environ.get("NUDGE_STALENESS", "3600")),
    ),
)
app = Flask(__name__)
app.secret_key = "a host of the tests"


def who() -> str:
    """Return who asks."""
    user = session.get("user") or request.args.get("user")
    if not user:
        raise Unauthorized
    return str(user)


def account_of(user: str) -> str:
    """Return the account of a user: ten share one."""
    return f"account-{user.rpartition('-')[2][:-1] or '0'}"


@app.post("/sign-in")
def sign_in() -> dict[str, Any]:
    """Give the browser a cookie."""
    session["user"] = request.args["user"]
    return {"pid": os.getpid()}


@app.post("/track")
def track() -> dict[str, Any]:
    """Say that somebody did something; the caller may name the message, to send it again."""
    user = who()
    at = request.args.get("at", type=int)
    done = client.track(user, "step", account=account_of(user), id=request.args.get("id"), at=at)
    return {"tracked": done, "pid": os.getpid()}


@app.get("/decide")
def decide() -> dict[str, Any]:
    """Say what is shown at the one placement."""
    user = who()
    decision = client.decide(PLACEMENT, user=user, account=account_of(user))
    return {
        "nudge": decision.nudge.nudge if decision.nudge else None,
        "id": decision.id,
        "reasons": decision.reasons,
        "definition": decision.definition,
        "problem": decision.problem,
        "pid": os.getpid(),
    }


@app.post("/dismiss")
def dismiss() -> dict[str, Any]:
    """Close a nudge."""
    user = who()
    done = client.record(request.args["nudge"], "dismissed", user=user, account=account_of(user))
    return {"dismissed": done, "pid": os.getpid()}


@app.get("/counts")
def counts() -> dict[str, Any]:
    """Say what failed in this worker, each cause with how often."""
    return {"failures": dict(client.counters), "pid": os.getpid()}
