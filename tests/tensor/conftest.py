"""Make this folder's helpers importable whatever directory the tests are started from."""

import sys
from pathlib import Path

folder = str(Path(__file__).parent)
if folder not in sys.path:
    sys.path.insert(0, folder)
