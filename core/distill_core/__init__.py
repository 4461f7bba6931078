"""The engine of distill-tui: teacher, students, training, evaluation and latency, without a user interface.

What is exported stands in `__init__.pyi`. A name is loaded when it is first used, so that importing this
package stays cheap and torch is loaded by the parts that need it only.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
