"""Install the project's dependencies into /opt/venv, from the files of its folder.

    install_dependencies.py production|development

Called by install-dependencies, which has set up uv and the package index, in the folder of the dependencies.
dependency_choice.py chooses these files. A lock that does not match its source fails the build; if a manager
cannot be installed, its lock is read without it, and never resolved again. Compilers are installed when the
first package that has to be built has failed.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

import build_packages
import dependency_choice
import lock_readers
import project_package
import requirements_text

try:
    import tomllib
except ImportError:  # Python 3.10
    from pip._vendor import tomli as tomllib

KIT = Path(__file__).parent
VENV = Path("/opt/venv")
ROOT = Path("/app")
# pip's own, written by install-tools.
DEFAULT_INDEX = Path(sys.prefix, "default-index")
STALE = re.compile(
    r"(?:poetry\.lock|uv\.lock|lockfile).*(?:last generated|needs to be updated|not up to date)", re.S
)
SERVER_EXTRAS = ("dev", "development", "test", "tests")


class InstallError(Exception):
    """A problem and its fix, ready to print, in one line: BuildKit repeats a failed step's last line."""


def default_index() -> str:
    """Return the address of PyPI's simple index."""
    return DEFAULT_INDEX.read_text(encoding="utf-8").strip()


def words(name: str) -> list[str]:
    """Return the words of an environment variable."""
    return os.environ.get(name, "").split()


def say(text: str) -> None:
    """Print one line of the build's log."""
    print(f"dependencies: {text}", flush=True)


class Installation:
    """One installation into /opt/venv from a folder."""

    def __init__(self, folder: Path, production: bool, scratch: Path) -> None:
        self.folder = folder
        self.production = production
        self.scratch = scratch
        self.groups = words("DEPENDENCY_GROUPS")
        self.extras = words("DEPENDENCY_EXTRAS")
        self._system_packages: list[str] = []

    def run(self) -> None:
        """Install everything. Raises InstallError, and ChoiceError when there is nothing to install from."""
        choice = dependency_choice.choose(
            self.folder, os.environ.get("DEPENDENCY_MANAGER", ""), words("REQUIREMENTS_FILES")
        )
        say(str(choice))
        if choice.manager != "requirements" and words("DEPENDENCY_OVERRIDES"):
            raise InstallError(
                f"SLIP-131: DEPENDENCY_OVERRIDES is for requirements files, and {choice.manager} installs; "
                "fix: change what is locked with that manager"
            )
        self._forget_required_version()
        install: Callable[[dependency_choice.Choice], None] = getattr(self, f"_from_{choice.manager}")
        install(choice)
        self._check_django(choice)
        self._further(words("EXTRA_PIP_PACKAGES"))
        project_package.write(VENV, ROOT, self.folder, words("PYTHONPATH_DIRS"))

    # --- One method for each manager

    def _from_uv(self, _: dependency_choice.Choice) -> None:
        """Sync with uv.lock, or install what it exports.

        uv rejects a lock that was made with another index than this build's. Then the locked versions and
        hashes are installed from this build's index.
        """
        chosen = [f"--extra={name}" for name in self.extras] + [f"--group={name}" for name in self.groups]
        chosen += ["--no-default-groups"] if self.production else []
        check = ["uv", "lock", "--check", "--no-progress"]
        if self._try(check, quiet=True)[0]:
            self.uv("sync", "--frozen", "--no-install-project", *chosen)
            return
        own_index = {n: v for n, v in os.environ.items() if n not in {"UV_DEFAULT_INDEX", "UV_INDEX"}}
        fresh, output = self._try([*check, "--offline"], quiet=True, environment=own_index)
        if not fresh and "needs to be updated" in output:
            self._stale("uv.lock", "pyproject.toml", "uv lock", output)
        if not fresh:
            say("uv cannot compare uv.lock with pyproject.toml here; the locked versions are installed")
            say(_last_line(output))
        exported = self.scratch / "requirements.txt"
        self.uv(
            "export",
            "--frozen",
            "--quiet",
            "--no-emit-project",
            f"--output-file={exported}",
            *chosen,
            quiet=True,
        )
        self.uv("pip", "install", f"--requirement={exported}")

    def _from_poetry(self, choice: dependency_choice.Choice) -> None:
        exported = self.scratch / "requirements.txt"
        reason = self._install_tool("poetry")
        if not reason:
            fresh, output = self._try(["poetry", "check", "--lock", "--no-interaction"], quiet=True)
            # It also reports other problems of the project, which do not prevent the installation.
            if not fresh and STALE.search(output):
                self._stale("poetry.lock", "pyproject.toml", "poetry lock", output)
            chosen = [] if self.production else ["--all-groups"]
            chosen += [f"--with={','.join(self.groups)}"] if self.groups and self.production else []
            chosen += [f"--extras={name}" for name in self.extras]
            export = ["poetry", "export", "--format=requirements.txt", f"--output={exported}", *chosen]
            done, output = self._try(export, quiet=True)
            reason = "" if done else f"Poetry does not export it ({_last_line(output)})"
        if reason:
            say(f"{reason}: poetry.lock is read without it, with its versions and hashes")
            everything = not self.production
            lines = self._read(
                lambda: lock_readers.from_poetry(self.folder, self.groups, self.extras, everything),
                "poetry.lock", "pyproject.toml", "poetry lock",
            )  # fmt: skip
            self._add_indexes(lock_readers.poetry_sources(self.folder / "poetry.lock"))
            exported.write_text("\n".join([*lines, ""]), encoding="utf-8")
        self.uv("pip", "install", f"--requirement={exported}")

    def _from_pipenv(self, choice: dependency_choice.Choice) -> None:
        os.environ.update(PIPENV_VENV_IN_PROJECT="0", PIPENV_IGNORE_VIRTUALENVS="1", PIPENV_NOSPIN="1")
        os.environ.update(PIPENV_YES="1", PIPENV_PYTHON=str(VENV / "bin/python"))
        locked = choice.files == ("Pipfile.lock",)
        if locked and not (self.folder / "Pipfile").is_file():
            reason = "there is no Pipfile"
        else:
            reason = self._install_tool("pipenv")
        if not locked:
            self._lock_pipfile(reason)
        elif not reason:
            fresh, output = self._try(["pipenv", "verify"], quiet=True)
            if not fresh and re.search(r"out[- ]of[- ]date", output):
                self._stale("Pipfile.lock", "Pipfile", "pipenv lock", output)
            reason = "" if fresh else f"Pipenv does not run here ({_last_line(output)})"
        categories = ["default", *(["develop"] if not self.production else []), *self.groups]
        exported = self.scratch / "requirements.txt"
        if not reason:
            names = {"default": "packages", "develop": "dev-packages"}
            chosen = ",".join(names.get(category, category) for category in categories)
            done, output = self._try(
                ["pipenv", "requirements", "--hash", "--exclude-index", f"--categories={chosen}"], quiet=True
            )
            reason = "" if done else f"Pipenv does not export it ({_last_line(output)})"
            exported.write_text(self._output_only, encoding="utf-8")
        if reason:
            say(f"{reason}: Pipfile.lock is read without it, with its versions and hashes")
            lines = self._read(
                lambda: lock_readers.from_pipenv(self.folder, categories, default_index()),
                "Pipfile.lock", "Pipfile", "pipenv lock",
            )  # fmt: skip
            exported.write_text("\n".join([*lines, ""]), encoding="utf-8")
        # The source named "pypi" is the default index, which a mirror may replace; others are added.
        # Variables with credentials are not set here: pip's configuration has them.
        self._add_indexes(re.sub(r"\$\{?\w+\}?(:\$\{?\w+\}?)?@", "", u)
                          for u in lock_readers.pipfile_sources(self.folder / "Pipfile.lock"))  # fmt: skip
        self.uv("pip", "install", f"--requirement={exported}")

    def _lock_pipfile(self, reason: str) -> None:
        if reason:
            raise InstallError(f"SLIP-131: {reason}, and a Pipfile without a lock needs it; fix: "
                               "run `pipenv lock` and commit Pipfile.lock")  # fmt: skip
        say("there is no Pipfile.lock: nothing is pinned, each build may install other versions")
        # Always the image's Python, whichever the Pipfile names.
        path = self.folder / "Pipfile"
        path.write_text(re.sub(r"(?m)^python_(full_)?version\s*=.*$", "", requirements_text.read(path)))
        done, output = self._try(["pipenv", "lock"], environment=self._pipenv_environment())
        if not done:
            raise InstallError(
                f"SLIP-131: pipenv lock failed: {_last_line(output)}; fix: see its output above"
            )

    @staticmethod
    def _pipenv_environment() -> dict[str, str]:
        mirror = os.environ.get("UV_DEFAULT_INDEX", "")
        return {**os.environ, **({"PIPENV_PYPI_MIRROR": mirror} if mirror else {})}

    def _from_requirements(self, choice: dependency_choice.Choice) -> None:
        files = list(choice.files)
        if not self.production:
            files += [f for f in dependency_choice.development_files(self.folder) if f not in files]
        own = requirements_text.Cleaned("")
        texts = {p: t for name in files for p, t in dependency_choice.tree(self.folder / name).items()}
        for path, text in texts.items():
            done = requirements_text.clean(
                text, self.folder, self.folder, os.environ.get("UV_DEFAULT_INDEX", ""), default_index()
            )
            for note in done.notes:
                say(f"{path.relative_to(ROOT)}: {note}")
            path.write_text(done.text, encoding="utf-8")
            own.own |= done.own
            own.own_extras |= done.own_extras
            own.hashes |= done.hashes
            own.further_index |= done.further_index
        if own.further_index:
            _ask_all_indexes()
        overrides = self._overrides()
        hashes = ["--require-hashes"] if own.hashes and not own.own and not overrides else []
        sources = [f"--requirement={name}" for name in files]
        self._install_from_sources(sources, own.own_extras if own.own else None, [*hashes, *overrides])

    def _overrides(self) -> list[str]:
        packages = words("DEPENDENCY_OVERRIDES")
        if not packages:
            return []
        say(f"DEPENDENCY_OVERRIDES: {' '.join(packages)}, whatever the files say")
        path = self.scratch / "overrides.txt"
        path.write_text("\n".join([*packages, ""]), encoding="utf-8")
        return [f"--override={path}"]

    def _from_project(self, choice: dependency_choice.Choice) -> None:
        say("there is no lock: nothing is pinned, each build may install other versions")
        self._install_from_sources([], set(self.extras))

    def _install_from_sources(
        self, sources: list[str], own_extras: set[str] | None, options: Sequence[str] = ()
    ) -> None:
        """Install ``sources``, and the project's own requirements unless its extras are ``None``."""
        if own_extras is not None:
            extras = set(own_extras)
            sources = [*sources, *self._own_requirements(extras)]
        self.uv("pip", "install", *options, *sources)

    def _own_requirements(self, extras: set[str]) -> list[str]:
        """Return the requirements of the project's own metadata, as options of ``uv pip install``."""
        name = dependency_choice.own_metadata(self.folder)
        if not name:
            return []
        self._stub_texts()
        if name != "pyproject.toml":
            return [f"--requirement={name}", *(f"--extra={extra}" for extra in sorted(extras))]
        content = tomllib.loads((self.folder / name).read_text(encoding="utf-8-sig"))
        groups = list(self.groups)
        if not self.production:
            groups += [g for g in ("dev",) if g in content.get("dependency-groups", {}) and g not in groups]
            known = content.get("project", {}).get("optional-dependencies", {})
            extras |= {extra for extra in SERVER_EXTRAS if extra in known}
        if "project" not in content:
            return [f"--requirement={self._poetry_requirements(groups, extras)}"]
        sources = [f"--extra={extra}" for extra in sorted(extras)] + [f"--group={group}" for group in groups]
        dynamic = content.get("tool", {}).get("setuptools", {}).get("dynamic", {})
        if "dependencies" in content["project"].get("dynamic", []) and "dependencies" in dynamic:
            # Setuptools would read these, but needs the whole project for that.
            named = dynamic["dependencies"].get("file", [])
            files = [named] if isinstance(named, str) else named
            for extra in sorted(extras):
                further = dynamic.get("optional-dependencies", {}).get(extra, {}).get("file", [])
                files = [*files, *([further] if isinstance(further, str) else further)]
            return [f"--requirement={file}" for file in files]
        return [f"--requirement={name}", *sources]

    def _poetry_requirements(self, groups: Sequence[str], extras: set[str]) -> Path:
        """Return a file with Poetry's own notation as requirements, by Poetry's own library."""
        reason = self._install_tool("poetry-core")
        if reason:
            raise InstallError(f"SLIP-131: {reason}, and pyproject.toml is in Poetry's notation; fix: "
                               "run `poetry lock` and commit poetry.lock")  # fmt: skip
        out = self.scratch / "poetry.txt"
        command = [
            str(self.scratch / "poetry-core/bin/python"),
            str(KIT / "poetry_requirements.py"),
            str(out),
        ]
        command += ["--all-groups"] if not self.production else []
        command += [f"--group={group}" for group in groups] + [f"--extra={extra}" for extra in sorted(extras)]
        done, output = self._try(command)
        if not done:
            raise InstallError(
                f"SLIP-131: pyproject.toml cannot be read: {_last_line(output)}; fix: correct it"
            )
        return out

    def _stub_texts(self) -> None:
        """Create the README and other texts that metadata names and a build leaves out: it needs them."""
        for name in ("pyproject.toml", "setup.py", "setup.cfg"):
            path = self.folder / name
            text = requirements_text.read(path) if path.is_file() else ""
            for found in re.findall(
                r"[\w./-]+\.(?:md|rst)\b|\b(?:README|LICEN[CS]E|CHANGELOG|VERSION)\b", text
            ):
                missing = self.folder / found
                if not missing.exists() and missing.resolve().is_relative_to(ROOT):
                    missing.parent.mkdir(parents=True, exist_ok=True)
                    missing.touch()

    # --- What they share

    def uv(self, *arguments: str, quiet: bool = False) -> None:
        """Run uv; when a package fails to build, install compilers and run it again. Raises InstallError."""
        while True:
            done, output = self._try(["uv", *arguments], quiet=quiet)
            if done:
                return
            if quiet:
                sys.stderr.write(output)
            lacking, reason = build_packages.lacking(output, self._system_packages, _development_packages())
            if not lacking:
                raise InstallError(_reason(output))
            self._system_packages += lacking
            say(f"{reason}: installing {' '.join(lacking)} for the build, and trying again")
            subprocess.run([KIT / "install-packages", "--if-there", *lacking], check=True)

    def _try(
        self, command: Sequence[str], *, quiet: bool = False, environment: dict[str, str] | None = None
    ) -> tuple[bool, str]:
        """Run a command, passing its output on unless ``quiet``; return whether it succeeded, and the output.

        Its standard output alone is in ``_output_only``.
        """
        with subprocess.Popen(
            list(command), cwd=self.folder, env=environment, text=True, errors="replace",
            stdout=subprocess.PIPE, stderr=subprocess.PIPE if quiet else subprocess.STDOUT,
        ) as process:  # fmt: skip
            if quiet:
                self._output_only, errors = process.communicate()
                output = self._output_only + errors
            else:
                assert process.stdout
                lines = []
                for line in process.stdout:
                    sys.stdout.write(line)
                    sys.stdout.flush()
                    lines.append(line)
                output = "".join(lines)
        return process.returncode == 0, output

    def _install_tool(self, name: str) -> str:
        """Install a manager into an environment of its own; return why that failed, or nothing."""
        place = self.scratch / name
        self._try(["uv", "venv", "--quiet", "--no-project", "--no-config", str(place)], quiet=True)
        environment = {**os.environ, "VIRTUAL_ENV": str(place)}
        for variable in ("UV_PROJECT_ENVIRONMENT", "UV_PYTHON"):
            environment.pop(variable, None)
        command = ["uv", "pip", "install", "--quiet", "--require-hashes", "--no-config"]
        command += [f"--requirement={KIT / 'requirements' / f'{name}.txt'}"]
        done, output = self._try(command, quiet=True, environment=environment)
        os.environ["PATH"] = f"{place}/bin:{os.environ['PATH']}"
        return "" if done else f"{name.capitalize()} cannot be installed here ({_last_line(output)})"

    def _read(self, read: Callable[[], list[str]], lock: str, source: str, command: str) -> list[str]:
        try:
            return read()
        except lock_readers.StaleError as stale:
            self._stale(lock, source, command, str(stale))

    @staticmethod
    def _stale(lock: str, source: str, command: str, output: str) -> NoReturn:
        sys.stderr.write(output.rstrip() + "\n")
        raise InstallError(
            f"SLIP-056: {lock} does not match {source}; fix: run `{command}` and commit {lock}"
        )

    @staticmethod
    def _add_indexes(addresses: object) -> None:
        further = " ".join(addresses)  # type: ignore[call-overload]
        if further:
            os.environ["UV_INDEX"] = f"{os.environ.get('UV_INDEX', '')} {further}".strip()
            _ask_all_indexes()

    def _forget_required_version(self) -> None:
        """Remove uv's required-version: the build uses the kit's uv, whichever made the lock."""
        for path in (self.folder / "pyproject.toml", self.folder / "uv.toml"):
            text = requirements_text.read(path) if path.is_file() else ""
            if "required-version" in text:
                path.write_text(re.sub(r"(?m)^required-version\s*=.*$", "", text), encoding="utf-8")

    def _check_django(self, choice: dependency_choice.Choice) -> None:
        if not list(VENV.glob("lib/python3*/site-packages/django/__init__.py")):
            others = f" ({', '.join(choice.passed_over)} is there too)" if choice.passed_over else ""
            raise InstallError(
                f"SLIP-132: no Django is among what {', '.join(choice.files)} installs{others}; fix: name"
                " what does, by DEPENDENCY_DIR, DEPENDENCY_MANAGER, REQUIREMENTS_FILES or DEPENDENCY_GROUPS"
            )

    def _further(self, packages: Sequence[str]) -> None:
        """Install additional ``packages``, without changing the version of an installed one."""
        if not packages:
            return
        freeze = subprocess.run(["uv", "pip", "freeze"], capture_output=True, text=True, check=True).stdout
        constraints = self.scratch / "constraints.txt"
        pinned = [line for line in freeze.splitlines() if re.match(r"[\w.\-]+==", line)]
        constraints.write_text("\n".join([*pinned, ""]), encoding="utf-8")
        self.uv("pip", "install", f"--constraint={constraints}", *packages)


def _ask_all_indexes() -> None:
    # As pip and Poetry do: of all indexes, the best version. By default uv takes a package that an additional
    # index has from there alone, in however old a version.
    os.environ["UV_INDEX_STRATEGY"] = "unsafe-best-match"


def _development_packages() -> list[str]:
    """Return the Debian packages that this Python lacks for builds: its headers, the library it names."""
    asked = "import sysconfig as s; print(s.get_path('include'), s.get_config_var('py_version_short'))"
    asked += "; print(*(s.get_config_var(n) for n in ('LIBDIR', 'LDLIBRARY')), sep='/')"
    answer = subprocess.run([VENV / "bin/python", "-c", asked], capture_output=True, text=True, check=True)
    include, version, library = answer.stdout.split()
    return build_packages.for_python(version, include, library)


def _last_line(output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return lines[-1] if lines else "no output"


def _reason(output: str) -> str:
    """Return the most useful lines of uv's output: what failed, and the package's own last error."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    first = next(
        (line for line in lines if re.match("error: |\u00d7 ", line)), "error: the installation failed"
    )
    errors = [line for line in lines if re.match(r"(?:\w+\.)*\w*(?:Error|error|Exception)\b: ?\S", line)]
    # A compiler's first error says more than the failed command, with all its options.
    compiled = [line for line in lines if re.search(r":\d+: (?:fatal )?error: ", line)]
    own = compiled[:1] or [
        line for line in errors if line != first and not line.startswith("error: Command ")
    ]
    cause = [line for line in lines if line.startswith("cause: ")]
    return f"{first}: {own[-1]}" if own else f"{first}; {cause[-1]}" if cause else first


def main(arguments: list[str]) -> int:
    """Run the usage above; return the exit code."""
    scratch = Path(tempfile.mkdtemp())
    try:
        Installation(Path.cwd(), arguments[0] == "production", scratch).run()
    except (InstallError, dependency_choice.ChoiceError) as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
