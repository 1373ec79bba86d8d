"""Helpers of several tests."""

from io import BytesIO

from django.core.files.uploadedfile import SimpleUploadedFile
from PIL import Image


def picture(image_format="PNG", size=(8, 8), name=None, tail=b"") -> SimpleUploadedFile:
    """Return a real picture as an uploaded file; ``tail`` is appended to its bytes."""
    buffer = BytesIO()
    Image.new("RGB", size, "teal").save(buffer, image_format)
    return SimpleUploadedFile(name or f"picture.{image_format.lower()}", buffer.getvalue() + tail)
