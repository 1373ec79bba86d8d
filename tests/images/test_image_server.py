"""The server of an image: ASGI with WebSockets beside whatever a lock pins, and never another version."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from imagekit import World, copy_of_project, docker, eventually

pytestmark = pytest.mark.long

# Not called asgi, and nothing of the server in its requirements.
ECHO = """\
import os
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
from django.core.asgi import get_asgi_application
django_app = get_asgi_application()
async def application(scope, receive, send):
    if scope["type"] != "websocket":
        return await django_app(scope, receive, send)
    while True:
        event = await receive()
        if event["type"] == "websocket.connect":
            await send({"type": "websocket.accept"})
        elif event["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": event["text"]})
        else:
            return
"""
CLIENT = """\
import base64, os, socket, sys
connection = socket.create_connection((sys.argv[1], int(sys.argv[2])), 5)
connection.settimeout(float(sys.argv[3]) + 10)
key = base64.b64encode(os.urandom(16)).decode()
connection.sendall(("GET /ws HTTP/1.1\\r\\nHost: localhost\\r\\n"
                    "Upgrade: websocket\\r\\nConnection: Upgrade\\r\\n"
                    f"Sec-WebSocket-Key: {key}\\r\\nSec-WebSocket-Version: 13\\r\\n\\r\\n").encode())
stream = connection.makefile("rb")
print(stream.readline().split()[1].decode())
while stream.readline().strip(): pass
def frame(opcode, payload):
    mask = os.urandom(4)
    masked = bytes(b ^ mask[i % 4] for i, b in enumerate(payload))
    return bytes([0x80 | opcode, 0x80 | len(payload)]) + mask + masked
def receive():
    first, length = stream.read(2)
    return first & 15, stream.read(length & 127)
import time
end, pings = time.monotonic() + float(sys.argv[3]), 0
while time.monotonic() < end:  # idle, but for the answers to the server's pings
    opcode, payload = receive()
    if opcode == 9: pings += 1; connection.sendall(frame(10, payload))
    else: print("opcode", opcode); break
connection.sendall(frame(1, b"hello"))
print(receive()[1].decode(), pings)
"""
VERSIONS = """\
from importlib.metadata import version
for name in ("gunicorn", "uvicorn", "websockets"): print(name, version(name))
"""


def built(world: World, folder: Path, requirements: str) -> str:
    project = copy_of_project("plain", folder / "plain")
    (project / "config" / "routing.py").write_text(ECHO)
    (project / "requirements.txt").write_text(requirements)
    return world.image("web", project, SERVER_TARGET="config.routing:application")


def started(world: World, image: str, folder: Path, *options: str) -> str:
    (folder / "client.py").write_text(CLIENT)
    mount = ("--volume", f"{folder / 'client.py'}:/client.py:ro")
    container = world.start(image, "--read-only", "--tmpfs", "/tmp", "--cpus", "1", *mount, *options)

    def answered() -> bool:
        try:
            return "200" in docker("exec", container, "python", "/opt/slipway/probe.py")
        except AssertionError:
            return False

    eventually("the probe is answered", answered)
    return container


def test_websockets_beside_an_old_gunicorn(world: World, tmp_path: Path) -> None:
    """Red when the module's name alone decides, without fix_old_gunicorn, or without the target in CMD."""
    # The oldest that runs on this Python: without the setting wsgi_app, and no worker of today goes with it.
    image = built(world, tmp_path, "django<6\ngunicorn==20.0.4\n")
    container = started(world, image, tmp_path)
    assert docker("exec", container, "python", "/client.py", "127.0.0.1", "8000", "0").split() == [
        "101",
        "hello",
        "0",
    ]
    versions = world.run(image, "python", "-c", VERSIONS)
    assert "gunicorn 20.0.4" in versions.splitlines()
    docker("stop", "--time", "30", container)
    assert docker("inspect", "--format", "{{.State.ExitCode}}", container) == "0"


def test_a_gunicorn_that_cannot_run_here_is_named(world: World, tmp_path: Path) -> None:
    """Red when install-server does not try it: the container would restart without end."""
    project = copy_of_project("plain", tmp_path / "plain")
    (project / "requirements.txt").write_text("django<6\ngunicorn==19.9.0\n")
    output = world.failure("web", project)
    assert re.search(r"SLIP-136: gunicorn, .* fix: set PYTHON_VERSION", output)
