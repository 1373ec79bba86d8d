"""A kit beside a project that is not its own: adopted, started in production mode, probed."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import httpx
from projectkit import Project, git

from tests.support.polling import eventually
from tests.support.site import Site
from tests.support.world import World, base_images

PASSWORD = "Tr0ub4dor-and-3"
# As a person might set it: its characters end parts of a URL, which is how most projects are given theirs.
DATABASE_PASSWORD = "p@ss/w#r%d:?&x"
_RECORDER = """
from django.db import connections
from django.db.migrations.recorder import MigrationRecorder
applied = MigrationRecorder(connections["default"]).applied_migrations()
print("applied:", *(".".join(key) for key in applied))
"""


class Adopted(World):
    """A fresh copy of the kit and one project beside it.

    The kit has no ``.env`` yet. What keeps tests apart, its name and its port, comes by the environment, so
    that ``.env`` is what ``adopt`` has written and nothing else.
    """

    def __init__(self, folder: Path, project: Project) -> None:
        super().__init__(folder, prod=True)
        (self.root / ".env").unlink()
        machine = self.root / ".slipway/machine.env"
        machine.parent.mkdir(exist_ok=True)
        machine.write_text("".join(f"{name}={image}\n" for name, image in base_images().items()))
        secret = self.root / "secrets/postgres_password"
        secret.parent.mkdir(mode=0o700, exist_ok=True)
        secret.write_text(DATABASE_PASSWORD)
        secret.chmod(0o444)
        self.made = project
        self.place = project.write(folder)
        self.before = tree(self.place)
        self.site = Site(self.url)

    def invoke(
        self,
        *arguments: str,
        check: bool = True,
        stdin: str | None = None,
        env: dict[str, str] | None = None,
        timeout: float = 540,
    ) -> subprocess.CompletedProcess[str]:
        """As in ``World``, under this test's name and port."""
        own = {"PROJECT_NAME": self.name, "HTTP_PORT": str(self.port)}
        return super().invoke(
            *arguments, check=check, stdin=stdin, env={**own, **(env or {})}, timeout=timeout
        )

    def remove(self) -> None:
        self.site.client.close()
        super().remove()

    # -- what its owner does ------------------------------------------------------------------------

    def adopt(self, *, lines: str | None = None) -> subprocess.CompletedProcess[str]:
        """``invoke adopt PATH --yes``, and the owner's own lines (or ``lines``) at the end of ``app.env``."""
        done = self.invoke("adopt", str(self.place), "--yes")
        self.append_to_app_env(self.made.app_env if lines is None else lines)
        return done

    def append_to_app_env(self, lines: str) -> None:
        """What a person adds by hand."""
        if lines:
            with (self.root / "app.env").open("a", encoding="utf-8") as file:
                file.write(f"\n{lines}")

    def env(self) -> dict[str, str]:
        """The kit's variables as ``adopt`` has written them."""
        lines = (self.root / ".env").read_text(encoding="utf-8").splitlines()
        return dict(line.split("=", 1) for line in lines if re.match(r"[A-Z_0-9]+=", line))

    # -- looking -------------------------------------------------------------------------------------

    def exec(self, service: str, *command: str) -> str:
        """What a command in a service's first container printed."""
        return self.docker("exec", f"{self.project}-{service}-1", *command).strip()

    def has_module(self, name: str) -> bool:
        """Whether the site could import ``name``."""
        script = f"import importlib.util; print(importlib.util.find_spec({name!r}) is not None)"
        return self.exec("web", "python", "-c", script) == "True"

    # -- what must be true of every project -----------------------------------------------------------

    def prove(self) -> None:
        """Adopt, build, start, and hold the site to what every project is promised."""
        self.adopt()
        self.invoke("up")
        self.prove_served()

    def prove_served(self) -> None:
        """The running site: page, static file, admin, migrations, and the project's files as they were."""
        self.assert_lists("Blue kettle")
        self.assert_static(self.stylesheet(), "font-family")
        self.assert_admin()
        self.assert_migrated()
        self.assert_untouched()

    def assert_lists(self, name: str) -> None:
        """The page, which reads the database, has ``name`` on it."""
        answer = self.site.get(self.made.page)
        assert answer.status_code == 200, (answer.status_code, answer.text)
        assert name in answer.text, answer.text

    def stylesheet(self, name: str = "") -> str:
        """The address of a stylesheet, by default the project's ``css``, as a page links it."""
        name = name or self.made.css
        mark = r"\.[0-9a-f]{12}" if self.made.hashed else ""
        page = self.site.get(f"{self.made.admin}login/" if "admin/" in name else self.made.page).text
        found = re.search(rf'href="({re.escape(self.made.static_url)}{name}{mark}\.css)"', page)
        assert found, page
        return found[1]

    def assert_static(self, path: str, content: str) -> None:
        """nginx answers with the file itself: no request goes on to the application."""
        answer = self.site.get(path)
        assert answer.status_code == 200, (path, answer.status_code, answer.text)
        assert content in answer.text
        assert self.logged(answer)["upstream_addr"] == "", path
        # and Django's own page goes on to it, so an empty address means something
        assert self.logged(self.site.get(self.made.page))["upstream_addr"] != ""
        if self.made.hashed:
            assert "immutable" in answer.headers["Cache-Control"]

    def logged(self, answer: httpx.Response) -> dict[str, Any]:
        """nginx's own line about a request."""
        path, identifier = answer.request.url.raw_path.decode(), answer.headers.get("X-Request-ID")

        def line() -> dict[str, Any] | None:
            for text in reversed(self.docker("logs", f"{self.project}-nginx-1").splitlines()):
                entry = json.loads(text) if text.startswith("{") else {}
                if entry.get("uri") == path and identifier in (None, entry["request_id"]):
                    return dict(entry)
            return None

        found = eventually(line, f"nginx to log {path}", timeout=10)
        assert found
        return found

    def assert_admin(self) -> None:
        """An account made by the task signs in by the form and adds what the page then lists."""
        path = self.made.admin
        self.invoke("createsuperuser", "--username", "root", "--email", "root@example.org",
                    env={"DJANGO_SUPERUSER_PASSWORD": PASSWORD})  # fmt: skip
        answer = self.site.submit(f"{path}login/?next={path}", {"username": "root", "password": PASSWORD})
        assert answer.headers.get("Location") == path, (answer.status_code, answer.text)
        assert "Site administration" in self.site.get(path).text
        assert self.site.submit(f"{path}catalog/item/add/", {"name": "Red samovar"}).status_code == 302
        self.assert_lists("Red samovar")

    def assert_migrated(self) -> None:
        """Nothing is left to apply, and the table says what was."""
        assert self.invoke("migrate", "--check", check=False).returncode == 0
        said = self.invoke("shell", "--django", stdin=_RECORDER).stdout
        assert "catalog.0002_first_items" in said and "auth.0001_initial" in said, said

    def assert_kept(self) -> None:
        """What ``assert_admin`` has added is still there, and once; the site may take a moment to be back."""
        eventually(
            lambda: self.site.get(self.made.page).text.count("Red samovar") == 1, "the row", timeout=30
        )

    def assert_untouched(self) -> None:
        """Not a byte, a mode or a time of the project's files has changed, and git sees nothing."""
        assert changes(self.before, tree(self.place)) == []
        assert git(self.place, "status", "--porcelain", "--ignored") == ""


def tree(root: Path) -> dict[str, tuple[object, ...]]:
    """Mode, modification time and content of everything below ``root``, folders included; git's own aside."""
    found: dict[str, tuple[object, ...]] = {}
    for path in (root, *sorted(root.rglob("*"))):
        name = path.relative_to(root)
        if name.parts[:1] == (".git",):
            continue
        status = path.lstat()
        content = path.readlink() if path.is_symlink() else _digest(path) if path.is_file() else None
        found[str(name)] = (oct(status.st_mode), status.st_uid, status.st_mtime_ns, content)
    return found


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def changes(before: dict[str, tuple[object, ...]], after: dict[str, tuple[object, ...]]) -> list[str]:
    """The names that came, went or differ."""
    return sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
