"""Work beside the caller's."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future


def in_background(work: Callable[[], None]) -> Future[None]:
    """Run ``work`` in a thread that does not keep the program alive; its exception is the future's."""
    future: Future[None] = Future()

    def run() -> None:
        future.set_running_or_notify_cancel()
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - handed to whoever asks the future
            future.set_exception(error)
        else:
            future.set_result(None)

    threading.Thread(target=run, daemon=True, name="expert-kit-prefetch").start()
    return future
