"""The same in development: the folder is mounted, the person's own user writes."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from serviceskit import APP_ENV, BESIDE, PROJECT, SCHEDULED, SERVICES, query, seen, send

from tests.support.polling import eventually
from tests.support.world import world

PERSON = 12345


def test_development_has_them_too(tmp_path: Path) -> None:
    """Red when beat cannot write its file as the person's user, or the code is not the folder's."""
    if os.getuid() != 0:
        pytest.skip("only root can give files to another user")
    ids = {"HOST_UID": str(PERSON), "HOST_GID": str(PERSON)}
    with world(tmp_path, "services-dev", prod=False, **ids, **SERVICES) as own:
        shutil.copytree(PROJECT, own.root / "project")
        (own.root / "app.env").write_text(APP_ENV)
        for parent in own.root.parents:
            if parent.is_relative_to("/tmp") and parent != Path("/tmp"):
                parent.chmod(0o755)
        own.invoke("up")
        send(own, "hello")
        eventually(lambda: seen(own, "hello")["reports"] == 1, "the worker to write")
        tick = "select count(*) > 1 from jobs_entry where word = 'tick'"
        eventually(lambda: query(own, "app", tick) == "t", "beat to send")
        present = {each["Config"]["Labels"]["com.docker.compose.service"] for each in own.containers()}
        assert present.isdisjoint(SCHEDULED), "they are production's"
        for name in set(BESIDE) - set(SCHEDULED):
            container = own.container(name)
            assert container["Config"]["User"] == f"{PERSON}:{PERSON}", name
            assert "/app" in {mount["Destination"] for mount in container["Mounts"]}, name
        tasks = own.root / "project" / "jobs" / "tasks.py"
        tasks.write_text(tasks.read_text().replace("Report.objects.create(word=word)", "pass"))
        own.invoke("restart", "--services", "worker")
        send(own, "edited")
        eventually(lambda: seen(own, "edited")["entries"], "the worker to write")
        assert seen(own, "edited")["reports"] == 0
