"""Secrets: made once, protected, and refused when they protect nothing."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from slipway.config import secretfiles
from slipway.config.settings import load
from slipway.core import envfile
from slipway.core.errors import SlipwayError
from slipway.orchestrators import init


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


def _checkout_under(umask: int, root: Path) -> Path:
    """Give ``root`` scripts and secrets as a person under ``umask`` makes them; return the secrets folder."""
    for name, mode in {
        "docker/db/first-start.sh": 0o777, "docker/redis/start.sh": 0o777, "secrets/backup/passphrase": 0o666,
        "secrets/mail_password": 0o666, "secrets/postgres_password": 0o666, "secrets/tls/privkey.pem": 0o600,
    }.items():  # fmt: skip
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("a real value")
        path.chmod(mode & ~umask)
    for name in ("app.env", "app.dev.env", "app.prod.env"):
        (root / name).touch()
    return root / "secrets"


@pytest.mark.parametrize("umask", [0o077, 0o027, 0o022])
def test_what_containers_mount_is_made_readable(checkout: Path, umask: int) -> None:
    """Red when a container's user cannot read one, or a key that no container mounts is opened."""
    secrets = _checkout_under(umask, checkout)
    secrets.chmod(0o700)
    settings = load(checkout, environ={})
    init.record(settings)
    init.check(settings, prod=True)
    assert all(path.stat().st_mode & 0o555 == 0o555 for path in (checkout / "docker").rglob("*.sh"))
    mounted = (secrets / "mail_password", secrets / "postgres_password", secrets / "backup" / "passphrase")
    assert all(path.stat().st_mode & 0o444 == 0o444 for path in mounted)
    assert (secrets / "tls" / "privkey.pem").stat().st_mode & 0o777 == 0o600


def test_a_secret_is_not_opened_in_a_folder_that_others_may_enter(checkout: Path) -> None:
    """Red when everybody on the machine may then read it, or production starts with what web cannot read."""
    secrets = _checkout_under(0o077, checkout)
    secrets.chmod(0o755)
    (secrets / "postgres_password").chmod(0o444)
    settings = load(checkout, environ={})
    init.record(settings)
    assert (secrets / "mail_password").stat().st_mode & 0o777 == 0o600
    # Development runs as this person.
    init.check(settings, prod=False)
    with pytest.raises(SlipwayError, match=r"SLIP-190: .*secrets/mail_password has mode 600"):
        init.check(settings, prod=True)


@pytest.mark.parametrize(("folder", "ignored"), [("example/keys", True), ("secrets", False)])
def test_git_ignores_secrets_wherever_they_are(checkout: Path, folder: str, ignored: bool) -> None:
    """Red when `git add` takes the secrets of a SECRETS_DIR that the kit's .gitignore does not name."""
    for name in ("app.env", "app.dev.env", "app.prod.env", "app.local.env"):
        (checkout / name).touch()
    ignore = checkout / folder / ".gitignore"
    settings = load(checkout, environ={"SECRETS_DIR": folder})
    init.create_rest(settings)
    assert (ignore.exists() and ignore.read_text() == "*\n") == ignored
    ignore.write_text("mine\n")
    init.create_rest(settings)
    assert ignore.read_text() == "mine\n"


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    """Red when it ends in a traceback."""
    (tmp_path / "file").touch()
    with pytest.raises(SlipwayError, match=r"SLIP-011: .*file/secrets.*\n.*SECRETS_DIR"):
        secretfiles.create_missing(tmp_path / "file" / "secrets")


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


@pytest.mark.parametrize("value", ["/run/secrets/.mail", "/run/secrets/mail/", "/run/secrets/my+mail"])
def test_a_path_at_which_nothing_is_mounted_is_named(tmp_path: Path, value: str) -> None:
    """Red when a file of that name in the folder is enough: containers are not given it, or not there."""
    for name in (".mail", "mail", "my+mail"):
        (tmp_path / name).write_text("a-real-one")
    entries = _entries(tmp_path, f"MAIL_FILE={value}\n")
    with pytest.raises(SlipwayError, match=r"SLIP-010: app\.env:1: MAIL_FILE refers to the secret"):
        secretfiles.check(tmp_path, entries)


@pytest.mark.parametrize("content", ["pässwort".encode("latin-1"), "password".encode("utf-16-le"), b"a\0b"])
def test_what_no_variable_can_hold_is_refused_where_one_is_meant(tmp_path: Path, content: bytes) -> None:
    """Red when the container finds it, after a build; or when a keystore of the project is refused."""
    folder = tmp_path / "secrets"
    (folder / "backup").mkdir(parents=True)
    (folder / "mail").write_bytes(content)
    secretfiles.check(folder, _entries(tmp_path, "MAIL_FILE=/run/secrets/mail\n"))
    with pytest.raises(SlipwayError, match=r"SLIP-058: app\.env:1: MAIL names the secret 'mail'"):
        secretfiles.check(folder, _entries(tmp_path, "MAIL={{secret:mail}}\n"))
    for name in ("secret_key", "backup/passphrase"):
        (folder / name).write_bytes(content)
        with pytest.raises(SlipwayError, match=rf"SLIP-002: .*{name} "):
            secretfiles.check(folder, {}, ("backup",))
        (folder / name).unlink()


@pytest.mark.parametrize("content", ["", "changeme\n"])
def test_a_passphrase_of_backups_that_protects_nothing_is_refused(tmp_path: Path, content: str) -> None:
    """Red when only the secrets of the project are looked at: archives would be as good as open."""
    (tmp_path / "backup").mkdir()
    (tmp_path / "backup" / "passphrase").write_text(content)
    with pytest.raises(SlipwayError, match=r"SLIP-009: .*backup/passphrase is "):
        secretfiles.check(tmp_path, {}, ("backup",))


@pytest.mark.parametrize("name", ["backup", "tls"])
def test_a_file_in_the_place_of_a_services_folder_is_refused(checkout: Path, name: str) -> None:
    """Red when web is given a file that was meant for another service."""
    secrets = _checkout_under(0o022, checkout)
    shutil.rmtree(secrets / name)
    (secrets / name).write_text("a-real-one")
    with pytest.raises(SlipwayError, match=rf"SLIP-175: .*secrets/{name} is a file"):
        init.check(load(checkout, environ={}), prod=True)


def test_a_subfolder_of_no_service_is_told(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Red when nothing is said of secrets that nobody gets; or when a certificate that is used is named."""
    secrets = _checkout_under(0o022, checkout)
    (secrets / "mail").mkdir()
    init.check(load(checkout, environ={}), prod=True)
    assert capsys.readouterr().err == ""
    (secrets / "mail" / "password").write_text("a-real-one")
    init.check(load(checkout, environ={"TLS_KEY": "secrets/mail/password"}), prod=True)
    assert capsys.readouterr().err == ""
    init.check(load(checkout, environ={}), prod=True)
    said = capsys.readouterr().err
    assert said.count("SLIP-175") == 1 and "secrets/mail" in said


def test_a_store_whose_keys_are_no_text_is_refused(checkout: Path) -> None:
    """Red when it ends in a traceback."""
    secrets = _checkout_under(0o022, checkout)
    settings = load(checkout, environ={"BACKUP_S3_BUCKET": "abc"})
    with pytest.raises(SlipwayError, match=r"SLIP-113: BACKUP_S3_BUCKET .*s3_access_key is missing"):
        init.check(settings, prod=True)
    for name in ("s3_access_key", "s3_secret_key"):
        (secrets / "backup" / name).write_bytes(b"\xff\xe9")
    with pytest.raises(SlipwayError, match=r"SLIP-002: .*s3_access_key is not UTF-8 text"):
        init.check(settings, prod=True)


def test_a_missing_folder_is_named_by_its_variable(checkout: Path) -> None:
    """Red when a line of app.env is blamed for it."""
    _checkout_under(0o022, checkout)
    (checkout / "app.env").write_text("KEY_FILE=/run/secrets/secret_key\n")
    settings = load(checkout, environ={"SECRETS_DIR": "nowhere"})
    with pytest.raises(SlipwayError, match=r"SLIP-007: SECRETS_DIR \(environment\) .*nowhere"):
        init.check(settings, prod=False)


def test_an_empty_secret_file_is_refused(tmp_path: Path) -> None:
    """Red when only env files are checked."""
    (tmp_path / "secret_key").write_text("\n")
    with pytest.raises(SlipwayError, match=r"SLIP-009.*secret_key is empty"):
        secretfiles.check(tmp_path, {})


def test_fill_in_replaces_placeholders(tmp_path: Path) -> None:
    """Red when the trailing newline is kept."""
    (tmp_path / "pw").write_text("p@ss\n")
    assert secretfiles.fill_in("A", "x {{secret:pw}}", tmp_path) == "x p@ss"
    assert secretfiles.fill_in("A", "postgres://u:{{secret:pw}}@db", tmp_path) == "postgres://u:p%40ss@db"
    with pytest.raises(SlipwayError, match=r"SLIP-058: A names the secret 'no', .*does not exist"):
        secretfiles.fill_in("A", "{{secret:no}}", tmp_path)


@pytest.mark.parametrize("value", ["{{secret:my key}}", "{{secret:Ünï}}", "{{secrets:mail}}", "a{{secret:}}"])
def test_a_placeholder_that_no_container_fills_is_named_with_its_line(tmp_path: Path, value: str) -> None:
    """Red when only what looks right is looked up: the container would fail instead, after a build."""
    entries = _entries(tmp_path, f"# mine\nMAIL='{value}'\n")
    with pytest.raises(SlipwayError, match=r"SLIP-058: app\.env:2: MAIL holds the unknown placeholder"):
        secretfiles.check(tmp_path, entries)


@pytest.mark.parametrize("name", ["my key", "Ünï", "mail~", "a+b", "nowhere"])
def test_a_file_that_is_mounted_nowhere_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """Red when it is left out without a word, in a service's own folder too."""
    folder = tmp_path / "secrets"
    (folder / "backup").mkdir(parents=True)
    for place in (folder, folder / "backup"):
        if name == "nowhere":
            (place / name).symlink_to("/nonexistent/file")
        else:
            (place / name).write_text("a-real-one")
        secretfiles.check(folder, {}, ("backup",))
        said = capsys.readouterr().err
        assert f"warning: SLIP-175: the secret {str(place / name)!r} reaches no container" in said
        (place / name).unlink()
    (folder / "mail").write_text("a-real-one")
    (folder / ".hidden").write_text("a-real-one")
    secretfiles.check(folder, {}, ("backup",))
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_a_byte_order_mark_is_refused_with_the_command_that_removes_it(tmp_path: Path, encoding: str) -> None:
    """Red when PostgreSQL is handed a password that nobody can type. The command is run."""
    folder = tmp_path / "it's secret"
    folder.mkdir()
    text = "a-real-one" if encoding == "utf-8-sig" else "\ufeffa-real-one"
    (folder / "mail").write_text(text, encoding=encoding)
    with pytest.raises(SlipwayError, match="SLIP-176") as caught:
        secretfiles.check(folder, {})
    subprocess.run(caught.value.fix.partition(": ")[2], shell=True, check=True)
    assert (folder / "mail").read_text(encoding="utf-8") == "a-real-one"
    secretfiles.check(folder, {})


@pytest.mark.parametrize(
    ("value", "secret", "warned"),
    [
        ("smtp://me:{{secret:mail}}@host", "p%40ss", True),
        ("smtp://me:{{secret:mail}}@host", "p@ss%40x", False),
        ("smtp://me:{{secret:mail}}@host", "100%", False),
        ("{{secret:mail}}", "smtp://me:p%40ss@host", False),
        ("me:{{secret:mail}}", "p%40ss", False),
    ],
)
def test_what_was_encoded_by_hand_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], value: str, secret: str, warned: bool
) -> None:
    """Red when a secret that was written for a URL is encoded a second time without a word."""
    folder = tmp_path / "secrets"
    folder.mkdir()
    (folder / "mail").write_text(secret)
    secretfiles.check(folder, _entries(tmp_path, f"MAIL_URL={value}\n"))
    assert ("warning: SLIP-177: app.env:1: MAIL_URL" in capsys.readouterr().err) == warned


def test_names_that_yaml_takes_for_something_else_stay_names(tmp_path: Path) -> None:
    """Red when names stand bare: Compose refuses a file for a secret called `on` or `123`."""
    names = ["123", "1e3", "null", "on"]
    for name in names:
        (tmp_path / name).write_text("a-real-one")
    found = yaml.safe_load(secretfiles.overlay(tmp_path, "${SECRETS_DIR:-secrets}", ["web"]))
    assert found["services"]["web"]["secrets"] == names and sorted(found["secrets"]) == names
    assert found["secrets"]["on"]["file"] == "${SECRETS_DIR:-secrets}/on"


def test_a_subfolder_belongs_to_another_service(tmp_path: Path) -> None:
    """Red when a folder is taken for a secret, or its files are given to the project's containers."""
    (tmp_path / "mail").write_text("a-real-one")
    (tmp_path / "backup").mkdir()
    (tmp_path / "backup" / "passphrase").write_text("")
    secretfiles.check(tmp_path, {})
    text = secretfiles.overlay(tmp_path, "${SECRETS_DIR:-secrets}", ["web"])
    assert 'secrets: ["mail"]' in text
    assert "passphrase" not in text and "/backup" not in text
    text = secretfiles.overlay(tmp_path, "${SECRETS_DIR:-secrets}", ["web"], owners=["backup", "tls"])
    found = yaml.safe_load(text)
    assert found["services"]["web"]["secrets"] == ["mail"]
    (own,) = found["services"]["backup"]["secrets"]
    assert own["target"] == "backup_passphrase"
    assert found["secrets"][own["source"]]["file"] == "${SECRETS_DIR:-secrets}/backup/passphrase"


def test_a_secret_called_as_one_of_a_subfolder_stays_itself(tmp_path: Path) -> None:
    """Red when both have one key: web is then given the key of the archives for its own secret."""
    (tmp_path / "backup").mkdir()
    for name in ("backup_passphrase", "backup/passphrase"):
        (tmp_path / name).write_text("a-real-one")
    found = yaml.safe_load(secretfiles.overlay(tmp_path, "dir", ["web"], owners=["backup"]))
    (own,) = found["services"]["backup"]["secrets"]
    assert found["services"]["web"]["secrets"] == ["backup_passphrase"]
    assert found["secrets"]["backup_passphrase"]["file"] == "dir/backup_passphrase"
    assert found["secrets"][own["source"]]["file"] == "dir/backup/passphrase"
