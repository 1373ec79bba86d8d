"""The test runner: tests leave no file behind and need no collected static files."""

import logging
import tempfile

from django.conf import settings
from django.test.runner import DiscoverRunner
from django.test.utils import override_settings


class Runner(DiscoverRunner):
    """Django's own runner with storages that suit tests, whatever the environment says."""

    def setup_test_environment(self, **kwargs):
        super().setup_test_environment(**kwargs)
        self._media = tempfile.TemporaryDirectory(prefix="test-media-")
        self._settings = override_settings(
            MEDIA_ROOT=self._media.name,
            PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
            SECURE_SSL_REDIRECT=False,
            STORAGES={
                "default": settings.STORAGES["default"],
                "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
            },
        )
        self._settings.enable()
        # Many tests send requests that are refused; assertLogs still sees the records.
        logging.getLogger().handlers[0].setLevel(logging.CRITICAL)

    def teardown_test_environment(self, **kwargs):
        self._settings.disable()
        self._media.cleanup()
        super().teardown_test_environment(**kwargs)
