"""The collector's own connections go where Django's go."""

from environ import Env

from apps.tracking.intake import address_of


def test_a_socket_and_encryption_told_in_the_address_are_used():
    server = Env.db_url_config("postgres://tributary@/shop?host=/run/own&sslmode=require")
    server.setdefault("OPTIONS", {})["options"] = "-c lock_timeout=10s"
    assert address_of(server) == {"user": "tributary", "dbname": "shop", "host": "/run/own", "sslmode": "require"}


def test_host_port_and_password_are_used():
    server = Env.db_url_config("postgres://tributary:secret@db.example:5433/shop")
    assert address_of(server) == {
        "user": "tributary",
        "password": "secret",
        "host": "db.example",
        "port": 5433,
        "dbname": "shop",
    }
