"""An ACME CA of the test's own: Debian's pebble, in a container beside the stack."""

from __future__ import annotations
