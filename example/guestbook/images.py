"""The rules for uploaded pictures, and the names of their files."""

from pathlib import PurePath
from uuid import uuid4

from django.conf import settings
from django.core.exceptions import ValidationError
from django.template.defaultfilters import filesizeformat
from django.utils import timezone
from PIL import Image

# Formats every browser shows. The suffix decides the content type nginx answers with, so it comes
# from this list and never from the visitor. (SVG is missing on purpose: it can carry scripts.)
# MPO is what many phones and cameras write as .jpg: a JPEG with a second picture appended.
SUFFIXES = {"GIF": ".gif", "JPEG": ".jpg", "MPO": ".jpg", "PNG": ".png", "WEBP": ".webp"}
ACCEPT = "image/gif,image/jpeg,image/png,image/webp"


def check_image(file) -> None:
    """Raise ``ValidationError`` unless the file is a picture of a known format and fair size."""
    if file.size > settings.GUESTBOOK_MAX_IMAGE_BYTES:
        limit = filesizeformat(settings.GUESTBOOK_MAX_IMAGE_BYTES)
        raise ValidationError(f"This image is larger than {limit}.", code="too_large")
    image_format, (width, height) = _header(file)
    if image_format not in SUFFIXES:
        raise ValidationError("Only GIF, JPEG, PNG and WebP images are accepted.", code="format")
    if width * height > settings.GUESTBOOK_MAX_IMAGE_PIXELS:
        # A file of a few kilobytes can unpack to gigabytes in each visitor's browser.
        limit = settings.GUESTBOOK_MAX_IMAGE_PIXELS // 1_000_000
        raise ValidationError(f"This image has more than {limit} megapixels.", code="too_many_pixels")


def upload_path(entry, filename: str) -> str:
    """Return a new random path below ``uploads/YEAR/MONTH/`` with the suffix of the format."""
    image_format, _ = _header(entry.image)
    folder = PurePath("uploads", timezone.now().strftime("%Y"), timezone.now().strftime("%m"))
    return str(folder / f"{uuid4().hex}{SUFFIXES[image_format]}")


def _header(file) -> tuple[str | None, tuple[int, int]]:
    file.seek(0)
    try:
        with Image.open(file) as image:
            image.verify()
            return image.format, image.size
    except Exception as error:  # Pillow lets whatever its decoders raise through
        raise ValidationError("This is not a valid image.", code="invalid_image") from error
    finally:
        file.seek(0)
