"""``nudge admin`` and ``admin-user``: the admin served by itself, with users of its own."""

from __future__ import annotations

import os
import secrets
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from nudge_sdk.commands.opening import opened_client, sqlite_file
from nudge_sdk.commands.options import store_option
from nudge_sdk.errors import SetupError
from nudge_sdk.store import shown

SECRET = "NUDGE_ADMIN_SECRET"
_ROLES = ("viewer", "editor", "publisher")


@click.command()
@store_option
@click.option("--host", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=5080, show_default=True, help="Port; 0 for any.")
@click.option("--read-only", is_flag=True, help="Nobody changes anything, whatever their role.")
@click.option("--https", is_flag=True, help="It is reached over HTTPS, by a proxy before it: secure cookies only.")
def admin(store: str, host: str, port: int, read_only: bool, https: bool) -> None:
    """Serve the admin, for product managers. Make its users with nudge admin-user.

    The secret that signs sessions is taken from NUDGE_ADMIN_SECRET, else kept in a file beside the
    database that only you can read. A host can mount the admin in its own app instead: see the README.

    \b
    Example:
      nudge admin-user pia --role publisher --store sqlite:////var/lib/shop/nudge.db
      nudge admin --store sqlite:////var/lib/shop/nudge.db
    """
    made = _admin()
    serving: Any = import_module("werkzeug.serving")
    with opened_client(store, make=True) as client:
        logins = made.OwnLogins(_secret(store), is_https=https)
        app = made.create_admin(client, authenticate=logins, read_only=read_only)
        server = serving.make_server(host, port, app, threaded=True)
        click.echo(f"The admin of {shown(store)}: http://{host}:{server.port}/", err=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            pass
        finally:
            server.server_close()


@click.command("admin-user")
@store_option
@click.argument("name")
@click.option("--role", type=click.Choice(_ROLES), default="viewer", show_default=True, help="What they may do.")
@click.password_option(help="Asked for if it is not said; at least 12 characters.")
def admin_user(store: str, name: str, role: str, password: str) -> None:
    """Make a user of the admin, or give one a new password and role, which ends their sessions.

    viewer looks, editor also edits drafts, publisher also publishes.

    \b
    Example:
      nudge admin-user pia --role publisher --store sqlite:////var/lib/shop/nudge.db
    """
    made = _admin()
    with opened_client(store, make=True) as client:
        logins = made.OwnLogins(secrets.token_hex(32))
        with made.create_admin(client, authenticate=logins).app_context():
            import_module("nudge_sdk.admin.logins").add_user(name, password, role)
    click.echo(f"{name} may log in as {role}")


def _admin() -> Any:
    try:
        return import_module("nudge_sdk.admin")
    except ModuleNotFoundError as error:
        text = f"the admin needs {error.name}, which is not installed; run: pip install 'nudge-sdk[admin]'"
        raise SetupError(text) from error


def _secret(store: str) -> str:
    """Return what signs sessions: the same for every process on this store."""
    said = os.environ.get(SECRET)
    if said:
        return said
    database = sqlite_file(store)
    if database is None:
        raise SetupError(f"set {SECRET} to a secret of at least 32 characters")
    return _kept_in(database.with_name(f"{database.name}-admin-secret"))


def _kept_in(file: Path) -> str:
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return file.read_text(encoding="ascii").strip()
    with os.fdopen(descriptor, "w", encoding="ascii") as opened:
        opened.write(secrets.token_hex(32))
    return file.read_text(encoding="ascii").strip()
