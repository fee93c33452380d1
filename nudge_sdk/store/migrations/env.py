"""What Alembic runs: it works on the connection handed to it, inside the transaction that is already open there."""

from __future__ import annotations

from typing import Any

from alembic import context

from nudge_sdk.store.schema import VERSION_TABLE, Base, include_name


def _is_ours(name: str | None, type_: str, parent_names: Any) -> bool:
    return type_ != "table" or not include_name(name, type_, parent_names)


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    version_table=VERSION_TABLE,
    include_name=_is_ours,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
