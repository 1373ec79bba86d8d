"""The compose file that publishes nginx on more than one address."""

from __future__ import annotations

from slipway.orchestrators.compose import Stack

__all__ = ["in_url", "overlay"]


def overlay(stack: Stack) -> str:
    """Return the compose file that publishes nginx on each of several addresses of HTTP_ADDRESS.

    ``compose/prod.yaml`` and ``compose/tls.yaml`` only support one address.
    """
    ports = ["${HTTP_PORT:-8080}:8080"]
    ports += ["${HTTPS_PORT:-8443}:8443"] if stack.settings.tls != "off" else []
    lines = ["# Written by Slipway from HTTP_ADDRESS.", "services:", "  nginx:", "    ports: !override"]
    for address in stack.settings.http_addresses:
        lines += [f'      - "{in_url(address)}:{port}"' for port in ports]
    return "\n".join(lines) + "\n"


def in_url(address: str) -> str:
    """Return ``address`` in the form for URLs and port mappings: IPv6 in brackets."""
    return f"[{address}]" if ":" in address else address
