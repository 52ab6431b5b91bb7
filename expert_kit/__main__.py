"""``python -m expert_kit`` is the command ``expert-kit``."""

from __future__ import annotations

import sys

from expert_kit.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
