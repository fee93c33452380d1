"""Making the admin."""

from __future__ import annotations

from flask import Flask, request
from flask.sessions import SecureCookieSessionInterface
from jinja2.bccache import Bucket, BytecodeCache

from nudge_sdk.client import NudgeClient
from nudge_sdk.errors import SetupError
from nudge_sdk.store.sql_store import SqlStore

from .access import Authenticate, guard
from .logins import OwnLogins
from .pages import add_pages
from .queries import db, engine_options
from .views import BLUEPRINTS

COOKIE = "nudge_admin"
EXTENSION = "nudge_client"
_LARGEST_FORM = 512 * 1024


class _Compiled(BytecodeCache):
    """Templates as they were compiled, for every admin that this process makes."""

    def __init__(self) -> None:
        self._kept: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if bucket.key in self._kept:
            bucket.bytecode_from_string(self._kept[bucket.key])

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._kept[bucket.key] = bucket.bytecode_to_string()


_COMPILED = _Compiled()


class _OwnCookie(SecureCookieSessionInterface):
    """A cookie for the place where the admin is mounted, so that it never meets the host's."""

    def get_cookie_path(self, app: Flask) -> str:
        return f"{request.script_root}/"


def create_admin(client: NudgeClient, *, authenticate: Authenticate, read_only: bool = False) -> Flask:
    """Return the admin as a WSGI app of its own, to be mounted with ``DispatcherMiddleware``.

    Args:
        client: The client; the admin works on its store.
        authenticate: Says who makes a request: an ``Actor``, an answer such as a redirect to the host's log-in, or
            None for nobody. ``OwnLogins`` keeps users of its own.
        read_only: Nobody changes anything, whatever their role.

    Raises:
        SetupError: The client has no database, or ``authenticate`` cannot be called.
    """
    if not callable(authenticate):
        raise SetupError("authenticate= must be a function that takes the request and says who makes it")
    url = _database(client)
    app = Flask(__name__, static_folder="../static")
    app.config.update(
        SQLALCHEMY_DATABASE_URI=url,
        SQLALCHEMY_ENGINE_OPTIONS=engine_options(url),
        SESSION_COOKIE_NAME=COOKIE,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Strict",
        MAX_CONTENT_LENGTH=_LARGEST_FORM,
        MAX_FORM_MEMORY_SIZE=_LARGEST_FORM,
    )
    app.jinja_env.bytecode_cache = _COMPILED
    app.session_interface = _OwnCookie()
    app.extensions[EXTENSION] = client
    db.init_app(app)
    if isinstance(authenticate, OwnLogins):
        authenticate.init_app(app)
    for blueprint in BLUEPRINTS:
        app.register_blueprint(blueprint)
    add_pages(app, client)
    guard(app, authenticate, read_only=read_only)
    return app


def _database(client: NudgeClient) -> str:
    if not isinstance(client.store, SqlStore):
        raise SetupError("the admin needs a client whose store is a database, such as sqlite:///nudges.db")
    return client.store.sqlalchemy_url
