from .checkpoint import load_student as load_student
from .checkpoint import read_run_config as read_run_config
from .checkpoint import require_writable as require_writable
from .checkpoint import save_student as save_student
from .encoder import ProjectionTransformer as ProjectionTransformer
