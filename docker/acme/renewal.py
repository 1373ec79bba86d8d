"""The service ``acme``: gets the site's certificate from an ACME CA, renews it, publishes it for nginx.

    renewal.py serve     for ever: twice a day, and sooner after a failure
    renewal.py attempt   once, now; certbot decides whether anything is due
    renewal.py renew     once, now, whether due or not
    renewal.py status    print the result of the last attempt, as JSON
    renewal.py health    exit code 1 and the reason when the last attempt failed

certbot sends the requests (HTTP-01, by files that nginx serves). A failure keeps the current certificate.
"""

from __future__ import annotations

import fcntl
import json
import os
import random
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID

STATE = Path("/srv/certbot")
WEBROOT = "/srv/challenge"
NAME = "site"
USUAL_PAUSE = timedelta(hours=12)
# Let's Encrypt refuses after five failed validations per name and hour.
FIRST_PAUSE_AFTER_FAILURE = timedelta(minutes=15)
# certbot prints these around every failure; they are useless outside of this container.
NOISE = (
    "Saving debug log",
    "Ask for help",
    "- - -",
    "Some challenges have failed.",
    "Hint: The Certificate Authority",
)


def main(verb: str) -> int:
    """Run one of the verbs above; returns the exit code."""
    if verb == "serve":
        serve()
    if verb == "status":
        print(json.dumps(status()))
        return 0
    if verb == "health":
        problem = status().get("problem", "no attempt yet")
        print(problem or "the last attempt succeeded")
        return 1 if problem else 0
    if verb not in {"attempt", "renew"}:
        print(__doc__, file=sys.stderr)
        return 2
    problem = attempt(force=verb == "renew")
    print(problem or "the certificate is in order")
    return 1 if problem else 0


def serve() -> None:
    """Repeat attempts until the container is stopped."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    while True:
        problem = attempt()
        say(problem or "the certificate is in order")
        time.sleep(pause().total_seconds())


def pause() -> timedelta:
    """Return the time until the next attempt, slightly random, so that clients do not all come at once."""
    failures = status().get("failures", 0)
    usual = (
        min(USUAL_PAUSE, FIRST_PAUSE_AFTER_FAILURE * 2 ** min(failures - 1, 10)) if failures else USUAL_PAUSE
    )
    return usual * random.uniform(0.9, 1.1)  # noqa: S311


def attempt(*, force: bool = False) -> str:
    """Get or renew the certificate if that is due, and publish it; returns the problem, or an empty text.

    A call during another attempt returns the result of that one: the CA counts attempts. Not with
    ``force``: the other one may have found that nothing is due.
    """
    begun = now()
    with (STATE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        before = status()
        if not force and before.get("attempted", "") > begun:
            return str(before["problem"])
        problem = ask(force=force) or publish()
        failures = before.get("failures", 0) + 1 if problem else 0
        succeeded = before.get("succeeded") if problem else now()
        record({"attempted": now(), "succeeded": succeeded, "failures": failures, "problem": problem})
        return problem


def ask(*, force: bool) -> str:
    """Let certbot get a certificate if one is due; returns the last lines of its failure, or nothing."""
    email = os.environ.get("ACME_EMAIL", "")
    argv = [f"{sys.prefix}/bin/certbot", "certonly", "--non-interactive", "--agree-tos"]
    argv += ["--email", email, "--no-eff-email"] if email else ["--register-unsafely-without-email"]
    argv += ["--server", os.environ["ACME_DIRECTORY"], "--webroot", "--webroot-path", WEBROOT]
    argv += ["--cert-name", NAME, "--key-type", "ecdsa", "--renew-with-new-domains"]
    argv += ["--force-renewal"] if force else ["--keep-until-expiring"]
    for name in os.environ["SERVER_NAMES"].split():
        argv += ["--domain", name]
    for option, folder in (("config", STATE / "config"), ("work", "/tmp/work"), ("logs", "/tmp/logs")):  # noqa: S108
        argv += [f"--{option}-dir", str(folder)]
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    lines = [line.strip() for line in done.stdout.splitlines() if line.strip() and not line.startswith(NOISE)]
    for line in lines:
        say(line)
    return "; ".join(lines[-6:]) or f"certbot ended with {done.returncode}" if done.returncode else ""


def publish() -> str:
    """Publish certbot's certificate for nginx, if it differs from the published one; returns the problem."""
    live = STATE / "config" / "live" / NAME
    chain = (live / "fullchain.pem").read_bytes()
    argv = ["/usr/local/bin/publish-certificate", *(["--staple"] if has_ocsp(chain) else [])]
    bundle = (live / "privkey.pem").read_bytes() + chain
    done = subprocess.run(argv, input=bundle, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    said = done.stdout.decode(errors="replace").strip()
    if said:
        say(said)
    return f"the certificate could not be published: {said}" if done.returncode else ""


def has_ocsp(pem: bytes) -> bool:
    """Return whether the certificate names an OCSP server, which reports revocations."""
    try:
        extensions = x509.load_pem_x509_certificates(pem)[0].extensions
        access = extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    except x509.ExtensionNotFound:
        return False
    return any(entry.access_method == AuthorityInformationAccessOID.OCSP for entry in access)


def status() -> dict:
    """Return the facts that ``record`` wrote; none before the first attempt."""
    try:
        return json.loads((STATE / "status.json").read_text())
    except FileNotFoundError:
        return {}


def record(facts: dict) -> None:
    """Write the facts of an attempt to a file that survives restarts."""
    draft = STATE / "status.json.new"
    draft.write_text(json.dumps(facts))
    draft.replace(STATE / "status.json")


def now() -> str:
    """Return the time in UTC, as text that sorts."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def say(text: str) -> None:
    """Print a line for `invoke logs`, on stderr because another program may read stdout."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) == 2 else ""))
