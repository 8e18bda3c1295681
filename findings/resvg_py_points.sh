#!/usr/bin/env bash
# resvg_py refuses SVGs whose size is in points, as matplotlib writes them, unless dpi= is passed.
#
# Its dpi is 0 by default, so that each length in pt, mm or in becomes 0. The resvg that it wraps takes 96 by default, for
# which an inch of 72 pt has 96 pixels.
#
# Seen with resvg-py 0.5.0 and 0.3.0.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cat > "$folder/program.py" <<'PYTHON'
import struct
from importlib.metadata import version

from resvg_py import svg_to_bytes

print("resvg-py", version("resvg-py"))
svg = '<svg xmlns="http://www.w3.org/2000/svg" width="72pt" height="36pt"><rect width="9" height="9"/></svg>'
print("expected: 96 x 48 pixels")


def size(**options):
    data = bytes(svg_to_bytes(svg_string=svg, **options))
    return struct.unpack(">II", data[16:24])  # of the PNG's header


print("with dpi=96:", size(dpi=96))
assert size(dpi=96) == (96, 48)
try:
    found = size()
except ValueError as error:
    print("by default: ValueError:", error)
    assert "invalid size" in str(error)
else:
    raise SystemExit(f"by default: {found}")
PYTHON
for release in 0.3.0 0.5.0; do
  python3 -m venv --clear "$folder/venv"
  "$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile "resvg-py==$release"
  "$folder/venv/bin/python" "$folder/program.py"
done
