"""`python -m hashrec` is `hashrec`."""

import sys

from hashrec.cli.main import main

sys.exit(main())
