"""What the statistics need beyond the SDK itself."""

from __future__ import annotations

from importlib.util import find_spec

from nudge_sdk.errors import SetupError

STATISTICS = ("numpy", "scipy", "statsmodels")


def check_statistics(*more: str) -> None:
    """Make sure that what the statistics need is there, before work begins.

    Args:
        more: Further modules that are needed.

    Raises:
        SetupError: It is not installed.
    """
    missing = [name for name in (*STATISTICS, *more) if find_spec(name) is None]
    if missing:
        raise SetupError(f"reports need more packages: pip install 'nudge-sdk[insights]' (no {', '.join(missing)})")
