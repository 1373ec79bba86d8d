"""Uploads on disk, whole or not at all."""

from contextlib import suppress

from django.core.files.storage import FileSystemStorage


class WholeFileStorage(FileSystemStorage):
    """Django's own storage, but without the half-written file that it leaves when the disk is full."""

    def _save(self, name, content):
        try:
            return super()._save(name, content)
        except OSError:
            # A name that Storage.save has just found to be free.
            with suppress(OSError):
                self.delete(name)
            raise
