"""Every address of the site."""

from django.conf import settings
from django.conf.urls.static import static
from django.contrib import admin
from django.urls import include, path

from config import health

urlpatterns = [
    path("healthz/live", health.live),
    path("healthz/ready", health.ready),
    path("admin/", admin.site.urls),
    path("", include("guestbook.urls")),
    # Empty unless DEBUG: in production nginx serves the uploads.
    *static(settings.MEDIA_URL, document_root=settings.MEDIA_ROOT),
]
