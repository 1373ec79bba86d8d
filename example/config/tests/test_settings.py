"""The settings module as other environments would import it, each in a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from django.conf import settings
from django.test import SimpleTestCase

KEY = "k3y-" * 20
POSTGRES = {
    "POSTGRES_HOST": "db",
    "POSTGRES_DB": "app",
    "POSTGRES_USER": "app",
    "POSTGRES_PASSWORD": "pw",
}


def python(code: str, folder=settings.BASE_DIR, **environment) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(folder), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def setting(name: str, **environment):
    code = f"import json, config.settings as s; print(json.dumps(s.{name}, default=str))"
    result = python(code, **{"SECRET_KEY": KEY, **environment})
    if result.returncode:
        raise AssertionError(result.stderr)
    return json.loads(result.stdout)


class EnvironmentTests(SimpleTestCase):
    def test_an_environment_that_says_nothing_gets_production(self):
        """Red when DEBUG defaults to on or a manifest is not used."""
        self.assertIs(setting("DEBUG"), False)
        self.assertEqual(setting("ALLOWED_HOSTS"), [])
        self.assertIn("Manifest", setting("STORAGES")["staticfiles"]["BACKEND"])
        self.assertNotIn("Manifest", setting("STORAGES", DEBUG="1")["staticfiles"]["BACKEND"])

    def test_the_key_is_required_and_named(self):
        """Red when the key gets a default."""
        with TemporaryDirectory() as folder:
            copy_settings(folder)
            result = python("import config.settings", folder)
        self.assertNotEqual(result.returncode, 0)
        self.assertIn("SECRET_KEY is not set", result.stderr)

    def test_dotenv_is_read_only_by_an_environment_without_a_key(self):
        """Red when load_dotenv is called always: DEBUG would leak into a container."""
        show = "import config.settings as s; print(s.DEBUG, s.SECRET_KEY)"
        with TemporaryDirectory() as folder:
            copy_settings(folder)
            Path(folder, ".env").write_text("DEBUG=1\nSECRET_KEY=from-dotenv\n")
            self.assertEqual(python(show, folder).stdout, "True from-dotenv\n")
            self.assertEqual(python(show, folder, SECRET_KEY=KEY).stdout, f"False {KEY}\n")

    def test_database_follows_postgres_host(self):
        """Red when the choice of the engine or the pool's options change."""
        self.assertTrue(setting("DATABASES")["default"]["ENGINE"].endswith("sqlite3"))
        database = setting("DATABASES", **POSTGRES, DB_POOL_MIN="2", DB_POOL_MAX="8")["default"]
        self.assertTrue(database["ENGINE"].endswith("postgresql"))
        self.assertEqual((database["HOST"], database["PORT"]), ("db", 5432))
        self.assertEqual(database["OPTIONS"]["pool"]["min_size"], 2)
        self.assertEqual(database["OPTIONS"]["pool"]["max_size"], 8)
        self.assertNotIn("pool", setting("DATABASES", **POSTGRES, DB_POOL_MAX="0")["default"]["OPTIONS"])

    def test_pool_of_impossible_size_is_refused(self):
        """Red when it is left to the pool, which complains at the first request only."""
        with self.assertRaisesRegex(AssertionError, r"DB_POOL_MIN \(5\) is larger than DB_POOL_MAX \(4\)"):
            setting("DATABASES", **POSTGRES, DB_POOL_MIN="5")

    def test_pool_follows_the_servers_threads(self):
        """Red when the pool has a size of its own: replicas are checked with the threads."""

        def size(**environment):
            return setting("DATABASES", **POSTGRES, **environment)["default"]["OPTIONS"]["pool"]["max_size"]

        self.assertEqual(size(), 4)
        self.assertEqual(size(WEB_THREADS="7"), 7)
        self.assertEqual(size(WEB_THREADS="7", DB_CONNECTIONS_PER_WORKER="4"), 3)
        self.assertEqual(size(WEB_THREADS="7", DB_CONNECTIONS_PER_WORKER=""), 7)
        self.assertEqual(size(WEB_THREADS="7", DB_POOL_MAX="2"), 2)

    def test_more_connections_than_replicas_were_checked_with_are_refused(self):
        """Red when the pool may exceed the number, or a process without WEB_THREADS is refused."""
        for more, named in (
            ({"DB_POOL_MAX": "5"}, "DB_CONNECTIONS_PER_WORKER=6"),
            ({"DB_POOL_MAX": "0", "DB_CONNECTIONS_PER_WORKER": "4"}, "DB_CONNECTIONS_PER_WORKER=5"),
            ({"DB_CONNECTIONS_PER_WORKER": "1"}, "DB_CONNECTIONS_PER_WORKER=5"),
        ):
            with self.assertRaisesRegex(AssertionError, named):
                setting("DATABASES", **POSTGRES, WEB_THREADS="4", **more)
        setting("DATABASES", **POSTGRES, WEB_THREADS="4", DB_POOL_MAX="0")
        setting("DATABASES", **POSTGRES, DB_POOL_MAX="5")

    def test_https_switch(self):
        """Red when one of the four does not follow HTTPS."""
        names = ("SECURE_SSL_REDIRECT", "SESSION_COOKIE_SECURE", "CSRF_COOKIE_SECURE")
        for name in names:
            self.assertEqual((setting(name), setting(name, HTTPS="1")), (False, True), name)
        self.assertEqual(setting("SECURE_HSTS_SECONDS", HSTS_SECONDS="60"), 0)
        self.assertEqual(setting("SECURE_HSTS_SECONDS", HTTPS="1", HSTS_SECONDS="60"), 60)

    def test_deployment_checks_are_clean(self):
        """Red when any of the security settings goes."""
        manage = "import sys; sys.argv = ['manage.py', 'check', '--deploy', '--fail-level', 'WARNING']\n"
        manage += "exec(open('manage.py').read())"
        production = {"SECRET_KEY": KEY + "0123456789abcdef", "HTTPS": "1", "ALLOWED_HOSTS": "localhost"}
        result = python(manage, **production)
        self.assertEqual(result.returncode, 0, result.stderr)


def copy_settings(folder: str) -> None:
    config = Path(folder, "config")
    config.mkdir()
    for name in ("__init__.py", "settings.py", "env.py"):
        (config / name).write_bytes((settings.BASE_DIR / "config" / name).read_bytes())
