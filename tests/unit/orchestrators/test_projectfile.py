"""What SETTINGS_OVERLAY and DATA_PATHS add to the project's services."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from slipway.config.settings import Settings, load, variables
from slipway.core.checkout import ROOT
from slipway.core.errors import SlipwayError
from slipway.orchestrators import projectfile
from slipway.orchestrators.compose import Stack


def test_the_volume_is_in_every_service_of_production(settings: Settings) -> None:
    """Red when a service is left out: migrate would make another database than web reads, a backup
    would lack it."""
    stack = Stack(replace(settings, data_paths=("db.sqlite3",)), prod=True)
    merged = yaml.safe_load(projectfile.text(stack))
    assert {name: service["volumes"] for name, service in merged["services"].items()} == {
        **{name: ["data:/srv/data"] for name in stack.project_services()},
        "backup": ["data:/srv/data:ro,nocopy"],
        "restore-media": ["data:/srv/data:nocopy"],
    }
    assert merged["volumes"] == {"data": None}
    assert stack.project_file in stack.files()
    assert stack.project_file not in Stack(stack.settings, prod=False).files()
    assert Stack(settings, prod=True).project_file not in Stack(settings, prod=True).files()


def test_the_overlay_is_told_the_names_of_the_site(settings: Settings) -> None:
    """Red when nginx's spelling of a wildcard reaches Django, or a $ reaches Compose."""
    names = ("example.org", "*.example.org", ".example.net", "~^www", "_")
    chosen = replace(
        settings,
        settings_overlay=("ALLOWED_HOSTS",),
        server_names=names,
        health_host="probe",
        media_url="/$m/",
    )
    stack = Stack(chosen, prod=True)
    values = projectfile.overlay_values(stack)
    assert values["hosts"] == [
        "example.org", ".example.org", ".example.net", "probe", "localhost", "127.0.0.1", "[::1]",
    ]  # fmt: skip
    assert values["origins"] == sorted(
        f"{start}{name}{end}"
        for name in ("example.org", "*.example.org", "*.example.net")
        for start, end in (("http://", ""), ("https://", ""), ("http://", ":8080"))
    )
    assert values["production"] is True
    text = projectfile.text(stack)
    merged = yaml.safe_load(text)
    told = merged["services"]["web"]["environment"]["SLIPWAY_OVERLAY"]
    assert json.loads(told.replace("$$", "$")) == values
    assert merged["services"]["web"]["build"]["args"]["SLIPWAY_OVERLAY"] == told
    assert "$$m" in told


@pytest.mark.parametrize(
    ("lines", "https"),
    [
        ("", False),
        ("TRUSTED_PROXY=127.0.0.1/32\n", False),
        ("TRUSTED_PROXY=10.0.0.0/8\n", True),
        ("TLS=local\n", True),
    ],
)
def test_behind_a_proxy_cookies_stay_as_the_project_has_them(checkout: Path, lines: str, https: bool) -> None:
    """Red when a proxy that ends TLS counts as plain http: session cookies would go without Secure."""
    (checkout / ".env").write_text(f"SETTINGS_OVERLAY=SESSION_COOKIE_SECURE\n{lines}")
    settings = load(checkout, environ={})
    assert projectfile.overlay_values(Stack(settings, prod=True))["tls"] is https
    assert projectfile.overlay_values(Stack(settings, prod=False))["tls"] is False


def test_every_name_of_the_overlay_is_documented() -> None:
    """Red when .env.example or the page leaves some out, which `adopt` writes all the same."""
    with pytest.raises(ValueError, match="not of these") as refused:
        variables()["SETTINGS_OVERLAY"].convert("x")
    names = re.findall(r"[A-Z_]{3,}", str(refused.value))
    example = (ROOT / ".env.example").read_text()
    comment = example[example.index("# Settings that the kit sets") : example.index("#SETTINGS_OVERLAY=")]
    assert set(re.findall(r"\b[A-Z_]{5,}\b", comment)) == set(names)
    page = (ROOT / "docs" / "settings-overlay.md").read_text()
    assert [name for name in names if f"`{name}`" not in page] == []


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("SETTINGS_OVERLAY", "DEBUG LOGGING", "not of these: ALLOWED_HOSTS, .*LOGGING"),
        ("DATA_PATHS", "../x", r"\.\./x"),
        ("DATA_PATHS", "a/../..", "not files or folders"),
        ("DATA_PATHS", ".", "not files or folders"),
        ("DATA_PATHS", "/tmp/x", "not paths that can be kept"),
        ("DATA_PATHS", "db.sqlite3 /srv/data/x", "not paths that can be kept"),
    ],
)
def test_a_name_that_cannot_be_is_refused(checkout: object, name: str, value: str, reason: str) -> None:
    """Red when ``values.choices`` or ``values.written_paths`` takes everything."""
    with pytest.raises(SlipwayError, match=rf"(?s)SLIP-006.*{reason}"):
        load(checkout, environ={name: value})  # type: ignore[arg-type]
    assert load(checkout, environ={"DATA_PATHS": "db.sqlite3 up/loads /var/lib/x"}).data_paths  # type: ignore[arg-type]
