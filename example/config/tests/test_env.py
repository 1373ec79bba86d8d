import os
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import mock

from django.core.exceptions import ImproperlyConfigured
from django.test import SimpleTestCase

from config import env


def environment(**variables):
    return mock.patch.dict(os.environ, variables, clear=True)


class TextTests(SimpleTestCase):
    def setUp(self):
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.file = Path(folder.name, "secret")

    def test_value_default_and_empty(self):
        """Red when an empty variable counts as set."""
        with environment(NAME="a value "):
            self.assertEqual(env.text("NAME"), "a value ")
        with environment(NAME=""):
            self.assertEqual(env.text("NAME", "default"), "default")
            self.assertFalse(env.given("NAME"))

    def test_value_from_a_file_loses_one_line_end_and_nothing_else(self):
        """Red when strip() takes blanks that belong to the secret."""
        for content, value in ((" s3 cret \n", " s3 cret "), ("x\r\n", "x"), ("x\n\n", "x\n"), ("x", "x")):
            self.file.write_bytes(content.encode())
            with self.subTest(content), environment(NAME_FILE=str(self.file)):
                self.assertTrue(env.given("NAME"))
                self.assertEqual(env.text("NAME"), value)

    def test_both_are_refused(self):
        """Red when one of the two silently wins."""
        with (
            environment(NAME="a", NAME_FILE="/b"),
            self.assertRaisesMessage(ImproperlyConfigured, "NAME and NAME_FILE are both set"),
        ):
            env.text("NAME", "default")

    def test_missing_variable_is_named(self):
        """Red when None or an empty text is returned instead."""
        with environment(), self.assertRaisesMessage(ImproperlyConfigured, "NAME is not set"):
            env.text("NAME")

    def test_unreadable_and_empty_files_are_named(self):
        """Red when OSError comes through, or an empty password is accepted."""
        with (
            environment(NAME_FILE="/no/such/file"),
            self.assertRaisesMessage(ImproperlyConfigured, "NAME_FILE: cannot read /no/such/file"),
        ):
            env.text("NAME", "default")
        self.file.write_text("\n")
        with (
            environment(NAME_FILE=str(self.file)),
            self.assertRaisesMessage(ImproperlyConfigured, f"NAME_FILE: {self.file} is empty"),
        ):
            env.text("NAME", "default")


class KindTests(SimpleTestCase):
    def test_flag(self):
        """Red when any text counts as true: DEBUG=0 or DEBUG=False would switch it on."""
        for value, expected in (("1", True), ("True", True), ("on", True), ("0", False), ("False", False)):
            with self.subTest(value), environment(NAME=value):
                self.assertIs(env.flag("NAME"), expected)
        with environment():
            self.assertIs(env.flag("NAME"), False)
        with environment(NAME="maybe"), self.assertRaisesMessage(ImproperlyConfigured, "NAME must be 1"):
            env.flag("NAME")

    def test_number(self):
        """Red when the minimum or the kind is not checked."""
        with environment(NAME="12"):
            self.assertEqual(env.number("NAME", 1), 12)
        for value in ("0", "-1", "x", "1.5"):
            with (
                self.subTest(value),
                environment(NAME=value),
                self.assertRaisesMessage(ImproperlyConfigured, "NAME must be a whole number from 1"),
            ):
                env.number("NAME", 1, minimum=1)

    def test_words(self):
        """Red when blanks or empty items stay: '' in ALLOWED_HOSTS matches nothing, silently."""
        with environment(NAME="localhost, 127.0.0.1,,[::1] "):
            self.assertEqual(env.words("NAME"), ["localhost", "127.0.0.1", "[::1]"])
        with environment():
            self.assertEqual(env.words("NAME"), [])

    def test_choice(self):
        """Red when an unknown value comes through to logging, whose error names no variable."""
        with environment(NAME="info"):
            self.assertEqual(env.choice("NAME", "ERROR", ("INFO", "ERROR")), "INFO")
        with (
            environment(NAME="loud"),
            self.assertRaisesMessage(ImproperlyConfigured, "NAME must be one of INFO, ERROR"),
        ):
            env.choice("NAME", "ERROR", ("INFO", "ERROR"))
