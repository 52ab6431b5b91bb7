"""Work beside the caller's."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from typing import Generic, TypeVar

T = TypeVar("T")


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


class Ahead(Generic[T]):
    """Something that is being acquired while its caller does other work; what it holds is given back once, by :meth:`close`."""

    def __init__(self, pool: ThreadPoolExecutor, acquire: Callable[[ExitStack], T]) -> None:
        """Begin; ``acquire`` puts what gives everything back on the stack, as it goes."""
        self._held = ExitStack()
        self._future = pool.submit(acquire, self._held)

    def take(self) -> T | None:
        """Wait for it; ``None`` where it failed, and then nothing is held any more.

        Who needs it acquires it again and gets the error himself.
        """
        if self._future.exception() is None:
            return self._future.result()
        self._held.close()
        return None

    def close(self) -> None:
        """Give back what is held; waits for what cannot be stopped any more."""
        if not self._future.cancel():
            wait([self._future])
        self._held.close()
