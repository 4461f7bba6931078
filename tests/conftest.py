from __future__ import annotations

import os

from hypothesis import settings

# Read by torch and by NumPy's BLAS when they are imported, which no plugin has done yet. Threads that wait
# for each other on a busy machine take 50 times as long, and sums in another order are other sums.
os.environ["OMP_NUM_THREADS"] = "1"

settings.register_profile("repeatable", deadline=None, derandomize=True, database=None)
settings.load_profile("repeatable")
