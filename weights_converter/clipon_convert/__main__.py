"""python -m clipon_convert SOURCE OUT.gguf"""

import sys

try:
    from clipon_convert.cli import main
except ModuleNotFoundError as error:
    sys.exit(
        f"clipon_convert: expected the package {error.name}, found none: "
        "pip install numpy safetensors gguf tqdm google-crc32c"
    )

if __name__ == "__main__":
    sys.exit(main())
