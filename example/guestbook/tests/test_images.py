import re
from errno import ENOSPC
from io import BytesIO
from pathlib import Path
from unittest.mock import patch

from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import TestCase, override_settings
from PIL import Image

from guestbook.models import Entry
from guestbook.tests.support import picture


class UploadTests(TestCase):
    def sign(self, image):
        return self.client.post("/", {"text": "with a picture", "image": image})

    def test_every_accepted_format_is_stored_unchanged_under_a_random_name(self):
        """Red when the picture is re-encoded, or when upload_path keeps the visitor's name."""
        suffixes = {"GIF": "gif", "JPEG": "jpg", "PNG": "png", "WEBP": "webp"}
        for image_format, suffix in suffixes.items():
            with self.subTest(image_format):
                upload = picture(image_format, name="../../My Holiday.PNG")
                sent = upload.read()
                upload.seek(0)
                self.assertEqual(self.sign(upload).status_code, 302)
                image = Entry.objects.first().image
                self.assertRegex(image.name, rf"^uploads/\d{{4}}/\d\d/[0-9a-f]{{32}}\.{suffix}$")
                self.assertEqual(Path(image.path).read_bytes(), sent)
                self.assertContains(self.client.get("/"), f'src="{image.url}"')

    def test_a_phones_double_picture_is_a_jpeg(self):
        """Red when MPO, which many cameras write as .jpg, is missing from SUFFIXES."""
        buffer, image = BytesIO(), Image.new("RGB", (8, 8))
        image.save(buffer, "MPO", save_all=True, append_images=[image])
        self.sign(SimpleUploadedFile("DSC1.JPG", buffer.getvalue()))
        self.assertTrue(Entry.objects.get().image.name.endswith(".jpg"))

    def test_files_are_readable_for_another_user(self):
        """nginx serves them. Red when FILE_UPLOAD_PERMISSIONS or its directory twin goes."""
        for size in (0, settings.FILE_UPLOAD_MAX_MEMORY_SIZE):  # in memory, in a temporary file
            with self.subTest(size):
                self.sign(picture(tail=b"\0" * size))
                path = Path(Entry.objects.first().image.path)
                self.assertEqual(path.stat().st_mode & 0o777, 0o644)
                self.assertEqual(path.parent.stat().st_mode & 0o777, 0o755)

    def test_page_on_disguise_gets_the_suffix_of_what_it_is(self):
        """Served as HTML it could run a script. Red when upload_path keeps the visitor's suffix."""
        self.sign(picture("PNG", name="page.png", tail=b"<script>alert(1)</script>"))
        self.assertTrue(Entry.objects.get().image.name.endswith(".png"))

    def test_a_full_disk_is_said_in_the_form_and_leaves_nothing(self):
        """Red when the view lets the error pass (500), or the storage is Django's own (half a file stays)."""
        before = {path for path in Path(settings.MEDIA_ROOT).rglob("*") if path.is_file()}
        for size in (0, settings.FILE_UPLOAD_MAX_MEMORY_SIZE):  # in memory, in a temporary file
            # Django lets go of what it has written when it sets the file's permissions: late, but writing.
            full = OSError(ENOSPC, "No space left on device")
            with (
                self.subTest(size),
                patch("os.chmod", side_effect=full),
                self.assertLogs("guestbook", "ERROR"),
            ):
                answer = self.sign(picture(tail=b"\0" * size))
                self.assertContains(answer, "cannot be stored", status_code=507)
            self.assertFalse(Entry.objects.exists())
            after = {path for path in Path(settings.MEDIA_ROOT).rglob("*") if path.is_file()}
            self.assertEqual(after, before)

    def test_bad_files_are_refused(self):
        """Red when check_image is taken from the model (formats) or forms.ImageField goes."""
        whole = picture("PNG").read()
        svg = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
        for name, image, error in (
            ("text", SimpleUploadedFile("a.png", b"not a picture"), "Upload a valid image"),
            ("cut off", SimpleUploadedFile("a.png", whole[:40]), "Upload a valid image"),
            ("svg", SimpleUploadedFile("a.svg", svg), "Upload a valid image"),
            ("html suffix", picture("PNG", name="a.html"), "File extension"),
            ("other format", picture("BMP", name="a.bmp"), "Only GIF, JPEG, PNG and WebP"),
            ("other format, renamed", picture("TIFF", name="a.png"), "Only GIF, JPEG, PNG and WebP"),
        ):
            with self.subTest(name):
                self.assertContains(self.sign(image), error)
                self.assertFalse(Entry.objects.exists())
        self.assertEqual(list(Path(settings.MEDIA_ROOT).rglob("a.*")), [])

    @override_settings(GUESTBOOK_MAX_IMAGE_BYTES=200)
    def test_size_limit(self):
        """Red when check_image no longer looks at the size."""
        self.assertEqual(self.sign(picture()).status_code, 302)
        response = self.sign(picture(tail=b"\0" * 200))
        self.assertTrue(re.search(r"larger than 200.bytes", response.content.decode()))
        self.assertEqual(Entry.objects.count(), 1)

    @override_settings(GUESTBOOK_MAX_IMAGE_PIXELS=1_000_000)
    def test_pixel_limit(self):
        """Red when check_image no longer looks at the dimensions."""
        self.assertEqual(self.sign(picture(size=(1000, 1000))).status_code, 302)
        self.assertContains(self.sign(picture(size=(1000, 1001))), "more than 1 megapixels")

    def test_deleting_an_entry_deletes_its_picture(self):
        """Red when the signal goes; a deletion that is rolled back must keep the file."""
        self.sign(picture())
        entry = Entry.objects.get()
        path = Path(entry.image.path)
        with self.captureOnCommitCallbacks() as callbacks:
            Entry.objects.all().delete()
        self.assertTrue(path.exists())
        for callback in callbacks:
            callback()
        self.assertFalse(path.exists())
