import os

from django.http import HttpResponse
from django.urls import path

urlpatterns = [path("healthz/live", lambda request: HttpResponse(os.environ.get("GREETING", "alive")))]
