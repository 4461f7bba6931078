from .comparison import LatencySettings as LatencySettings
from .comparison import compare_latency as compare_latency
from .events import BlockTimed as BlockTimed
from .events import LatencyEvent as LatencyEvent
from .events import LatencyFinished as LatencyFinished
from .events import LatencyStarted as LatencyStarted
from .events import ModelLatency as ModelLatency
from .events import Percentiles as Percentiles
