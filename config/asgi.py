"""The tracking host: `granian --interface asgi config.asgi:application`; it answers the collector's paths only."""

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup(set_prefix=False)

from apps.collector.asgi import application  # noqa: E402  (Django must be set up first)

__all__ = ["application"]
