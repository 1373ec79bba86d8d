"""The guestbook's addresses."""

from django.urls import path

from guestbook import views

app_name = "guestbook"
urlpatterns = [
    path("", views.index, name="index"),
    path("api/entries", views.api_entries, name="api-entries"),
    path("favicon.ico", views.favicon),
]
