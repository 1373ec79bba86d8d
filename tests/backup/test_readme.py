"""What the README says about production, typed as it stands there, in a copy of one's own."""

from __future__ import annotations

import json
import os
import re
import ssl
import subprocess
import sys
from pathlib import Path

from tests.support.site import Site
from tests.support.world import ROOT, free_port, world


def _commands() -> str:
    section = (ROOT / "README.md").read_text().split("## Production\n")[1].split("\n## ")[0]
    block = re.search(r"```sh\n(.*?)```", section, re.DOTALL)
    assert block
    # `invoke` of this environment in the place of the one `./bootstrap` would make.
    return block[1].replace("./bootstrap ", "").replace(". .venv/bin/activate\n", "")


def test_the_readme_leads_from_a_clone_to_https_and_a_proved_restore(tmp_path: Path) -> None:
    """Red when a command of the README fails, or does not do what the comment behind it says."""
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    with world(tmp_path, "readme-production", prod=True, HTTPS_PORT=str(free_port())) as own:
        own.invoke("init")
        done = subprocess.run(
            ["bash", "-e", "-c", _commands()], cwd=own.root, env=environment,
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=540,
        )  # fmt: skip
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        url = own.invoke("url").stdout.strip()
        assert url.startswith("https://") and url in done.stdout
        ca = own.root / "secrets" / "tls" / "local" / "ca.pem"
        site = Site(url, verify=ssl.create_default_context(cafile=ca))
        assert site.get("/").status_code == 200
        assert own.health("backup") == "healthy"
        archives = json.loads(own.invoke("db.backups", "--json").stdout)
        named = {entry["name"]: entry for entry in archives}
        [before] = [name for name in named if "before-restore" in name]
        assert {len(named), named[before]["encrypted"]} == {2, True}
        [made] = named.keys() - {before}
        assert named[made]["encrypted"] and named[made]["verified"]
