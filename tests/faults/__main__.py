"""Run a kind of fault test for as long as is wished: python -m tests.faults NAME [--count N] [--minutes M] [--seed S].

sequences   shuffled, repeated, late events through the pure rules     --count 50000
streams     a shop's month through the database: persons, baskets, repeats  --count 50000 conversions, --orders 2
kills       processes killed at random while a shop tells and decides  --count 50 kills, or --minutes 30
boundaries  workflows killed before each statement                     --count 60, or --all
doubles     everything done by several processes at once               --count 8 processes
"""

from __future__ import annotations

import argparse
import random
import sys
from importlib import import_module

from tests.faults.servers import own_servers

COUNTS = {"sequences": 50_000, "streams": 50_000, "kills": 50, "boundaries": 60, "doubles": 8}


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", choices=sorted(COUNTS))
    parser.add_argument("--count", type=int, help="how many; see above")
    parser.add_argument("--minutes", type=float, help="kills: how long, instead of how many")
    parser.add_argument("--orders", type=int, default=2, help="streams: how many orders of arrival")
    parser.add_argument("--careless", action="store_true", help="boundaries: with a guard off, which must be found")
    parser.add_argument("--all", action="store_true", help="boundaries: every one")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6), help="repeats a run")
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    with own_servers() as servers:
        import django

        django.setup()
        count = options.count or COUNTS[options.name]
        module = import_module(f"tests.faults.{options.name}")
        if options.name == "sequences":
            figures = module.run_sequences(count=count, seed=options.seed)
        elif options.name == "streams":
            figures = module.compare_streams(servers, count=count, orders=options.orders, seed=options.seed)
        elif options.name == "kills":
            figures = module.kill_at_random(servers, count=count, minutes=options.minutes, seed=options.seed)
        elif options.name == "boundaries":
            workflows = module.CARELESS if options.careless else module.WORKFLOWS
            figures = module.kill_at_boundaries(
                servers, count=None if options.all else count, seed=options.seed, workflows=workflows
            )
        else:
            figures = module.do_everything_twice(servers, processes=count, seed=options.seed)
        figures.show()
    return 1 if figures.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
