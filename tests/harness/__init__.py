# SPDX-License-Identifier: MIT
"""What the tests share."""

import pathlib

#: The top directory of the source tree.
ROOT = pathlib.Path(__file__).resolve().parents[2]
