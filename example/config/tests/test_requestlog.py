import json
import logging
import sys
from io import StringIO

from django.conf import settings
from django.db.models.signals import post_save
from django.test import AsyncClient, SimpleTestCase, TestCase
from django.urls import path

from config import logs
from config.requestlog import request_log
from config.tests.test_health import DEAD, database, refusing_port
from config.urls import urlpatterns as site
from guestbook.models import Entry

LOGGER = "guestbook.request"


def broken(request):
    raise RuntimeError("on purpose")


urlpatterns = [*site, path("broken", broken)]


class RequestLogTests(TestCase):
    def get(self, address="/", **headers):
        with self.assertLogs(LOGGER, "INFO") as log:
            response = self.client.get(address, headers=headers)
        self.assertEqual(len(log.records), 1)
        return response, log.records[0]

    def test_the_proxys_id_is_kept_and_returned(self):
        """Red when the middleware always makes its own."""
        response, _ = self.get(**{"X-Request-ID": "abc-123"})
        self.assertEqual(response["X-Request-ID"], "abc-123")

    def test_an_id_that_is_missing_or_unfit_is_replaced(self):
        """Red when any text is taken over: it ends up in headers and logs."""
        seen = set()
        for headers in ({}, {"X-Request-ID": "a b"}, {"X-Request-ID": "x" * 129}, {"X-Request-ID": ""}):
            response, _ = self.get(**headers)
            self.assertRegex(response["X-Request-ID"], r"\A[0-9a-f]{32}\Z")
            seen.add(response["X-Request-ID"])
        self.assertEqual(len(seen), 4)

    def test_line_says_method_path_status_and_duration(self):
        """Red when one of the fields goes."""
        _, record = self.get("/nowhere?secret=1")
        self.assertEqual((record.method, record.path, record.status), ("GET", "/nowhere", 404))
        self.assertGreaterEqual(record.duration_ms, 0)
        self.assertEqual(record.getMessage(), "GET /nowhere 404")

    def test_line_breaks_in_a_path_stay_escaped(self):
        """Red when the decoded path is logged: a visitor could forge lines."""
        _, record = self.get("/a%0AINFO%20forged")
        self.assertEqual(record.path, "/a%0AINFO%20forged")

    def test_probes_are_not_logged(self):
        """Red when the middleware logs every path."""
        with self.assertNoLogs(LOGGER):
            self.client.get("/healthz/live")

    async def test_same_under_asgi(self):
        """Red when the decorator goes, or the answer is not awaited."""
        self.assertTrue(request_log.async_capable and request_log.sync_capable)
        with self.assertLogs(LOGGER, "INFO") as log:
            response = await AsyncClient().get("/api/entries", headers={"X-Request-ID": "from-asgi"})
        self.assertEqual(response.status_code, 200)
        self.assertEqual(response["X-Request-ID"], "from-asgi")
        self.assertEqual(log.records[0].status, 200)

    async def test_id_reaches_the_view_under_asgi(self):
        """Red when the id is kept in a thread local: the view runs in another thread."""
        seen = []

        def remember(**kwargs):
            seen.append(logs.request_id.get())

        post_save.connect(remember, sender=Entry)
        self.addCleanup(post_save.disconnect, remember, sender=Entry)
        await AsyncClient().post("/", {"text": "x"}, headers={"X-Request-ID": "in-the-view"})
        self.assertEqual(seen, ["in-the-view"])


class OutputTests(SimpleTestCase):
    """What is written to standard output, through the handler that the settings configure."""

    databases = {"default"}

    def setUp(self):
        handler = logging.getLogger().handlers[0]
        self.assertIs(handler.stream, sys.stdout)
        self.output = StringIO()
        self.addCleanup(handler.setStream, handler.setStream(self.output))
        for restore, value in ((handler.setLevel, handler.level), (handler.setFormatter, handler.formatter)):
            self.addCleanup(restore, value)
        handler.setLevel(logging.NOTSET)  # the test runner keeps it quiet otherwise
        handler.setFormatter(logs.JsonFormatter())

    def written(self):
        return [json.loads(line) for line in self.output.getvalue().splitlines()]

    def test_line_is_json_and_carries_the_request_id(self):
        """Red when RequestIdFilter or the formatter's extras go."""
        self.client.get("/nowhere", headers={"X-Request-ID": "abc"})
        (line,) = self.written()
        self.assertEqual(line["request_id"], "abc")
        self.assertEqual((line["level"], line["logger"]), ("INFO", LOGGER))
        self.assertEqual((line["method"], line["path"], line["status"]), ("GET", "/nowhere", 404))
        self.assertRegex(line["time"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00$")

    def test_failure_is_one_line_with_its_traceback_and_the_request_id(self):
        """Red when exc_info is left out, or django.request has handlers of its own."""
        self.client.raise_request_exception = False
        with self.settings(ROOT_URLCONF=__name__):
            response = self.client.get("/broken", headers={"X-Request-ID": "abc"})
        self.assertContains(response, "Something went wrong", status_code=500)
        error, request = self.written()
        self.assertEqual((error["logger"], error["request_id"]), ("django.request", "abc"))
        self.assertIn("RuntimeError: on purpose", error["exception"])
        self.assertEqual((request["status"], request["request_id"]), (500, "abc"))

    def test_failing_probe_writes_its_reason_and_nothing_else(self):
        """Red when ProbeFilter goes: django.request adds a line per probe."""
        with database(**DEAD, PORT=refusing_port()):
            self.client.get("/healthz/ready")
        (line,) = self.written()
        self.assertEqual(line["logger"], "guestbook.health")

    def test_settings_send_everything_to_standard_output(self):
        """Red when a second handler makes lines come twice."""
        self.assertEqual(list(settings.LOGGING["handlers"]), ["stdout"])
        self.assertEqual(len(logging.getLogger().handlers), 1)
        self.assertEqual(logging.getLogger("django").handlers, [])
