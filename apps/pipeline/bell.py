"""The bell that tells workers of new work: never in the way of a request, and never needed.

A thread of the process rings, so that a dead or hanging Valkey costs a request nothing; rings that come
while one is under way become one. What no bell announces, a sweep finds.
"""

from __future__ import annotations

import logging
import threading

from django.conf import settings
from django.utils.module_loading import import_string

logger = logging.getLogger(__name__)


class Bell:
    """The bell of one task, named by its path; the thread starts with the first ring, after the server has forked."""

    def __init__(self, task: str) -> None:
        self._task = task
        self._wanted = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def ring(self) -> None:
        if getattr(settings, "CELERY_TASK_ALWAYS_EAGER", False):
            self._send()
            return
        self._wanted.set()
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name=f"bell {self._task}", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            self._wanted.wait()
            self._wanted.clear()
            self._send()

    def _send(self) -> None:
        try:
            import_string(self._task).apply_async(retry=False)
        except Exception as error:
            # Facts are the truth and the bell is optional: whatever is wrong with it is logged, not passed on.
            logger.warning("the bell of %s did not ring: %s", self._task, error)


settle_bell = Bell("apps.pipeline.tasks.settle_unsettled")
decide_bell = Bell("apps.pipeline.tasks.settle_decide")
render_bell = Bell("apps.pipeline.tasks.bill_render_documents")
message_bell = Bell("apps.pipeline.tasks.send_messages")
