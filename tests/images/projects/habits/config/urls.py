import os

from django.conf import settings
from django.http import JsonResponse
from django.urls import path

PAGE_SIZE = os.environ["PAGE_SIZE"]


def show(request):
    return JsonResponse({"debug": settings.DEBUG, "hosts": settings.ALLOWED_HOSTS, "batch": settings.BATCH})


def enter(request):
    from django.contrib.auth.models import User

    User.objects.create(username=f"visitor {User.objects.count()}")
    return JsonResponse({"visitors": User.objects.count()})


urlpatterns = [path("healthz/live", show), path("enter", enter)]
