import socket
import threading
from unittest import mock

from django.db import connections
from django.test import SimpleTestCase, TestCase, override_settings

from config import health

DEAD = {
    "ENGINE": "django.db.backends.postgresql",
    "HOST": "127.0.0.1",
    "NAME": "app",
    "USER": "app",
    "PASSWORD": "pw",
    "OPTIONS": {"pool": {"min_size": 1}},
}


def database(**settings):
    """Let connections made from now on use these settings."""
    return mock.patch.dict(connections.settings["default"], settings)


def refusing_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class HealthTests(TestCase):
    def test_both_answer_200_when_all_is_well(self):
        """Red when the query fails or an address goes."""
        for address in ("/healthz/live", "/healthz/ready"):
            with self.subTest(address):
                response = self.client.get(address)
                self.assertEqual(response.status_code, 200)
                self.assertEqual(response.json(), {"status": "ok"})
                self.assertIn("no-store", response["Cache-Control"])


class LiveTests(SimpleTestCase):
    """SimpleTestCase forbids every connection to a database."""

    def test_live_needs_neither_database_nor_session(self):
        """Red when the view reads request.user or request.session's content."""
        self.client.cookies["sessionid"] = "x" * 32
        response = self.client.get("/healthz/live")
        self.assertEqual(response.status_code, 200)
        self.assertFalse(response.cookies)

    @override_settings(SECURE_SSL_REDIRECT=True)
    def test_probes_are_not_redirected_to_https(self):
        """Red when SECURE_REDIRECT_EXEMPT goes."""
        self.assertEqual(self.client.get("/healthz/live").status_code, 200)
        self.assertEqual(self.client.get("/api/entries").status_code, 301)

    def test_only_safe_methods(self):
        """Red when require_safe goes."""
        self.assertEqual(self.client.post("/healthz/live").status_code, 405)


class DeadDatabaseTests(SimpleTestCase):
    databases = {"default"}

    def test_ready_names_the_database_that_refuses(self):
        """Red when the error is swallowed."""
        with database(**DEAD, PORT=refusing_port()), self.assertLogs("guestbook.health", "WARNING") as log:
            response = self.client.get("/healthz/ready")
        self.assertEqual(response.status_code, 503)
        self.assertEqual(response.json(), {"status": "error", "failed": ["database"]})
        self.assertIn("not ready: database: connection failed", log.output[0])

    def test_ready_does_not_wait_for_a_database_that_is_silent(self):
        """Red when the deadline goes: the check then ends well, after 20 seconds."""
        released = threading.Event()
        self.addCleanup(released.set)
        silent = mock.patch.object(health, "_ask_database", lambda: released.wait(20))
        with silent, mock.patch.object(health, "DEADLINE", 0.05), self.assertLogs("guestbook.health") as log:
            response = self.client.get("/healthz/ready")
        self.assertEqual(response.status_code, 503)
        self.assertIn("no answer within 0.05 s", log.output[0])
