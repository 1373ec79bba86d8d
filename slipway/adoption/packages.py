"""RUNTIME_PACKAGES: Debian packages that Python packages load or call at run time, without linking them."""

from __future__ import annotations

from slipway.adoption.project import Project

__all__ = ["choose"]

_LOADED = {
    "python-magic": "libmagic1",
    "weasyprint": "libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0 fonts-dejavu-core",
    "django-weasyprint": "libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0 fonts-dejavu-core",
    "cairosvg": "libcairo2",
    "xhtml2pdf": "libcairo2",
    "pdf2image": "poppler-utils",
    "pytesseract": "tesseract-ocr",
    "ocrmypdf": "tesseract-ocr ghostscript",
    "pyzbar": "libzbar0",
    "ffmpeg-python": "ffmpeg",
    "moviepy": "ffmpeg",
    "pydub": "ffmpeg",
    "graphviz": "graphviz",
    "pydot": "graphviz",
    "gitpython": "git",
    "opencv-python": "libgl1 libglib2.0-0",
    "pdfkit": "wkhtmltopdf",
    "django-wkhtmltopdf": "wkhtmltopdf",
}


def choose(project: Project) -> None:
    """Set RUNTIME_PACKAGES, and the image of a database with PostGIS."""
    found: list[str] = []
    reasons: list[str] = []
    for name, packages in _LOADED.items():
        if project.dependencies.has(name):
            found += packages.split()
            reasons.append(name)
    settings = project.settings
    databases = settings.get("DATABASES")
    engines = str(databases) if isinstance(databases, dict) else ""
    if settings.installed("django.contrib.gis") or "contrib.gis" in engines:
        found.append("gdal-bin")
        reasons.append("django.contrib.gis")
        if "postgis" in engines:
            project.findings.say(
                "POSTGRES_IMAGE",
                "postgis/postgis:17-3.5",
                "the database needs PostGIS",
                settings.where("DATABASES"),
                sure=False,
            )
    if found:
        project.findings.say(
            "RUNTIME_PACKAGES",
            " ".join(dict.fromkeys(found)),
            f"{', '.join(reasons)} use them at run time",
            sure=False,
        )
