"""The page and the JSON list."""

import logging
import re

from django.conf import settings
from django.contrib import messages
from django.core.paginator import Paginator
from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.templatetags.static import static
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from guestbook.forms import EntryForm
from guestbook.models import Entry

logger = logging.getLogger("guestbook")

API_LIMIT = 20
API_MAX_LIMIT = 100


@require_http_methods(["GET", "HEAD", "POST"])
def index(request: HttpRequest) -> HttpResponse:
    """Show a page of entries with the form; a valid POST adds one and redirects to it.

    A picture that cannot be stored, because the disk is full, is said in the form, with status 507.
    """
    status = 200
    if request.method == "POST":
        form = EntryForm(request.POST, request.FILES)
        if form.is_valid():
            try:
                # Roll back to here, so that the page below can be rendered in any transaction.
                with transaction.atomic():
                    entry = form.save()
            except OSError:
                logger.exception("the picture could not be stored")
                form.add_error("image", "This picture cannot be stored right now. Nothing was signed.")
                status = 507
            else:
                messages.success(request, "Thank you for signing!")
                return redirect(f"{reverse('guestbook:index')}#entry-{entry.pk}")
    else:
        form = EntryForm()
    pages = Paginator(Entry.objects.all(), settings.GUESTBOOK_ENTRIES_PER_PAGE)
    page = pages.get_page(request.GET.get("page"))
    context = {"form": form, "page": page, "page_range": pages.get_elided_page_range(page.number)}
    return render(request, "guestbook/index.html", context, status=status)


@require_safe
def api_entries(request: HttpRequest) -> JsonResponse:
    """List the newest entries as JSON.

    ``?limit=N`` (1 to 100, else 20) says how many; anything else in its place is answered with 400.
    """
    given = request.GET.get("limit", str(API_LIMIT))
    if not (re.fullmatch("[0-9]{1,3}", given) and 1 <= int(given) <= API_MAX_LIMIT):
        message = f"limit must be a whole number from 1 to {API_MAX_LIMIT}"
        return JsonResponse({"error": message}, status=400)
    entries = [
        {
            "id": entry.pk,
            "text": entry.text,
            "image": entry.image.url if entry.image else None,
            "created": entry.created.isoformat(),
        }
        for entry in Entry.objects.all()[: int(given)]
    ]
    return JsonResponse({"entries": entries})


@require_safe
def favicon(request: HttpRequest) -> HttpResponse:
    """Redirect browsers that request /favicon.ico, as on the admin's pages, to the real one."""
    return redirect(static("guestbook/favicon.svg"))
