"""Secrets: made once, protected, and refused when they protect nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from slipway import envfile, secretfiles
from slipway.errors import SlipwayError


def _entries(tmp_path: Path, text: str) -> dict[str, envfile.Entry]:
    path = tmp_path / "app.env"
    path.write_text(text)
    return envfile.read(path)


def test_secrets_are_random_protected_and_never_overwritten(tmp_path: Path) -> None:
    """Red when the folder is open, a value repeats, or a second call writes."""
    folder = tmp_path / "secrets"
    made = secretfiles.create_missing(folder)
    assert [path.name for path in made] == list(secretfiles.GENERATED)
    assert folder.stat().st_mode & 0o777 == 0o700
    values = {path.read_text() for path in made}
    assert len(values) == len(made) and all(len(value) >= 50 for value in values)
    # A container's user is not the host's: the file itself must be readable.
    assert all(path.stat().st_mode & 0o777 == 0o444 for path in made)
    assert secretfiles.create_missing(folder) == []
    assert {path.read_text() for path in made} == values


def test_generated_values_survive_every_reader(tmp_path: Path) -> None:
    """Red when a value could hold $, quotes, a backslash or a URL's special characters."""
    import re

    (path, *_) = secretfiles.create_missing(tmp_path / "secrets")
    assert re.fullmatch(r"[A-Za-z0-9_-]+", path.read_text())


@pytest.mark.parametrize(
    "line",
    [
        "SECRET_KEY=",
        "DB_PASSWORD=changeme",
        "API_TOKEN=Secret",
        "SECRET_KEY=django-insecure-x9",
        "X_SECRET=xxx",
    ],
)
def test_empty_and_placeholder_values_are_refused_with_their_line(tmp_path: Path, line: str) -> None:
    """Red when the list of placeholders, or the pattern of names, is emptied."""
    with pytest.raises(SlipwayError, match=r"SLIP-009: app\.env:2: "):
        secretfiles.check(tmp_path / "none", _entries(tmp_path, f"A=1\n{line}\n"))


@pytest.mark.parametrize(
    "line",
    [
        "SECRET_KEY=b7-real-value",
        "SECRET_KEY_FILE=/etc/key",
        "PUBLIC_KEY=secret",
        "PASSWORD_HASHERS=",
        "EMAIL_HOST_PASSWORD=",
    ],
)
def test_real_values_and_other_names_pass(tmp_path: Path, line: str) -> None:
    """Red when the check refuses what is no secret."""
    secretfiles.check(tmp_path / "none", _entries(tmp_path, f"{line}\n"))


@pytest.mark.parametrize("value", ["/run/secrets/mail", "smtp://me:{{secret:mail}}@host"])
def test_a_reference_to_a_missing_secret_is_named(tmp_path: Path, value: str) -> None:
    """Red when references are not looked up: the container would fail instead."""
    folder = tmp_path / "secrets"
    folder.mkdir()
    entries = _entries(tmp_path, f"MAIL_URL={value}\n")
    with pytest.raises(SlipwayError, match=r"SLIP-010.*'mail'"):
        secretfiles.check(folder, entries)
    (folder / "mail").write_text("a-real-one")
    secretfiles.check(folder, entries)


def test_an_empty_secret_file_is_refused(tmp_path: Path) -> None:
    """Red when only env files are checked."""
    (tmp_path / "secret_key").write_text("\n")
    with pytest.raises(SlipwayError, match=r"SLIP-009.*secret_key is empty"):
        secretfiles.check(tmp_path, {})


def test_fill_in_replaces_placeholders(tmp_path: Path) -> None:
    """Red when the trailing newline is kept."""
    (tmp_path / "pw").write_text("s3cret\n")
    assert secretfiles.fill_in("postgres://u:{{secret:pw}}@db", tmp_path) == "postgres://u:s3cret@db"


def test_a_subfolder_belongs_to_another_service(tmp_path: Path) -> None:
    """Red when a folder is taken for a secret, or its files are given to the project's containers."""
    (tmp_path / "mail").write_text("a-real-one")
    (tmp_path / "backup").mkdir()
    (tmp_path / "backup" / "passphrase").write_text("")
    secretfiles.check(tmp_path, {})
    text = secretfiles.overlay(tmp_path, "${SECRETS_DIR:-secrets}", ["web"])
    assert "secrets: [mail]" in text
    assert "passphrase" not in text and "/backup" not in text
    text = secretfiles.overlay(tmp_path, "${SECRETS_DIR:-secrets}", ["web"], owners=["backup", "tls"])
    assert "  web:\n    secrets: [mail]\n  backup:\n    secrets: [backup_passphrase]\nsecrets:\n" in text
    assert "  backup_passphrase:\n    file: ${SECRETS_DIR:-secrets}/backup/passphrase\n" in text
