"""Settings of every kind: split, demanding, hard-coded, careless."""

from __future__ import annotations

from collections.abc import Callable

from adoptkit import Adopted
from projectkit import Project
from projects import hard_coded, own_docker, required_variables, split_settings, sqlite_only, template_made

Beside = Callable[[Project], Adopted]


def test_split_settings_that_nobody_names(beside: Beside) -> None:
    """Red when the first module of the folder is taken: `base` has no database, `local` an app too many."""
    own = beside(split_settings.PROJECT)
    own.prove()
    assert own.env()["DJANGO_SETTINGS_MODULE"] == "portal.settings.production"


def test_production_settings_where_manage_py_names_local(beside: Beside) -> None:
    """Red when manage.py's own default is taken for production."""
    own = beside(split_settings.LOCAL_BY_DEFAULT)
    own.adopt()
    assert own.env()["DJANGO_SETTINGS_MODULE"] == "portal.settings.production"
    own.assert_untouched()


def test_required_variables_are_told_by_name(beside: Beside) -> None:
    """Red when the project's own error is swallowed, or a made-up value lets it start."""
    own = beside(required_variables.PROJECT)
    adopted = own.adopt(lines="")
    said = adopted.stdout + adopted.stderr
    for name in required_variables.GUESSABLE_BY_NOBODY:
        assert name in said, said
    failed = own.invoke("up", check=False)
    assert failed.returncode == 1
    assert "SLIP-" in failed.stderr and "Traceback" not in failed.stderr.splitlines()[-1], failed.stderr
    assert any(name in failed.stderr for name in required_variables.GUESSABLE_BY_NOBODY), failed.stderr
    own.append_to_app_env(required_variables.PROJECT.app_env)
    own.invoke("up")
    own.prove_served()


def test_what_is_hard_coded(beside: Beside) -> None:
    """Red when the overlay reaches manage.py and not the server, or the other way round."""
    own = beside(hard_coded.PROJECT)
    own.prove()
    script = "from django.conf import settings; print('debug is', settings.DEBUG)\n"
    assert "debug is False" in own.invoke("shell", "--django", stdin=script).stdout
    # the row that the admin added is in the stack's own PostgreSQL, not in a place of the project's choosing
    assert own.site.get("/no/such/page").status_code == 404


def test_what_the_kit_has_too(beside: Beside) -> None:
    """Red when a package called tasks or tests stays behind, or the committed .env reaches production."""
    own = beside(own_docker.PROJECT)
    own.prove()
    assert own.site.get("/todo/").text == "Things to do: call Ann"
    script = "from django.conf import settings; print('key:', settings.SECRET_KEY, settings.DEBUG)\n"
    said = own.invoke("shell", "--django", stdin=script).stdout
    assert "committed-by-mistake" not in said and "key:" in said


def test_sqlite_keeps_its_data(beside: Beside) -> None:
    """Red when the file lies in the image: a deploy begins with an empty one."""
    own = beside(sqlite_only.PROJECT)
    own.prove()
    assert not any("-db-" in c["Name"] for c in own.containers()), "nobody asked for a database service"
    own.invoke("restart")
    own.assert_kept()
    own.invoke("deploy", "--release", "second")
    own.assert_kept()
    own.invoke("down")
    own.invoke("up")
    own.assert_kept()
    own.assert_untouched()


def test_what_the_widespread_template_makes(beside: Beside) -> None:
    """Red when pages are redirected to an https nobody serves, or without Redis, which sessions need."""
    beside(template_made.PROJECT).prove()
