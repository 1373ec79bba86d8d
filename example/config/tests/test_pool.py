import socket
from unittest import mock, skipIf

import django
from django.test import SimpleTestCase

from config.pool import check
from config.tests.test_health import refusing_port
from config.tests.test_settings import KEY, POSTGRES, python, setting


class PoolTests(SimpleTestCase):
    def test_pool_is_closed_before_the_interpreter_ends(self):
        """Red when close_pools is not registered with atexit: the pool then complains that it could
        not stop its threads, after waiting 5 seconds for each.
        """
        use_the_pool = "import django; django.setup(); from django.db import connection as c; c.pool.open()"
        address = {"POSTGRES_HOST": "127.0.0.1", "POSTGRES_PORT": str(refusing_port())}
        environment = {**POSTGRES, **address, "DJANGO_SETTINGS_MODULE": "config.settings"}
        result = python(use_the_pool, SECRET_KEY=KEY, **environment)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertNotIn("couldn't stop thread", result.stdout + result.stderr)


class CheckTests(SimpleTestCase):
    def setUp(self):
        self.ours, self.servers = socket.socketpair()
        self.addCleanup(self.ours.close)
        self.addCleanup(self.servers.close)
        self.connection = mock.Mock(autocommit=True, fileno=self.ours.fileno)

    def test_a_connection_that_works_costs_no_question(self):
        """Red when the server is asked each time, as Django itself does."""
        check(self.connection)
        self.connection.execute.assert_not_called()

    def test_what_has_something_to_say_is_asked(self):
        """Red when a connection that the server has ended, with or without a word, is given to a request."""
        for end in (lambda: self.servers.send(b"E"), self.servers.close):
            end()
            self.connection.reset_mock()
            check(self.connection)
            self.connection.execute.assert_called_once()

    @skipIf(django.VERSION < (6, 1), "Django's own check cannot be replaced")
    def test_the_pool_has_it(self):
        """Red without `check` in the pool's options."""
        self.assertIn("check", setting("DATABASES", **POSTGRES)["default"]["OPTIONS"]["pool"])
