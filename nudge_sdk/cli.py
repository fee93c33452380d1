"""The command line: ``nudge …``. Commands live in ``nudge_sdk.commands`` and are loaded when they are asked for."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

import click

from nudge_sdk.errors import DefinitionError, NudgeError

_COMMANDS = {
    "import": "nudge_sdk.commands.importing:import_history",
    "publish": "nudge_sdk.commands.definitions:publish",
    "export": "nudge_sdk.commands.dumping:export",
    "export-person": "nudge_sdk.commands.privacy:export_person",
    "forget": "nudge_sdk.commands.privacy:forget",
    "retain": "nudge_sdk.commands.retaining:retain",
    "lint": "nudge_sdk.commands.definitions:lint",
    "standing": "nudge_sdk.commands.asking:standing",
    "explain": "nudge_sdk.commands.asking:explain",
    "decide": "nudge_sdk.commands.asking:decide",
    "replay": "nudge_sdk.commands.dumping:replay",
    "accuracy": "nudge_sdk.commands.accuracy:accuracy",
    "funnel": "nudge_sdk.commands.funnel:funnel",
    "archive": "nudge_sdk.commands.archiving:archive",
    "refresh": "nudge_sdk.commands.refreshing:refresh",
    "lift": "nudge_sdk.commands.lift:lift",
    "signals": "nudge_sdk.commands.signals:signals",
    "calibrate": "nudge_sdk.commands.calibrating:calibrate",
    "trend": "nudge_sdk.commands.trend:trend",
    "economics": "nudge_sdk.commands.economics:economics",
    "what-if": "nudge_sdk.commands.whatif:what_if",
    "worker": "nudge_sdk.commands.running:worker",
    "migrate": "nudge_sdk.commands.running:migrate",
    "doctor": "nudge_sdk.commands.doctor:doctor",
    "admin": "nudge_sdk.commands.admin:admin",
    "admin-user": "nudge_sdk.commands.admin:admin_user",
    "demo": "nudge_sdk.commands.running:demo",
    "playbooks": "nudge_sdk.commands.definitions:playbooks",
    "schema": "nudge_sdk.commands.definitions:schema",
}
_WRONG = 2


class Failed(click.ClickException):
    """What went wrong, on standard error, without a traceback."""

    exit_code = _WRONG


class Commands(click.Group):
    """Loads each command when it is asked for, and says every known error in words."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, _, attribute = _COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise
        except DefinitionError as error:
            raise Failed(_all_problems(error)) from error
        except NudgeError as error:
            raise Failed(" ".join(str(error).split())) from error
        except OSError as error:
            what = f"{error.filename}: {error.strerror}" if error.filename else str(error)
            raise Failed(what) from error


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="nudge-sdk")
def main() -> None:
    """Find the users who are ready to upgrade, and show each the right prompt, or help.

    \b
    A first look, with a file of events and a definition of what counts:
      export NUDGE_STORE=sqlite:///nudge.db
      nudge publish definition.yaml
      nudge import events.csv.gz --timezone UTC
      nudge standing --user ada --account acme

    Times are ISO 8601 with an offset, such as 2026-03-01T09:30:00Z. The exit status is 0 when all is
    well, 1 when something needs attention (lint, doctor), 2 when the command could not do its work.
    """


def _all_problems(error: DefinitionError) -> str:
    if len(error.problems) == 1:
        return str(error)
    listed = "\n".join(f"  {problem}" for problem in error.problems)
    return f"the definition has {len(error.problems)} problems\n{listed}"


if __name__ == "__main__":
    sys.exit(main())
