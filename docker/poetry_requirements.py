"""Convert a pyproject.toml in Poetry's notation to requirements, by Poetry's own library.

poetry_requirements.py OUT [--all-groups] [--group=NAME]... [--extra=NAME]...
"""

from __future__ import annotations

import argparse
from pathlib import Path

from poetry.core.factory import Factory


def main() -> None:
    """Run the usage above in the folder of pyproject.toml."""
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("--all-groups", action="store_true")
    parser.add_argument("--group", action="append", default=[])
    parser.add_argument("--extra", action="append", default=[])
    chosen = parser.parse_args()

    package = Factory().create_poetry(Path.cwd()).package
    names = package.dependency_group_names(include_optional=True)
    groups = names if chosen.all_groups else {"main", *chosen.group}
    by_extra = {d.name for extra in chosen.extra for d in package.extras.get(extra, [])}
    lines = []
    for group in sorted(names & groups):
        for dependency in package.dependency_group(group).dependencies:
            if dependency.is_optional() and dependency.name not in by_extra:
                continue
            dependency.deactivate()
            lines.append(dependency.to_pep_508(with_extras=False))
    chosen.out.write_text("\n".join([*lines, ""]), encoding="utf-8")


if __name__ == "__main__":
    main()
