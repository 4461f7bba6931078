"""Names of NumPy arrays by what they hold; docstrings say the shapes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float32]
"""Vectors as rows (n, d), or one of them: what databases, teachers and students give and take."""

Values = NDArray[np.float64]
"""Figures that are computed with: scores, times, errors."""

Ids = NDArray[np.int64]
"""Numbers of rows, heads, questions and answers."""
