from datetime import datetime

from django.test import TestCase

from guestbook.models import Entry
from guestbook.tests.support import picture


class ApiTests(TestCase):
    def entries(self, query=""):
        response = self.client.get(f"/api/entries{query}")
        self.assertEqual(response.status_code, 200)
        self.assertEqual(response["Content-Type"], "application/json")
        return response.json()["entries"]

    def test_an_entry_has_id_text_image_and_created(self):
        """Red when a key is renamed, or a missing image is anything but null."""
        Entry.objects.create(text="plain")
        self.client.post("/", {"text": "picture", "image": picture()})
        newest, oldest = Entry.objects.all()
        with_image, without = self.entries()
        self.assertEqual(set(with_image), {"id", "text", "image", "created"})
        self.assertEqual((with_image["id"], with_image["text"]), (newest.pk, "picture"))
        self.assertEqual(with_image["image"], newest.image.url)
        self.assertEqual(datetime.fromisoformat(with_image["created"]), newest.created)
        self.assertEqual((without["id"], without["image"]), (oldest.pk, None))

    def test_limit(self):
        """Red when the limit is ignored, or its default or bounds change."""
        Entry.objects.bulk_create(Entry(text=str(n)) for n in range(101))
        newest = Entry.objects.first().pk
        for query, count in (("", 20), ("?limit=1", 1), ("?limit=100", 100)):
            with self.subTest(query):
                entries = self.entries(query)
                self.assertEqual(len(entries), count)
                self.assertEqual(entries[0]["id"], newest)

    def test_bad_limits_are_answered_with_a_json_error(self):
        """Red when the check of the limit goes (a 500 or an empty list)."""
        for limit in ("0", "101", "-1", "x", "", "1.5", "٣", "9" * 5000):
            with self.subTest(limit[:10]):
                response = self.client.get("/api/entries", {"limit": limit})
                self.assertEqual(response.status_code, 400)
                self.assertEqual(response.json(), {"error": "limit must be a whole number from 1 to 100"})

    def test_list_is_read_only(self):
        """Red when require_safe goes."""
        self.assertEqual(self.client.post("/api/entries", {"text": "x"}).status_code, 405)

    def test_list_is_one_query(self):
        """Red when a serialised field costs a query per entry."""
        Entry.objects.bulk_create(Entry(text=str(n)) for n in range(10))
        with self.assertNumQueries(1):
            self.entries()
