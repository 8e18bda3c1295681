"""`python -m jaxlog` is the command `jaxlog`."""

import sys

from jaxlog._cli.main import main

sys.exit(main())
