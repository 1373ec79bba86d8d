from django.contrib.auth.models import User
from django.test import TestCase

from guestbook.models import Entry


class AdminTests(TestCase):
    def test_entries_can_be_listed_searched_and_deleted(self):
        """Red when the model is not registered or search_fields goes."""
        User.objects.create_superuser("admin", password="pw")
        self.assertTrue(self.client.login(username="admin", password="pw"))
        spam, _ = Entry.objects.create(text="buy spam"), Entry.objects.create(text="hello")
        found = self.client.get("/admin/guestbook/entry/?q=spam")
        self.assertContains(found, "buy spam")
        self.assertNotContains(found, "hello")
        self.client.post(f"/admin/guestbook/entry/{spam.pk}/delete/", {"post": "yes"})
        self.assertEqual(Entry.objects.get().text, "hello")

    def test_visitors_are_sent_to_the_login(self):
        """Red when the admin's address goes."""
        response = self.client.get("/admin/guestbook/entry/")
        self.assertRedirects(response, "/admin/login/?next=/admin/guestbook/entry/")
