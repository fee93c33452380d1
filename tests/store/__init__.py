import pytest

for name in ("contract", "contract_records", "contract_subjects"):
    pytest.register_assert_rewrite(f"tests.store.{name}")
