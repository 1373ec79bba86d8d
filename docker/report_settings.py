"""Print the project's settings for static files and uploads, as JSON after MARK.

    report_settings.py COMMAND [ARGUMENT...]

Runs the manage.py of the working directory up to its call of Django: everything before that has been done,
and the settings see the arguments of the command that is to follow (``sys.argv``).
Runs with the project's own Python, 3.10 or later.
"""

import json
import os
import runpy
import sys

MARK = "slipway-settings: "


def absolute(value):
    """Return a folder (text, or any kind of path) as an absolute path; nothing for nothing."""
    return os.path.abspath(str(value)) if value else None  # noqa: PTH100 - keeps the project's links


def settings_said():
    """Return the settings named above; DJANGO_SETTINGS_MODULE must be set by now."""
    from django.conf import settings  # noqa: PLC0415 - manage.py sets which settings

    return {
        "STATIC_ROOT": absolute(settings.STATIC_ROOT),
        "STATIC_URL": settings.STATIC_URL and str(settings.STATIC_URL),
        "MEDIA_ROOT": absolute(settings.MEDIA_ROOT),
        "MEDIA_URL": settings.MEDIA_URL and str(settings.MEDIA_URL),
        "FILE_UPLOAD_TEMP_DIR": absolute(getattr(settings, "FILE_UPLOAD_TEMP_DIR", None)),
        "COLLECTS": any("staticfiles" in app.lower() for app in settings.INSTALLED_APPS),
    }


def report(*_arguments, **_options):
    """Stand in for Django's execute_from_command_line."""
    print(MARK + json.dumps(settings_said()), flush=True)


if __name__ == "__main__":
    from django.core import management

    management.execute_from_command_line = report
    # As with `python manage.py`.
    sys.path[0] = os.getcwd()  # noqa: PTH109
    sys.argv[0] = "manage.py"
    runpy.run_path("manage.py", run_name="__main__")
