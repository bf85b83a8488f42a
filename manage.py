#!/usr/bin/env python3
"""Django's commands; without DATABASE_URL they use the servers of ./dev."""

import os
import sys


def main():
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    try:
        from django.core.management import execute_from_command_line
    except ImportError:
        raise SystemExit(f"Django is not here; type ./dev run python manage.py {' '.join(sys.argv[1:])}") from None
    from config.servers import use_local_servers

    use_local_servers()
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
