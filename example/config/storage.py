"""Uploads on disk, whole or not at all."""

from contextlib import suppress

from django.core.files.storage import FileSystemStorage


class WholeFileStorage(FileSystemStorage):
    """Django's own storage, which leaves half a file where the disk is full; this one takes it away again."""

    def _save(self, name, content):
        try:
            return super()._save(name, content)
        except OSError:
            # A name that Storage.save has just found to be free.
            with suppress(OSError):
                self.delete(name)
            raise
