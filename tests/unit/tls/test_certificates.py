"""Certificates: names, chains and dates, by what is read from files; the local CA."""

from __future__ import annotations

import stat
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from slipway.core.checkout import ROOT

sys.path.insert(0, str(ROOT / "tests" / "tls"))

import authority

from slipway.config.settings import Settings
from slipway.core.errors import SlipwayError
from slipway.core.run import Runner
from slipway.orchestrators.compose import Stack
from slipway.orchestrators.session import Session
from slipway.services.views import url
from slipway.tls import certificates, localca, tls


@pytest.fixture(scope="module")
def company() -> authority.Authority:
    return authority.root("Root").intermediate("Intermediate")


@pytest.mark.parametrize(
    ("own", "server_names", "missing"),
    [
        (["example.org"], ["example.org", "EXAMPLE.org"], []),
        (["example.org"], ["www.example.org"], ["www.example.org"]),
        (["*.example.org"], ["www.example.org", "*.example.org"], []),
        (["*.example.org"], ["example.org", "a.b.example.org"], ["example.org", "a.b.example.org"]),
        (["*.example.org"], [".example.org"], [".example.org"]),
        (["*.example.org", "example.org"], [".example.org"], []),
        (["127.0.0.1", "::1"], ["127.0.0.1", "[::1]"], []),
        (["*.0.0.1"], ["127.0.0.1"], ["127.0.0.1"]),
    ],
)
def test_names_are_covered_as_browsers_see_it(
    company: authority.Authority, own: list[str], server_names: list[str], missing: list[str]
) -> None:
    """Red when a wildcard covers its own domain or two labels, or an address matches one."""
    assert certificates.uncovered(company.issue(*own).certificate, server_names) == missing


def test_a_chain_ends_with_a_root_in_the_file_or_one_that_is_known(
    company: authority.Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Red when a missing intermediate passes, or every private CA is refused."""
    own = company.issue("example.org")
    leaf, intermediate, root = own.chain
    bundle = tmp_path / "bundle.pem"
    bundle.write_bytes(authority.pem(root))

    def check(*chain: object) -> None:
        authority.write(tmp_path, chain, own.key_pem())  # type: ignore[arg-type]
        found = certificates.from_files(tmp_path / "fullchain.pem", tmp_path / "privkey.pem")
        assert certificates.check(found, ["example.org"]) == []

    check(leaf, intermediate, root)
    for broken in ((leaf,), (leaf, intermediate), (leaf, root), (leaf, root, intermediate)):
        with pytest.raises(SlipwayError, match="SLIP-119"):
            check(*broken)
    monkeypatch.setattr("slipway.host.mirrors.ca_bundle", lambda: str(bundle))
    check(leaf, intermediate)
    with pytest.raises(SlipwayError, match="an intermediate is missing"):
        check(leaf)


def test_ocsp_is_seen(company: authority.Authority, tmp_path: Path) -> None:
    """Red when nginx is told to staple what no CA says, which it warns about; or never."""
    for address in ("", "http://ocsp.example.org"):
        company.issue("example.org", ocsp=address).write(tmp_path)
        found = certificates.from_files(tmp_path / "fullchain.pem", tmp_path / "privkey.pem")
        assert found.has_ocsp is bool(address)


@pytest.mark.parametrize(
    ("life", "left", "warned"),
    [
        (397, 140, ""), (397, 130, "130 days"), (90, 31, ""), (90, 29, "29 days"), (64, 22, ""),
        (64, 21, "21 days"), (6, 2.5, ""), (6, 1.9, "45 hours"), (6, 0.02, "no hours"),
    ],
)  # fmt: skip
def test_the_last_third_of_its_life_is_a_warning(
    company: authority.Authority, tmp_path: Path, life: float, left: float, warned: str
) -> None:
    """Whoever issues it. Red when it is a number of days: one of six days would always be near its end."""
    day = timedelta(days=1)
    # A little more, which passes until it is looked at.
    ends = left * day + timedelta(minutes=1)
    company.issue("example.test", begins=ends - life * day, ends=ends).write(tmp_path)
    found = certificates.from_files(tmp_path / "fullchain.pem", tmp_path / "privkey.pem")
    said = certificates.check(found, ["example.test"])
    assert bool(said) == certificates.ends_soon(found.leaf) == bool(warned)
    assert all(f"expires in {warned}," in line for line in said)


def test_the_local_ca_stays_and_its_certificate_follows_the_names(tmp_path: Path) -> None:
    """Red when the CA that people trust is made anew, or the certificate is at every start."""
    folder = tmp_path / "tls" / "local"
    names = ("example.test", ".all.example.test", "[::1]")
    first, made = localca.ensure(folder, names, "shop")
    assert made
    assert certificates.uncovered(first.leaf, [*names, "localhost", "127.0.0.1"]) == []
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    ca = (folder / localca.CA_FILE).read_bytes()
    again, made = localca.ensure(folder, names, "shop")
    assert not made and again.leaf == first.leaf
    other, made = localca.ensure(folder, ("other.test",), "shop")
    assert made and other.leaf != first.leaf
    assert (folder / localca.CA_FILE).read_bytes() == ca


def test_the_local_certificate_is_renewed_before_it_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Red when it is renewed after its end, or the CA never."""
    first, _ = localca.ensure(tmp_path, ("example.test",), "shop")
    ca = (tmp_path / localca.CA_FILE).read_bytes()
    now = datetime.now(UTC)
    monkeypatch.setattr(certificates, "_now", lambda: now + localca._LIFE * 0.6)
    assert localca.ensure(tmp_path, ("example.test",), "shop") == (first, False)
    monkeypatch.setattr(certificates, "_now", lambda: now + localca._LIFE * 0.7)
    second, made = localca.ensure(tmp_path, ("example.test",), "shop")
    assert made and second.leaf != first.leaf
    assert (tmp_path / localca.CA_FILE).read_bytes() == ca
    monkeypatch.setattr(localca, "_LIFE", localca._CA_LIFE + timedelta(days=1))
    localca.ensure(tmp_path, ("example.test",), "shop")
    assert (tmp_path / localca.CA_FILE).read_bytes() != ca


def test_a_damaged_local_ca_is_not_replaced_behind_a_persons_back(tmp_path: Path) -> None:
    """Red when a lost key silently makes a CA that nobody trusts yet."""
    localca.ensure(tmp_path, ("example.test",), "shop")
    (tmp_path / "ca.key").unlink()
    with pytest.raises(SlipwayError, match="SLIP-122"):
        localca.ensure(tmp_path, ("example.test",), "shop")


@pytest.mark.parametrize(
    ("mode", "names", "why"),
    [
        ("local", "~^www", "regular expression"),
        ("files", "example.*", "wildcard in front"),
        ("acme", "example.org localhost", "'localhost', and no CA can reach"),
        ("acme", "127.0.0.1", "not for addresses"),
        ("acme", "[::1]", "not for addresses"),
        ("acme", "*.example.org", "over DNS only"),
        ("acme", ".example.org", "over DNS only"),
    ],
)
def test_names_that_no_certificate_can_have_are_refused(
    settings: Settings, mode: str, names: str, why: str
) -> None:
    """Red when certbot, or a browser, is the first to say so."""
    chosen = replace(settings, tls=mode, server_names=tuple(names.split()))
    with pytest.raises(SlipwayError, match="SLIP-115") as refused:
        tls.prepare(Session(Stack(chosen, prod=True), Runner()))
    assert why in refused.value.problem


def test_nothing_is_checked_where_there_is_no_tls(settings: Settings) -> None:
    """Red when TLS=off, or development, needs a certificate."""
    for mode, prod in (("off", True), ("files", False)):
        chosen = replace(settings, tls=mode, server_names=("~.",))
        assert tls.prepare(Session(Stack(chosen, prod=prod), Runner())) is None


def test_the_root_of_a_private_directory_is_checked(settings: Settings) -> None:
    """Red when a container that cannot read the file finds out."""
    path = settings.root / "acme-root.pem"
    chosen = replace(settings, tls="acme", server_names=("example.org",), acme_ca_file=path.name)
    session = Session(Stack(chosen, prod=True), Runner())
    with pytest.raises(SlipwayError, match=r"SLIP-116.*cannot be read"):
        tls.prepare(session)
    path.write_text("x")
    with pytest.raises(SlipwayError, match=r"SLIP-116.*no certificate"):
        tls.prepare(session)
    path.write_bytes(authority.pem(authority.root("Directory").certificate))
    path.chmod(0o600)
    with pytest.raises(SlipwayError, match=r"SLIP-116.*owner alone"):
        tls.prepare(session)
    path.chmod(0o644)
    assert tls.prepare(session) is None


def test_the_files_follow_the_mode(settings: Settings) -> None:
    """Red when a certificate's volume or certbot runs where nobody asked for it."""
    added = {
        mode: [
            file
            for file in Stack(replace(settings, tls=mode, acme_ca_file="x.pem"), prod=True).files()
            if "tls" in file
        ]
        for mode in ("off", "local", "files", "acme")
    }
    assert added == {
        "off": [],
        "local": ["compose/tls.yaml"],
        "files": ["compose/tls.yaml"],
        "acme": ["compose/tls.yaml", "compose/tls-acme.yaml", "compose/tls-acme-ca.yaml"],
    }
    assert not [f for f in Stack(replace(settings, tls="acme"), prod=False).files() if "tls" in f]
    assert "acme" in Stack(replace(settings, tls="acme"), prod=True).services()
    assert "acme" not in Stack(replace(settings, tls="local"), prod=True).services()


@pytest.mark.parametrize(
    ("changes", "address"),
    [
        ({"tls": "local"}, "https://localhost:8443/"),
        ({"tls": "acme", "https_port": 443, "server_names": (".example.org",)}, "https://example.org/"),
        ({"server_names": ("example.org",), "http_port": 80}, "http://example.org/"),
    ],
)
def test_the_url_says_https(settings: Settings, changes: dict[str, object], address: str) -> None:
    """Red when a person is sent to http, which then redirects."""
    chosen = replace(settings, **changes)  # type: ignore[arg-type]
    assert url(Session(Stack(chosen, prod=True), Runner())) == address
