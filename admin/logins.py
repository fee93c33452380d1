"""The admin's own users, for where no host says who somebody is: passwords, a throttled log-in, a session."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from flask import Blueprint, Flask, Request, redirect, request, session, url_for
from werkzeug.wrappers import Response as AnyResponse
from wtforms import Form, PasswordField, StringField
from wtforms.validators import InputRequired, Length

from nudge_sdk.errors import SetupError
from nudge_sdk.rules.times import MINUTE, SECOND

from . import queries
from .access import ROLES, Actor, Role, for_role
from .pages import page
from .queries import User

SHORTEST_PASSWORD = 12
LONGEST_PASSWORD = 256
FREE_TRIES = 5
_FIRST_PAUSE = 30 * SECOND
_LONGEST_PAUSE = 15 * MINUTE
_SHORTEST_SECRET = 32
_NAME = re.compile(r"[^\s\x00-\x1f\x7f](?:[^\x00-\x1f\x7f]{0,78}[^\s\x00-\x1f\x7f])?")

_hasher = PasswordHasher()


class LogInForm(Form):
    """Name and password."""

    name = StringField("Name", [InputRequired("Write your name."), Length(max=80)])
    password = PasswordField("Password", [InputRequired("Write your password."), Length(max=LONGEST_PASSWORD)])


class OwnLogins:
    """Says who makes a request from the admin's own users; give it to ``create_admin`` as ``authenticate``.

    Args:
        secret_key: Signs the session cookie, the same in every process; at least 32 characters.
        is_https: Whether the cookie is only sent over HTTPS.
        now: The present instant in microseconds.

    Raises:
        SetupError: The secret is too short.
    """

    def __init__(self, secret_key: str, *, is_https: bool = True, now: Callable[[], int] | None = None) -> None:
        if len(secret_key) < _SHORTEST_SECRET:
            raise SetupError(f"secret_key= needs {_SHORTEST_SECRET} characters; make one with secrets.token_hex(32)")
        self._secret_key = secret_key
        self._is_https = is_https
        self._now = now or (lambda: time.time_ns() // 1000)

    def __call__(self, request: Request) -> Actor | AnyResponse | None:
        user = queries.user(session.get("user", "")) if "user" in session else None
        if user is None or session.get("since") != _mark(user):
            return redirect(url_for("logins.log_in", then=request.full_path if request.method == "GET" else None), 303)
        return Actor(user.name, user.role)

    def init_app(self, app: Flask) -> None:
        """Give the admin a log-in and a log-out."""
        app.config.update(SECRET_KEY=self._secret_key, SESSION_COOKIE_SECURE=self._is_https)
        app.extensions["nudge_logins"] = self
        logins = Blueprint("logins", __name__)
        logins.add_url_rule("/log-in", "log_in", self._log_in, methods=["GET", "POST"])
        logins.add_url_rule("/log-out", "log_out", self._log_out, methods=["POST"])
        app.register_blueprint(logins)

    @for_role("everybody")
    def _log_in(self) -> AnyResponse:
        form = LogInForm(request.form)
        if request.method == "GET" or not form.validate():
            return page("log_in.html", form=form, problem="", status=200 if request.method == "GET" else 422)
        name, now = str(form.name.data), self._now()
        user = queries.user(name)
        if user is not None and now < user.last_failure_at + _pause(user.failures):
            return page("log_in.html", form=form, problem="Too many tries. Wait some minutes.", status=429)
        if not _is_right(user, str(form.password.data)):
            queries.note_log_in(name, failed_at=now)
            return page("log_in.html", form=form, problem="That name and password do not belong together.", status=422)
        assert user is not None
        queries.note_log_in(name, failed_at=None)
        session.clear()
        session["user"], session["since"] = user.name, _mark(user)
        return redirect(_then(), 303)

    @for_role("everybody")
    def _log_out(self) -> AnyResponse:
        session.clear()
        return redirect(url_for("logins.log_in"), 303)


def add_user(name: str, password: str, role: Role) -> None:
    """Make a user, or give one a new password and role; inside an app context of the admin.

    Raises:
        SetupError: The name, password or role will not do.
    """
    if _NAME.fullmatch(name) is None:
        raise SetupError(f"{name!r} will not do as a name: 1 to 80 characters, none of them a control character")
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise SetupError(f"the password needs {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters")
    if role not in ROLES:
        raise SetupError(f"{role!r} is no role; write one of {', '.join(ROLES)}")
    queries.put_user(User(name, _hasher.hash(password), role, 0, 0))


def _is_right(user: User | None, password: str) -> bool:
    """Whether the password is the user's; for nobody it takes as long to say no."""
    try:
        return _hasher.verify(user.password if user else _of_nobody(), password) and user is not None
    except (VerificationError, InvalidHashError):
        return False


@cache
def _of_nobody() -> str:
    return _hasher.hash("the password of nobody")


def _pause(failures: int) -> int:
    """Return how long nobody can log in by a name after so many failures."""
    if failures < FREE_TRIES:
        return 0
    return min(int(_FIRST_PAUSE * 2 ** min(failures - FREE_TRIES, 10)), _LONGEST_PAUSE)


def _mark(user: User) -> str:
    """Return what changes with the password, so that a new one ends every session."""
    return hashlib.sha256(user.password.encode()).hexdigest()[:16]


def _then() -> str:
    """Return the page to go to after the log-in: one of ours."""
    then = request.args.get("then", "")
    is_ours = then.startswith("/") and not then.startswith(("//", "/\\")) and then.isprintable() and "\\" not in then
    return f"{request.script_root}{then}" if is_ours else f"{request.script_root}/"


__all__ = ["OwnLogins", "add_user"]
