"""The fault tests as every build runs them: in their short form, each in a process of its own."""

import os
import subprocess
import sys
from unittest import mock

import pytest

from apps.pipeline.rules import reductions
from tests.faults.sequences import Machine, play_many
from tests.faults.servers import FOLDER, ROOT, own_servers

pytestmark = pytest.mark.fault
DETECTED = 1
STREAM = "50000"  # conversions


@pytest.fixture(scope="module")
def servers():
    kept = dict(os.environ)
    os.environ.pop(FOLDER, None)
    with own_servers() as servers:
        yield {**os.environ, FOLDER: str(servers.postgres.folder)}
    os.environ.clear()
    os.environ.update(kept)


def run(servers, *arguments, seconds):
    command = [sys.executable, "-m", "tests.faults", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=servers, capture_output=True, text=True, timeout=seconds)
    print(done.stdout, done.stderr[-6000:])
    return done


def test_a_kill_before_any_statement_changes_nothing_in_the_end(servers):
    assert run(servers, "boundaries", "--count", "60", seconds=600).returncode == 0


def test_a_commit_in_the_middle_of_an_approval_is_detected(servers):
    done = run(servers, "boundaries", "--careless", "--all", seconds=400)
    assert done.returncode == DETECTED
    assert "WRONG approve, killed at" in done.stdout


def test_kills_at_random_lose_nothing_and_pay_nothing_twice(servers):
    assert run(servers, "kills", "--count", "50", seconds=400).returncode == 0


def test_everything_done_twice_at_once_is_done_once(servers):
    assert run(servers, "doubles", "--count", "6", seconds=200).returncode == 0


def test_streams_end_with_the_same_books_in_any_order(servers):
    assert run(servers, "streams", "--count", STREAM, seconds=800).returncode == 0


def test_only_the_set_of_an_orders_facts_decides(servers):
    assert run(servers, "sequences", "--count", "50000", seconds=120).returncode == 0


def test_refunds_applied_as_they_arrive_are_detected():
    with mock.patch.object(reductions, "canonical", list):
        assert play_many(0, 2_000, 1)


def test_facts_taken_twice_are_detected():
    def take_blindly(machine, event):
        machine.booked += list(machine.pending.items()) if machine.approved else []
        take(machine, event)

    take = Machine.take
    with mock.patch.object(Machine, "take", take_blindly):
        assert play_many(0, 200, 1)
