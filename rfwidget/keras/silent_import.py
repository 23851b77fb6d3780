"""Importing Keras without TensorFlow's start-up log.

TensorFlow logs to the process's standard error while it is imported, before any setting takes effect (tensorflow issue
100442), and in a notebook that log would stand above the user's first result.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

STANDARD_ERROR = 2


@contextmanager
def held_back() -> Iterator[None]:
    """Hold back what is written to standard error, of native code too; show it if an exception ends the block."""
    sys.stderr.flush()
    with tempfile.TemporaryFile() as held:
        own = os.dup(STANDARD_ERROR)
        os.dup2(held.fileno(), STANDARD_ERROR)
        try:
            yield
        except BaseException:
            sys.stderr.flush()
            held.seek(0)
            os.write(own, held.read())
            raise
        finally:
            os.dup2(own, STANDARD_ERROR)
            os.close(own)
