"""Every test's ground: servers, then settings. Called directly, pytest starts throw-away servers itself."""

import os

from config.servers import use_test_servers

use_test_servers()
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

from django.conf import settings  # noqa: E402  (the settings read the addresses)

assert settings.DATABASES, "the settings must be read before pytest-django looks for them"
