from django.test import SimpleTestCase

from config.tests.test_health import refusing_port
from config.tests.test_settings import KEY, POSTGRES, python


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
