"""``nudge worker`` beside a database that comes and goes."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from nudge_sdk import NudgeClient
from tests import postgresql
from tests.runtime.examples import ROOT, wait_until

pytestmark = pytest.mark.no_cover


def test_a_worker_that_is_started_while_the_database_is_away_waits_for_it(tmp_path: Path) -> None:
    with postgresql.running() as server:
        address = server.new_database()
        server.stop("immediate")
        journals = tmp_path / "journals"
        client = NudgeClient(address, journal=journals, drain="external")
        assert client.track("ada", "step", account="acme")
        command = [sys.executable, "-m", "nudge_sdk.cli", "worker", "--store", address, "--journal", str(journals)]
        worker = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
        try:
            time.sleep(1.5)
            assert worker.poll() is None, "it gave up"
            server.start()
            client.store.migrate()
            assert wait_until(lambda: client.store.read_subjects([("acme", "ada")]), 15)
        finally:
            worker.terminate()
            _, said = worker.communicate(timeout=20)
            client.close()
        assert "did not answer" in said
        assert worker.returncode == 0, said
