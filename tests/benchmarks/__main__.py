"""Run benchmarks by name, print a table for each and, if asked, its figures as one line of JSON."""

import argparse
import os
import pkgutil
import sys
from importlib import import_module


def prepare() -> None:
    """Bring up servers where none are named, Django, and the tables."""
    from config.servers import use_test_servers

    use_test_servers()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)


def read_arguments(known: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests.benchmarks", description="Measure, with a reference in the same run.")
    parser.add_argument("names", metavar="NAME", nargs="*", help=f"of {', '.join(known)}; none: all of them")
    parser.add_argument("--quick", action="store_true", help="less data, fewer rounds")
    parser.add_argument("--json", action="store_true", help="end with the figures as one JSON object on a line")
    options = parser.parse_args()
    unknown = sorted(set(options.names) - set(known))
    if unknown:
        parser.error(f"there is no benchmark {', '.join(unknown)}; there are {', '.join(known)}")
    return options


def main() -> int:
    prepare()
    package = import_module("tests.benchmarks")
    for module in pkgutil.iter_modules(package.__path__, "tests.benchmarks."):
        if not module.name.endswith("__main__"):
            import_module(module.name)
    from tests.benchmarks.framework import BENCHMARKS, show

    options = read_arguments(sorted(BENCHMARKS))
    for name in options.names or sorted(BENCHMARKS):
        show(BENCHMARKS[name](options.quick), name=name, as_json=options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
