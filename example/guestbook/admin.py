"""Moderation of entries in Django's admin."""

from django.contrib import admin

from guestbook.models import Entry


@admin.register(Entry)
class EntryAdmin(admin.ModelAdmin):
    """Entries, newest first, to search, correct and delete."""

    list_display = ["__str__", "image", "created"]
    search_fields = ["text"]
    date_hierarchy = "created"
    readonly_fields = ["created"]
