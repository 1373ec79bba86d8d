from unittest import skipUnless

from django.conf import settings
from django.test import TestCase


class SecurityTests(TestCase):
    @skipUnless(settings.HAS_CSP, "this Django has no content security policy")
    def test_policy_is_sent_and_allows_nothing_inline(self):
        """Red when the middleware goes or 'unsafe-inline' comes in."""
        for address in ("/", "/admin/login/"):
            policy = self.client.get(address)["Content-Security-Policy"]
            self.assertIn("default-src 'self'", policy)
            self.assertNotIn("unsafe", policy)

    def test_headers(self):
        """Red when SecurityMiddleware or XFrameOptionsMiddleware goes."""
        headers = self.client.get("/").headers
        self.assertEqual(headers["X-Content-Type-Options"], "nosniff")
        self.assertEqual(headers["X-Frame-Options"], "DENY")
        self.assertEqual(headers["Referrer-Policy"], "same-origin")

    def test_unknown_host_is_refused(self):
        """Red when ALLOWED_HOSTS becomes '*'."""
        self.assertEqual(self.client.get("/", headers={"host": "evil.example"}).status_code, 400)
