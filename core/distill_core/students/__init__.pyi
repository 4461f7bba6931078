from .checkpoint import load_student as load_student
from .checkpoint import require_writable as require_writable
from .checkpoint import save_student as save_student
from .encoder import ProjectionTransformer as ProjectionTransformer
