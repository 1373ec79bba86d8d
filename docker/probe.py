"""Health probe: one GET to the server in this container; exit code 0 healthy, 1 not, reason on stdout.

    probe.py [--end-if-silent] [PATH]

With --end-if-silent a hung server is ended, and the restart policy starts it again: one that for a minute
has answered neither PATH nor HEALTH_LIVE_PATH. Any answer will do, errors too: an unhealthy server, with its
database down for example, is not restarted. Nor is one without a free thread, as long as its workers watch
their threads (gunicorn.conf.py). See end-if-silent next to this file.

Read from the environment:
    HEALTH_PATH             the path to request (default /healthz/live); an argument wins
    HEALTH_LIVE_PATH        also requested before a server counts as hung (default /healthz/live)
    HEALTH_HOST             the Host header, one that ALLOWED_HOSTS admits (default localhost); of
                            several names the first is sent, without the wildcard in front of it
    HEALTH_CODES            status codes that count as healthy, and ranges of them (default 200-399)
    HEALTH_FORWARDED_PROTO  "https" where the project redirects plain HTTP (default: header not sent)
    HEALTH_TIMEOUT          seconds for a whole exchange, of which there may be two (default 4)

Sockets instead of an HTTP library: the imports of one cost more than the probe itself, every few
seconds in every replica.
"""

import os
import socket
import sys
import time

ADDRESS = ("127.0.0.1", 8000)
LIVE_PATH = "/healthz/live"
CODES = "200-399"
END_IF_SILENT = "/opt/slipway/end-if-silent"
# Touched every few seconds by each worker whose threads all have a request.
BUSY = "/dev/shm/slipway-busy"  # noqa: S108
BUSY_SECONDS = 30


class Unhealthy(Exception):  # noqa: N818 - a state, not an accident
    """Why the server does not count as healthy."""


class Silent(Unhealthy):
    """It accepted the connection and did not answer in time."""


def exchange(request, address, timeout):
    """Send ``request`` (bytes) to ``address`` and return the head of the answer as text.

    ``timeout`` is in seconds and covers everything. Raises Unhealthy when there is no HTTP answer, Silent
    when nothing came in time.
    """
    deadline = time.monotonic() + timeout
    received = b""
    try:
        with socket.create_connection(address, timeout) as connection:
            connection.sendall(request)
            while b"\r\n\r\n" not in received:
                connection.settimeout(max(deadline - time.monotonic(), 0.001))
                chunk = connection.recv(4096)
                if not chunk:
                    break
                received += chunk
    except TimeoutError:
        raise Silent(f"no answer within {timeout:g} s") from None
    except OSError as error:
        raise Unhealthy(f"{address[0]}:{address[1]}: {error.strerror or error}") from None
    if not received.startswith(b"HTTP/"):
        raise Unhealthy("the answer is not HTTP")
    return received.split(b"\r\n\r\n")[0].decode("latin-1")


def admits(codes, code):
    """Return whether ``code`` is among ``codes``: "200-399 404"."""
    for word in codes.split():
        first, _, last = word.partition("-")
        if int(first) <= code <= int(last or first):
            return True
    return False


def hint(code, host):
    """Return the usual cause of an unhealthy status code, and the variable that fixes it.

    ``host`` is the Host that was sent.
    """
    if code == 400:
        return f": does ALLOWED_HOSTS admit {host!r}? It is HEALTH_HOST, or else the first of SERVER_NAMES"
    if code in (401, 403, 404):
        return f"; HEALTH_READY_PATH names another path, HEALTH_CODES='{CODES} {code}' accepts it"
    return ""


def judge(head, environment, path=LIVE_PATH):
    """Return the status line of a healthy answer; raise Unhealthy with the reason otherwise.

    2xx and 3xx are healthy unless HEALTH_CODES names others, except the redirect of ``path`` to HTTPS: it
    comes from a middleware in front of the view and would hide a failing one, unless its very code is named.
    """
    status, *headers = head.split("\r\n")
    parts = status.split(" ")
    code = int(parts[1]) if len(parts) > 1 and parts[1].isdigit() else 0
    codes = environment.get("HEALTH_CODES") or CODES
    location = next((h.split(":", 1)[1].strip() for h in headers if h.lower().startswith("location:")), "")
    if code in (301, 302, 307, 308) and location.startswith("https://") and str(code) not in codes.split():
        if environment.get("HEALTH_FORWARDED_PROTO") != "https":
            raise Unhealthy(f"{status}: redirected to {location}; set HEALTH_FORWARDED_PROTO=https")
        if location.endswith(path):
            raise Unhealthy(
                f"{status}: redirected to {location}; does SECURE_PROXY_SSL_HEADER name X-Forwarded-Proto?"
            )
    if not admits(codes, code):
        raise Unhealthy(status + hint(code, host_header(environment.get("HEALTH_HOST", ""))))
    return status


def host_header(names):
    """Return the first of ``names`` (space-separated, nginx's or Django's spelling) as a plain host."""
    first = (names.split() or ["localhost"])[0]
    return first.removeprefix("*").removeprefix(".") or "localhost"


def compose_request(path, environment):
    """Return the bytes of a GET of ``path`` with the headers that ``environment`` sets."""
    lines = [
        f"GET {path} HTTP/1.1",
        f"Host: {host_header(environment.get('HEALTH_HOST', ''))}",
        "User-Agent: slipway-probe",
        "Connection: close",
    ]
    if environment.get("HEALTH_FORWARDED_PROTO"):
        lines.append(f"X-Forwarded-Proto: {environment['HEALTH_FORWARDED_PROTO']}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def answers(path, environment, address, timeout):
    """Return whether the server answers ``path`` at all, or is not listening (yet, or any more)."""
    try:
        exchange(compose_request(path, environment), address, timeout)
    except Silent:
        return False
    except Unhealthy:
        pass
    return True


def is_busy(path):
    """Return whether a worker has reported, by touching ``path``, that all of its threads have a request."""
    try:
        return abs(time.time() - os.stat(path).st_mtime) < BUSY_SECONDS  # noqa: PTH116 - no pathlib in a probe
    except FileNotFoundError:
        return False


def main(arguments, environment, address=ADDRESS, end_if_silent=END_IF_SILENT, busy=BUSY):
    """Probe once, print one line, return the exit code."""
    ends = "--end-if-silent" in arguments
    paths = [argument for argument in arguments if not argument.startswith("--")]
    path = paths[0] if paths else environment.get("HEALTH_PATH") or LIVE_PATH
    timeout = float(environment.get("HEALTH_TIMEOUT") or 4)
    code, silent = 0, False
    try:
        said = judge(exchange(compose_request(path, environment), address, timeout), environment, path)
    except Unhealthy as reason:
        code, said = 1, reason
        live = environment.get("HEALTH_LIVE_PATH") or LIVE_PATH
        silent = ends and isinstance(reason, Silent) and not answers(live, environment, address, timeout)
        if silent and is_busy(busy):
            silent, said = False, f"{reason}: every thread has a request (WEB_THREADS, WEB_REPLICAS)"
    print(f"{path}: {said}", flush=True)
    if ends:
        word = "silent" if silent else "answered"
        os.spawnl(os.P_WAIT, end_if_silent, end_if_silent, word)  # noqa: S606 - no shell in between
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
