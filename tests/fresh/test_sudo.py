"""Somebody who is not root but may sudo: one command serves the site, and the files are theirs."""

from __future__ import annotations

from tests.support.pristine import Machine

USER = "somebody"
UP_SECONDS = 900


def test_one_command_serves_the_site(trusted: Machine) -> None:
    """Red when the group docker is not joined: the engine that was just installed refuses its person."""
    trusted.run("./bootstrap", "invoke", "up", user=USER, timeout=UP_SECONDS)
    status, page = trusted.get("http://127.0.0.1:8000/")
    assert status == 200
    assert "<form" in page
    owners = trusted.run("find", ".", "-not", "-user", USER, "-print").stdout
    assert owners == ""


def test_later_commands_need_no_sudo(trusted: Machine) -> None:
    """Red when the membership was not made to last."""
    assert "docker" in trusted.run("id", "--name", "--groups", USER).stdout.split()
    trusted.run("rm", "/etc/sudoers.d/somebody")
    trusted.run("./bootstrap", "invoke", "ps", user=USER)
