"""Closes the production site for maintenance and opens it again, without losing a request."""

from __future__ import annotations

import json

from slipway.core import values
from slipway.core.errors import SlipwayError
from slipway.engine import engine
from slipway.orchestrators.session import Session

__all__ = ["MESSAGE", "close", "is_closed", "maintenance", "reopen"]

MESSAGE = "The site is being worked on and will be back soon."
_RETRY_AFTER = 300  # seconds
_LONGEST = 7 * 24 * 3600  # seconds; search engines drop pages that are 503 for longer


def maintenance(session: Session, word: str, *, retry_after: str, message: str, as_json: bool) -> None:
    """Do what ``word`` says (``on``, ``off`` or ``status``) and print the resulting status.

    ``retry_after`` is in seconds, as typed; ``message`` is plain text, empty for ``MESSAGE``. Only ``on``
    uses them. Works the same whether nginx runs or not.
    Raises ``SlipwayError`` SLIP-073 (another word), SLIP-074 (no production stack), SLIP-075 (a bad
    ``retry_after`` or ``message``), SLIP-076 (nothing built).
    """
    arguments = _arguments(word, retry_after, message)
    stack, runner = session.stack, session.runner
    if not stack.prod:
        raise SlipwayError(
            "SLIP-074",
            "only the production stack has an nginx that could close the site",
            f"add --prod: invoke maintenance {word} --prod",
        )
    if runner.dry:
        runner.run(stack.maintenance(arguments, running=True))
        return
    running = engine.running(stack.project, "nginx")
    if not running and not engine.image_sizes(stack.images()[1:]):
        raise SlipwayError(
            "SLIP-076",
            f"{stack.project} has no nginx yet, not even its image",
            "run invoke build --prod or invoke up --prod, then rerun the command",
        )
    if word != "status":
        runner.run(stack.maintenance(arguments, running=running))
    answer = runner.capture(stack.maintenance(["status"], running=running), check=True)
    _print_status(answer.stdout, running=running, as_json=as_json)


def is_closed(session: Session) -> bool:
    """Whether the site is closed; nginx must be running."""
    argv = session.stack.maintenance(["status"], running=True)
    return session.runner.capture(argv, check=True).stdout.startswith("on")


def close(session: Session) -> None:
    """Close the site with the default message and Retry-After; nginx must be running."""
    session.runner.run(session.stack.maintenance(["on", str(_RETRY_AFTER), MESSAGE], running=True))


def reopen(session: Session) -> None:
    """Open the site; nginx must be running."""
    session.runner.run(session.stack.maintenance(["off"], running=True))


def _arguments(word: str, retry_after: str, message: str) -> list[str]:
    if word not in {"on", "off", "status"}:
        raise SlipwayError(
            "SLIP-073",
            f"maintenance cannot be {word!r}",
            "one of: invoke maintenance on --prod, off --prod, status --prod",
        )
    if word != "on":
        return [word]
    option = "--retry-after"
    try:
        seconds = values.integer(1, _LONGEST)(retry_after)
        option = "--message"
        return [word, str(seconds), values.text(message or MESSAGE)]
    except ValueError as wrong:
        raise SlipwayError(
            "SLIP-075",
            f"{option} is {wrong}: {retry_after if option == '--retry-after' else message!r}",
            "for example: --retry-after 600 --message 'Back at 14:00.'",
        ) from None


def _print_status(answer: str, *, running: bool, as_json: bool) -> None:
    """Print the answer of ``docker/nginx/maintenance status``: ``off`` or ``on SINCE SECONDS``."""
    state, since, seconds = [*answer.split(), None, None][:3]
    if as_json:
        retry_after = int(seconds) if seconds else None
        print(json.dumps({"maintenance": state, "since": since, "retry_after": retry_after}))
        return
    text = f"maintenance is on since {since}, Retry-After: {seconds} s" if since else "maintenance is off"
    print(text if running else f"{text}; nginx does not run and will start with this setting")
