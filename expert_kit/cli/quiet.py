"""Silences the libraries' own bars and warnings. Called in a command before they are imported, never at import."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from typing import Final

from expert_kit.cli.output import is_debugging

_SETTINGS: Final = {
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",  # of transformers too, which asks huggingface_hub
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TOKENIZERS_PARALLELISM": "false",  # it warns about forks otherwise
    "TRANSFORMERS_VERBOSITY": "error",
}
_LOGGERS: Final = ("accelerate", "datasets", "huggingface_hub", "lm_eval", "peft", "sentence_transformers", "torch", "transformers")


def quiet_libraries() -> None:
    """Keep stderr for our own lines, unless the user is debugging or has set a variable otherwise."""
    if is_debugging():
        return
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    for name in _LOGGERS:
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")
    # It looked at the variables when it was imported, which may have been before main() was called.
    if (bars := sys.modules.get("transformers.utils.logging")) is not None:
        bars.disable_progress_bar()
