"""Every test's ground: servers, then settings. Called directly, pytest starts throw-away servers itself."""

import os

from config.servers import use_test_servers

use_test_servers()
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

import django  # noqa: E402  (the settings read the addresses)

django.setup()  # a conftest of a folder named on the command line is loaded before pytest-django sets Django up
