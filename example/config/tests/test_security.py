import re
from unittest import mock, skipUnless

from django.conf import settings
from django.contrib.auth.models import User
from django.test import TestCase

from guestbook.admin import EntryAdmin
from guestbook.models import Entry


class SecurityTests(TestCase):
    @skipUnless(settings.HAS_CSP, "this Django has no content security policy")
    def test_policy_is_sent_and_allows_nothing_inline(self):
        """Red when the middleware goes or 'unsafe-inline' comes in."""
        for address in ("/", "/admin/login/"):
            policy = self.client.get(address)["Content-Security-Policy"]
            self.assertIn("default-src 'self'", policy)
            self.assertNotIn("unsafe", policy)

    @skipUnless(settings.HAS_CSP, "this Django has no content security policy")
    def test_inline_styles_of_the_admin_carry_the_nonce_of_the_policy(self):
        """Red when the nonce is taken from style-src or its context processor goes."""
        self.client.force_login(User.objects.create_superuser("admin"))
        Entry.objects.create(text="hello")
        with mock.patch.object(EntryAdmin, "actions_on_top", False):
            response = self.client.get("/admin/guestbook/entry/")
        (nonce,) = re.findall(r'<style nonce="([^"]+)">', response.content.decode())
        self.assertIn(f"style-src 'self' 'nonce-{nonce}'", response["Content-Security-Policy"])

    def test_headers(self):
        """Red when SecurityMiddleware or XFrameOptionsMiddleware goes."""
        headers = self.client.get("/").headers
        self.assertEqual(headers["X-Content-Type-Options"], "nosniff")
        self.assertEqual(headers["X-Frame-Options"], "DENY")
        self.assertEqual(headers["Referrer-Policy"], "same-origin")

    def test_unknown_host_is_refused(self):
        """Red when ALLOWED_HOSTS becomes '*'."""
        self.assertEqual(self.client.get("/", headers={"host": "evil.example"}).status_code, 400)
