"""``python -m tinygraph`` is the ``tinygraph`` command."""

import sys

from tinygraph.cli import main

if __name__ == "__main__":
    sys.exit(main())
