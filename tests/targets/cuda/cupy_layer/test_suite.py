"""What the cuda target promises, through CupyDevice and streams that do their work late."""

from cuda_suite.draws import *  # noqa: F403
from cuda_suite.layers import *  # noqa: F403
from cuda_suite.loops import *  # noqa: F403
from cuda_suite.memory import *  # noqa: F403
from cuda_suite.networks import *  # noqa: F403
from cuda_suite.scatters import *  # noqa: F403
from cuda_suite.streams import *  # noqa: F403
