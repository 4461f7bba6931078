"""Experiments on the method's own claims. `__init__.pyi` lists what it exports."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
