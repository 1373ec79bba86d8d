"""The kit inside a project: in a folder of its own, in no image, in no container."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from adoptkit import Adopted, changes, tree
from projectkit import git
from projects import own_docker

from tests.support.polling import eventually
from tests.support.world import base_images, free_port

_KIT = "ops"
# What nobody may read in an image or a container of development, and the marks of the kit's own folder.
_LOOK = (
    "find / -xdev \\( -name postgres_password -o -name .slipway -o -name slipway-stamp -o -name app.env "
    "-o -name bootstrap -o -name planted.dump \\) -not -path '/proc/*' 2>/dev/null; true"
)


class Inside(Adopted):
    """As ``Adopted``, with the kit copied into the project; both of its stacks go at the end."""

    dev_port = 0

    def adopt(self, *, lines: str | None = None) -> subprocess.CompletedProcess[str]:
        done = self.invoke("adopt", str(self.place), "--yes", "--into", _KIT)
        self.root = self.place / _KIT
        machine = self.root / ".slipway/machine.env"
        with machine.open("a") as file:
            file.writelines(f"{name}={image}\n" for name, image in base_images().items())
        self.append_to_app_env(self.made.app_env if lines is None else lines)
        return done

    def assert_untouched(self) -> None:
        """What has come is the kit's folder, and by that the list of the project's root has changed."""
        different = changes(self.before, tree(self.place))
        others = [name for name in different if name != "." and Path(name).parts[0] != _KIT]
        assert others == []
        assert git(self.place, "status", "--porcelain") == f"?? {_KIT}/\n"
        assert git(self.place, "diff", "--cached", "--name-only") == ""

    def develop(self) -> None:
        """From here on the development stack is meant."""
        self.prod, self.project, self.dev_port = False, f"{self.name}-dev", free_port()

    def invoke(self, *arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
        env = options.pop("env", None) or {}
        assert isinstance(env, dict)
        port = {"WEB_PORT": str(self.dev_port)} if self.dev_port else {}
        return super().invoke(*arguments, env={**port, **env}, **options)  # type: ignore[arg-type]

    def remove(self) -> None:
        for stack in ("prod", "dev"):
            self.project = f"{self.name}-{stack}"
            super().remove()


@pytest.fixture
def inside(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Inside]:
    own = Inside(tmp_path, own_docker.PROJECT)
    yield own
    if any(report.failed for report in getattr(request.node, "reports", [])):
        own.save("adopt-inside")
    own.remove()


def test_the_kit_lives_in_a_folder_of_the_project(inside: Inside) -> None:
    """Red when a file of the project is touched, or the kit's folder reaches an image or a container.

    Break it in ``place.own_paths``: return nothing, and secrets and archives are in both.
    """
    inside.adopt()
    backups = inside.root / "backups"
    backups.mkdir(mode=0o700, exist_ok=True)
    (backups / "planted.dump").write_text("an archive")
    inside.invoke("up")
    inside.prove_served()
    assert inside.site.get("/todo/").text == "Things to do: call Ann"
    found = inside.exec("web", "sh", "-c", _LOOK).split()
    assert found == ["/run/secrets/postgres_password"]
    assert _KIT not in inside.exec("web", "ls", "-A", "/app").split()
    # A second start is the same release: nothing that the tasks write there counts as a change.
    before = inside.container("web")["Id"]
    inside.invoke("up")
    assert inside.container("web")["Id"] == before
    inside.assert_untouched()

    inside.develop()
    inside.invoke("up")
    eventually(lambda: inside.health("web") == "healthy", "development to be healthy", timeout=60)
    assert inside.exec("web", "ls", "-A", f"/app/{_KIT}") == ""
    assert inside.exec("web", "sh", "-c", _LOOK).split() == ["/run/secrets/postgres_password"]
    # What the project itself writes in development (logs/) is its own affair.
    assert git(inside.place, "diff", "--name-only") == ""
