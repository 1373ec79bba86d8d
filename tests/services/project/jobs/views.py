from django.core.cache import cache
from django.db import connection
from django.http import HttpResponse, JsonResponse

from jobs.models import Entry, Report
from jobs.tasks import note


def live(request):
    return HttpResponse("ok")


def ready(request):
    connection.ensure_connection()
    return HttpResponse("ok")


def send(request, word):
    """Ask the worker to write ``word``, and remember in the cache that it was asked."""
    cache.set(word, "asked")
    note.delay(word, float(request.GET.get("seconds", 0)))
    return HttpResponse("sent")


def seen(request, word):
    return JsonResponse(
        {
            "asked": cache.get(word),
            "entries": list(Entry.objects.filter(word=word).values_list("release", flat=True)),
            "reports": Report.objects.filter(word=word).count(),
        }
    )
