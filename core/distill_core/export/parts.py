"""Which parts an export has beside those that it always has."""

from __future__ import annotations

import msgspec


class ExportParts(msgspec.Struct, frozen=True, kw_only=True):
    """What to write beside weights, settings, model card and `metrics.csv`.

    Attributes:
        onnx: `model.onnx`; needs the extra `[onnx]`.
        tensorboard: The folder `tensorboard`; needs the extra `[tensorboard]`.
        reference: `model.pt` in the reference implementation's layout, for an encoder.
    """

    onnx: bool = True
    tensorboard: bool = True
    reference: bool = False
