"""Files of the cache: each one is there whole or not at all, and nobody misses one that is not."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from uuid import uuid4


def write_cache(path: Path, text: str) -> None:
    """Put a file in place, and make its folder if there is none. It is not made durable: it can be computed again.

    Raises:
        OSError: nothing is left over.
    """
    temporary = path.with_name(f".{path.name}.{uuid4().hex}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except OSError:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
