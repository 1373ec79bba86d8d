"""``invoke adopt``: scans a project and describes it in the kit's own env files; the project is unchanged."""

from __future__ import annotations

import sys
from pathlib import Path

from slipway.adoption import report, write
from slipway.adoption.python import has_image
from slipway.adoption.scan import scan
from slipway.config import settings
from slipway.config.settings import Settings
from slipway.core import envfile
from slipway.core.consent import require_consent
from slipway.core.output import note
from slipway.kit import copying
from slipway.orchestrators import init, ownership
from slipway.project.layout import path_word

__all__ = ["adopt"]


def adopt(
    root: Path,
    path: str,
    *,
    dry: bool,
    yes: bool,
    as_json: bool,
    manage_dir: str = "",
    env_file: Path | None = None,
    into: str = "",
) -> None:
    """Scan the project at ``path`` and write the findings into the env files of the kit at ``root``.

    Prints the changes as a diff first. ``dry`` stops there; without ``yes`` it asks. ``env_file`` is the
    kit's own settings file (default: ``.env``, or ``slipway.env`` if that exists). ``into`` first copies the
    kit into that folder of the project; the env files are then those of the copy. Raises ``SlipwayError``
    SLIP-144 to SLIP-148 for a project that cannot be adopted, SLIP-150 and SLIP-152 for a copy that cannot
    be made, SLIP-069 without consent; then nothing is written.
    """
    kit = root
    if into:
        root = copying.check(kit, Path(path).expanduser(), into)
    # The folder with the examples: a copy that does not exist yet has none.
    examples = root if root.is_dir() else kit
    own = env_file or settings.settings_file(root)
    known = settings.load(root, required=False, check_folders=False)
    files = {
        ".env": own,
        "app.env": known.path(known.app_env),
        "app.dev.env": known.path(known.app_dev_env),
        "app.local.env": known.path(known.app_local_env),
    }
    given = _given(root, known)
    recorded = settings.recorded(examples)
    project = scan(
        Path(path).expanduser(),
        root,
        manage_dir=manage_dir,
        given=given,
        can_have=lambda version: has_image(version, recorded),
        database=(known.db_name, known.db_user),
        is_taken=lambda name: ownership.is_taken(name, root),
    )
    pending = write.changes(project, examples, files)
    if not as_json:
        print(report.as_text(project, write.settled(own, project.layout.root)))
        for change in pending:
            print(f"\n{write.difference(change, root)}", end="")
        sys.stdout.flush()
    copies = into and not root.is_dir()
    if copies:
        note(f"{'would copy' if dry else 'copies'} the kit into {root}")
    # A copy has its own tool environment.
    start = f"cd {path_word(root)} && ./bootstrap invoke up --prod" if into else "invoke up --prod"
    if dry:
        if as_json:
            print(report.as_json(project, pending, root, written=False))
        else:
            print(report.last_words(project, path_word(files["app.env"]), start))
        return
    if pending:
        names = " and ".join(change.path.name for change in pending)
        require_consent(f"Copy the kit there, and write {names}?" if copies else f"Write {names}?", yes)
        if copies:
            copying.copy(kit, Path(path).expanduser(), into)
        for change in pending:
            write.put(change)
    elif not as_json:
        note("nothing to change")
    init.create_missing(root)
    if as_json:
        print(report.as_json(project, pending, root, written=bool(pending)))
    else:
        print(report.last_words(project, path_word(files["app.env"]), start))


def _given(root: Path, known: Settings) -> dict[str, str]:
    """Return the variables in the user's env files, except in unchanged copies of the examples."""
    given: dict[str, str] = {}
    for name, example in ((known.app_env, "app.env.example"), (known.app_prod_env, "app.prod.env.example")):
        path = known.path(name)
        if path.is_file() and path.read_bytes() != (root / example).read_bytes():
            given |= {entry.name: entry.value for entry in envfile.read(path).values()}
    return given
