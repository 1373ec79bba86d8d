from django.conf import settings
from django.test import Client, TestCase, override_settings
from django.utils import timezone

from guestbook.models import MAX_TEXT, Entry


class PageTests(TestCase):
    def test_newest_entry_comes_first(self):
        """Red when the model's ordering is turned round."""
        for text in ("first", "second", "third"):
            Entry.objects.create(text=text)
        page = self.client.get("/").content.decode()
        self.assertLess(page.index("third"), page.index("second"))
        self.assertLess(page.index("second"), page.index("first"))

    def test_empty_book_says_so(self):
        """Red when the template's {% empty %} branch goes."""
        self.assertContains(self.client.get("/"), "Nobody has signed yet")

    def test_text_is_escaped(self):
        """Red when the template marks the text safe."""
        Entry.objects.create(text="<script>alert(1)</script>")
        response = self.client.get("/")
        self.assertContains(response, "&lt;script&gt;")
        self.assertNotContains(response, "<script>")

    @override_settings(RELEASE="2026.11-abc")
    def test_page_names_the_release(self):
        """Red when base.html loses data-release or the context processor goes."""
        self.assertContains(self.client.get("/"), '<html lang="en" data-release="2026.11-abc">')

    def test_no_inline_style_or_script(self):
        """The content security policy would drop it. Red when base.html gains a <style>."""
        Entry.objects.create(text="hello")
        page = self.client.get("/").content.decode()
        for inline in ("<style", "<script>", " style=", " onclick="):
            self.assertNotIn(inline, page)

    def test_other_methods_are_refused(self):
        """Red when require_http_methods goes."""
        self.assertEqual(self.client.put("/").status_code, 405)

    def test_favicon_leads_to_the_static_file(self):
        """Red when the address goes."""
        response = self.client.get("/favicon.ico")
        self.assertRedirects(response, "/static/guestbook/favicon.svg", fetch_redirect_response=False)

    def test_missing_page_has_our_404(self):
        """Red when templates/404.html goes."""
        self.assertContains(self.client.get("/nowhere"), "Back to the guestbook", status_code=404)


class PagingTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        count = settings.GUESTBOOK_ENTRIES_PER_PAGE * 2 + 1
        Entry.objects.bulk_create(Entry(text=f"entry <{n}>") for n in range(1, count + 1))
        Entry.objects.update(created=timezone.now())

    def texts(self, query):
        return [entry.text for entry in self.client.get(f"/{query}").context["page"]]

    def test_each_entry_is_on_exactly_one_page(self):
        """Red when the ordering is not total (created alone may tie)."""
        seen = [text for n in (1, 2, 3) for text in self.texts(f"?page={n}")]
        self.assertEqual(seen, [f"entry <{n}>" for n in range(len(seen), 0, -1)])
        self.assertEqual(len(seen), settings.GUESTBOOK_ENTRIES_PER_PAGE * 2 + 1)

    def test_pages_link_to_their_neighbours(self):
        """Red when the template's page navigation goes."""
        response = self.client.get("/?page=2")
        self.assertContains(response, '<a rel="prev" href="?page=1">')
        self.assertContains(response, '<a rel="next" href="?page=3">')

    def test_page_numbers_out_of_range_or_nonsense_show_a_page(self):
        """Red when get_page is replaced by page, which raises."""
        self.assertEqual(self.texts("?page=99"), ["entry <1>"])
        self.assertEqual(self.texts("?page=x"), self.texts(""))


class SigningTests(TestCase):
    def test_valid_entry_is_saved_once_and_redirected_to(self):
        """Red when the view renders instead of redirecting."""
        response = self.client.post("/", {"text": "Hello"})
        entry = Entry.objects.get()
        self.assertRedirects(response, f"/#entry-{entry.pk}", fetch_redirect_response=False)
        self.assertEqual(entry.text, "Hello")
        self.assertContains(self.client.get("/"), "Thank you for signing!")

    def test_invalid_text_is_shown_with_its_error_and_saved_nowhere(self):
        """Red when the template drops field.errors."""
        for text, error in (
            ("", "Please write something first."),
            (" \n ", "Please write something first."),
            ("x" * (MAX_TEXT + 1), "Ensure this value has at most 1000 characters"),
        ):
            with self.subTest(length=len(text)):
                response = self.client.post("/", {"text": text})
                self.assertContains(response, error)
                self.assertFalse(Entry.objects.exists())

    def test_post_without_the_csrf_token_is_refused(self):
        """Red when CsrfViewMiddleware goes."""
        client = Client(enforce_csrf_checks=True)
        response = client.post("/", {"text": "forged"})
        self.assertContains(response, "The form has expired", status_code=403)
        self.assertFalse(Entry.objects.exists())

    def test_post_with_the_pages_own_token_is_accepted(self):
        """Red when the template loses {% csrf_token %}."""
        client = Client(enforce_csrf_checks=True)
        page = client.get("/").content.decode()
        token = page.split('name="csrfmiddlewaretoken" value="')[1].split('"')[0]
        response = client.post("/", {"text": "genuine", "csrfmiddlewaretoken": token})
        self.assertEqual(response.status_code, 302)
        self.assertEqual(Entry.objects.get().text, "genuine")
