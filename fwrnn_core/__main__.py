"""``python -m fwrnn_core`` is ``fwrnn``."""

import sys

from fwrnn_core.cli import main

sys.exit(main())
