"""python -m clipon_convert SOURCE OUT.gguf"""

import sys

from clipon_convert.cli import main

if __name__ == "__main__":
    sys.exit(main())
