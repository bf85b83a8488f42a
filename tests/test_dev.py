"""The one script: where it keeps things, whom it takes for its own, and that it survives a kill."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from kombu import Connection
from redis import Redis

from config.servers import load_dev, redis_addresses

dev = load_dev()


@pytest.mark.parametrize(
    ("url", "cache", "broker"),
    [
        ("unix:///p/v.sock", "unix:///p/v.sock?db=1", "redis+socket:///p/v.sock?virtual_host=0"),
        ("unix:///p/v.sock?db=4", "unix:///p/v.sock?db=5", "redis+socket:///p/v.sock?virtual_host=4"),
        ("redis+socket:///p?virtual_host=2", "unix:///p?db=3", "redis+socket:///p?virtual_host=2"),
        ("unix://:s%40@/p", "unix://:s%40@/p?db=1", "redis+socket://:s%40@/p?virtual_host=0"),
        ("redis://host:6379", "redis://host:6379/1", "redis://host:6379/0"),
        ("redis://u:s%40@host/3", "redis://u:s%40@host/4", "redis://u:s%40@host/3"),
        ("redis://host?db=3", "redis://host/4", "redis://host/3"),
        (
            "rediss://host/0?ssl_cert_reqs=none",
            "rediss://host/1?ssl_cert_reqs=none",
            "rediss://host/0?ssl_cert_reqs=none",
        ),
    ],
)
def test_redis_address_is_spelled_for_the_cache_and_for_celery(url, cache, broker):
    assert redis_addresses(url).cache == cache
    assert redis_addresses(url).broker == broker


def test_redis_address_moves_by_an_offset():
    assert redis_addresses("unix:///p?db=1", offset=4).broker == "redis+socket:///p?virtual_host=5"
    assert redis_addresses("redis://host/1", offset=4).cache == "redis://host/6"


def test_redis_address_of_another_kind_is_refused():
    with pytest.raises(ValueError, match="must start with"):
        redis_addresses("memcached://host")


def test_redis_addresses_lead_both_libraries_to_one_server():
    addresses = redis_addresses(os.environ["REDIS_URL"])
    with Connection(addresses.broker) as broker, Redis.from_url(addresses.cache) as cache:
        number = broker.default_channel.client.connection_pool.connection_kwargs["db"]
        broker.default_channel.client.set("probe", "seen", ex=60)
        assert cache.get("probe") is None
        assert cache.connection_pool.connection_kwargs["db"] == int(number) + 1
        with cache.client() as same:
            same.execute_command("SELECT", number)
            assert same.get("probe") == b"seen"
            same.delete("probe")


def test_state_of_a_user_stays_in_the_checkout():
    assert dev.state_folder(Path("/home/ann/t"), 1000, Path("/var/tmp")) == Path("/home/ann/t/.local/state")


def test_state_of_root_is_outside_private_homes_and_differs_by_checkout():
    one = dev.state_folder(Path("/private/one"), 0, Path("/var/tmp"))
    two = dev.state_folder(Path("/private/two"), 0, Path("/var/tmp"))
    assert one.parent == two.parent == Path("/var/tmp")
    assert one != two
    assert one.name.startswith("tributary-")


@pytest.mark.parametrize("depth", [1, 40])
def test_socket_paths_stay_below_the_kernels_limit(depth):
    state = Path("/home/ann", *["folder"] * depth, ".local/state")
    sockets = dev.socket_folder(state, 1000, Path("/var/tmp"))
    assert len(str(sockets / ".s.PGSQL.5432.lock")) <= 90
    assert (sockets.parent == state) is (depth == 1)


def test_folder_of_somebody_else_is_refused(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(dev.Trouble, match="belongs to somebody else"):
        dev.own_folder(tmp_path / "link", 0o700)
    assert oct((tmp_path / "real").stat().st_mode)[-3:] != "700"


def test_stale_pid_is_not_taken_for_a_server(tmp_path):
    stranger = subprocess.Popen(["sleep", "30"])
    try:
        while not dev.command_line(stranger.pid):
            time.sleep(0.01)  # the kernel shows the line a moment after the start
        assert dev.living(stranger.pid, "sleep 30") == stranger.pid
        assert dev.living(stranger.pid, str(tmp_path)) is None
    finally:
        stranger.kill()
    while stranger.poll() is None:
        time.sleep(0.01)
    assert dev.living(stranger.pid, "sleep 30") is None
    assert dev.living(None, "sleep") is None


def test_zombie_counts_as_gone():
    child = subprocess.Popen(["true"])
    until = time.monotonic() + 5
    while dev.command_line(child.pid) and time.monotonic() < until:
        time.sleep(0.01)
    assert dev.living(child.pid, "true") is None
    child.wait()


def test_taken_port_is_passed_over():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        assert dev.free_port("127.0.0.1", port) > port


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], ["-n", "2"]),
        (["tests/ledger"], ["-n", "2", "tests/ledger"]),
        (["-n", "0"], ["-n", "0"]),
        (["-n4"], ["-n4"]),
        (["-p", "no:xdist"], ["-p", "no:xdist"]),
        (["--pdb"], ["--pdb"]),
    ],
)
def test_pytest_gets_two_workers_unless_told_otherwise(arguments, expected):
    assert dev.pytest_arguments(arguments) == expected


def test_settings_of_the_environment_win(monkeypatch):
    monkeypatch.setenv("SECRET_KEY", "chosen")
    monkeypatch.delenv("PUBLIC_URL", raising=False)
    settings = dev.settings("demo", {"REDIS_URL": "redis://h"})
    assert "SECRET_KEY" not in settings
    assert settings["PUBLIC_URL"] == "http://localhost:8000"
    assert settings["REDIS_URL"] == "redis://h"


LAUNCHER = """
import sys
from pathlib import Path
sys.path.insert(0, {root!r})
from config.servers import load_dev
dev = load_dev()
servers = dev.ThrowawayServers(["DATABASE_URL", "REDIS_URL"])
servers.take()
print(servers.folder, flush=True)
input()
servers.leave()
"""


def launch():
    process = subprocess.Popen(
        [sys.executable, "-c", LAUNCHER.format(root=str(dev.ROOT))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    return process, Path(process.stdout.readline().strip())


def server_pids(folder):
    return [dev.Postgres(folder).pid(), dev.Valkey(folder).pid()]


@pytest.mark.slow
def test_servers_of_a_killed_run_are_found_and_removed():
    killed, folder = launch()
    pids = server_pids(folder)
    assert all(pids)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert all(dev.command_line(pid) for pid in pids)

    second, other = launch()
    assert not folder.exists()
    assert not any(dev.command_line(pid) for pid in pids)
    own = server_pids(other)
    assert all(own)
    second.communicate("\n", timeout=30)
    assert second.returncode == 0
    assert not other.exists()
    assert not any(dev.command_line(pid) for pid in own)


@pytest.mark.slow
def test_data_survives_a_kill_of_the_servers():
    folder = dev.own_folder(dev.state() / f"killed-{os.getpid()}", 0o711)
    try:
        postgres, valkey = dev.Postgres(folder), dev.Valkey(folder)
        postgres.start()
        valkey.start()
        query = [str(postgres.bin / "psql"), "-X", "-At", postgres.url, "-c"]
        subprocess.run([*query, "CREATE TABLE fact AS SELECT 42 AS answer"], check=True, stdout=subprocess.DEVNULL)
        for server in (postgres, valkey):
            os.kill(server.pid(), signal.SIGKILL)

        again = dev.Postgres(folder)
        assert again.pid() is None
        again.start()
        assert subprocess.check_output([*query, "SELECT answer FROM fact"], text=True) == "42\n"
        assert subprocess.check_output([*query, "SELECT upper('äé')"], text=True) == "ÄÉ\n"
        dev.Valkey(folder).start()
        assert dev.Valkey(folder).ready()
        assert again.stop()
        assert again.pid() is None
    finally:
        dev.ThrowawayServers([]).remove(folder)


@pytest.mark.slow
def test_a_server_that_died_beside_a_demo_is_started_again(capsys):
    folder = dev.own_folder(dev.state() / f"kept-up-{os.getpid()}", 0o711)
    try:
        servers = dev.LastingServers([])
        servers.state, servers.servers = folder, {"REDIS_URL": dev.Valkey(folder)}
        valkey = servers.servers["REDIS_URL"]
        valkey.start()
        before = valkey.pid()
        servers.keep_up()
        assert valkey.pid() == before

        os.kill(before, signal.SIGKILL)
        while valkey.pid():
            pass
        servers.keep_up()
        assert valkey.pid() and valkey.pid() != before and valkey.ready()
        assert "valkey had died and was started again" in capsys.readouterr().err
    finally:
        dev.ThrowawayServers([]).remove(folder)
