"""Run a program on the workers' clock, and beat ten times as fast: python -m tests.faults.ahead PROGRAM [ARGUMENTS].

Time is an argument everywhere but in the tasks, which ask Django; so Django is told another one here.
"""

from __future__ import annotations

import os
import runpy
import sys

import django
from django.conf import settings
from django.utils import timezone

from tests.faults.workers import Shift

CLOCK = "FAULT_CLOCK"  # names the clock; without it the program's is the real one
FASTER = 10


def main() -> None:
    django.setup()
    if told := os.environ.get(CLOCK):
        timezone.now = Shift.of_clock(told).now
    for entry in settings.CELERY_BEAT_SCHEDULE.values():
        entry["schedule"] /= FASTER
    program, sys.argv = sys.argv[1], sys.argv[1:]
    runpy.run_module(program, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
