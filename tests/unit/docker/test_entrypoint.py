"""docker/entrypoint.py: what it puts into the environment, and what it refuses."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import ModuleType
from urllib.parse import parse_qs, quote, unquote, urlsplit

import pytest
from kitfiles import DOCKER, load


@pytest.fixture
def entrypoint() -> ModuleType:
    return load("entrypoint")


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    (tmp_path / "db").write_text("pa$$ {word}\n")
    (tmp_path / "key").write_text("k1\r\n\n")
    return tmp_path


def test_a_placeholder_becomes_the_secret_wherever_it_stands(entrypoint: ModuleType, secrets: Path) -> None:
    """Red when only a whole value is looked at, or the trailing newline is kept."""
    given = {
        "URL": "postgres://app:{{secret:db}}@db/app",
        "TWO": "{{secret:key}}/{{ secret:key }}",
        "PLAIN": "x",
    }
    assert entrypoint.resolve(given, secrets) == {
        "URL": "postgres://app:pa%24%24%20%7Bword%7D@db/app",
        "TWO": "k1/k1",
        "PLAIN": "x",
    }


AWKWARD = "p@ss/w#r%d:?&x"
ENCODED = "p%40ss%2Fw%23r%25d%3A%3F%26x"


@pytest.mark.parametrize(
    ("value", "filled"),
    [
        ("postgres://app:{{secret:pw}}@db/app", f"postgres://app:{ENCODED}@db/app"),
        ("postgres+psycopg://app:{{ secret:pw }}@db/app", f"postgres+psycopg://app:{ENCODED}@db/app"),
        ("postgres:///app?user=app&password={{secret:pw}}", f"postgres:///app?user=app&password={ENCODED}"),
        ("amqp://{{secret:pw}}:{{secret:pw}}@mq//", f"amqp://{ENCODED}:{ENCODED}@mq//"),
        (" redis://:{{secret:pw}}@redis:6379/0", f" redis://:{ENCODED}@redis:6379/0"),
        # No URL, or a secret that is one.
        ("{{secret:pw}}", AWKWARD),
        ("host=db password={{secret:pw}}", f"host=db password={AWKWARD}"),
        ("{{secret:url}}", f"smtp://me:{AWKWARD}@mail"),
        ("x{{secret:pw}}://", f"x{AWKWARD}://"),
    ],
)
def test_inside_a_url_a_secret_is_percent_encoded(
    entrypoint: ModuleType, secrets: Path, value: str, filled: str
) -> None:
    """Red when it is put in as it is: its own @ / ? # end the parts of the URL."""
    (secrets / "pw").write_text(f"{AWKWARD}\n")
    (secrets / "url").write_text(f"smtp://me:{AWKWARD}@mail\n")
    assert entrypoint.resolve({"A": value}, secrets) == {"A": filled}


def test_what_reads_urls_decodes_it_again(entrypoint: ModuleType, secrets: Path) -> None:
    """Red when a character, or one beyond ASCII, is encoded in another way than RFC 3986 decodes."""
    text = "".join(map(chr, range(32, 127))) + "äß日\U0001f511"
    (secrets / "all").write_text(text, encoding="utf-8")
    url = entrypoint.resolve({"A": "postgres://u:{{secret:all}}@db/app?password={{secret:all}}"}, secrets)[
        "A"
    ]
    assert entrypoint.percent_encoded(text) == quote(text, safe="")
    parts = urlsplit(url)
    assert unquote(parts.password or "") == text and parts.hostname == "db" and parts.path == "/app"
    assert parse_qs(parts.query) == {"password": [text]}


@pytest.mark.parametrize(
    "value", ["{{ user }}", "{{}}", "{{{a}}}", "{secret:db}", '{"a": {"b": 1}}', "{% now %}"]
)
def test_other_braces_are_the_projects_own(entrypoint: ModuleType, secrets: Path, value: str) -> None:
    """Red when everything in double braces counts as a placeholder."""
    assert entrypoint.resolve({"TEMPLATE": value}, secrets) == {"TEMPLATE": value}


def test_a_secret_is_not_searched_for_placeholders(entrypoint: ModuleType, secrets: Path) -> None:
    """Red when the replacement is repeated until nothing is left to replace."""
    (secrets / "odd").write_text("{{secret:db}}")
    assert entrypoint.resolve({"A": "{{secret:odd}}"}, secrets) == {"A": "{{secret:db}}"}


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("{{secret:nope}}", "does not exist"),
        ("{{secret:folder}}", "cannot be read"),
        ("{{secret:zero}}", "zero byte"),
        ("{{secret:../db}}", "unknown placeholder {{secret:../db}}"),
        ("{{secret:}}", "unknown placeholder {{secret:}}"),
        ("{{secert:db}}", "unknown placeholder {{secert:db}}"),
    ],
)
def test_what_cannot_be_filled_names_the_variable_and_the_fix(
    entrypoint: ModuleType, secrets: Path, value: str, reason: str
) -> None:
    """Red when a missing secret becomes an empty value, or a path may leave the folder."""
    (secrets / "folder").mkdir()
    (secrets / "zero").write_bytes(b"a\0b")
    with pytest.raises(entrypoint.EntrypointError) as caught:
        entrypoint.resolve({"DATABASE_URL": value}, secrets)
    message = str(caught.value)
    assert message.startswith("SLIP-058: DATABASE_URL ")
    assert reason in message
    assert "\n  fix: " in message


def run(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-IS", str(DOCKER / "entrypoint.py"), *command],
        env={"PATH": "/usr/bin:/bin", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_command_takes_the_process_over() -> None:
    """Red when the command is started as a child: it has another process id than the one started here."""
    process = subprocess.Popen(
        [sys.executable, "-IS", str(DOCKER / "entrypoint.py"), "sh", "-c", "echo $$"],
        stdout=subprocess.PIPE,
        text=True,
    )
    output, _ = process.communicate(timeout=30)
    assert int(output) == process.pid


@pytest.mark.parametrize(
    ("command", "code"),
    [((), 1), (("sh", "-c", "exit 7"), 7), (("no-such-command-here",), 127), (("/",), 126)],
)
def test_exit_codes_are_the_shells(command: tuple[str, ...], code: int) -> None:
    """Red when an exec that fails ends in a traceback (exit 1)."""
    done = run(*command)
    assert done.returncode == code
    assert "Traceback" not in done.stderr


def test_a_missing_secret_is_one_message_and_exit_1() -> None:
    """Red when EntrypointError is not caught in main."""
    done = run("true", TOKEN="{{secret:no_such_secret_here}}")
    assert done.returncode == 1
    assert done.stderr.startswith("SLIP-058: TOKEN")
    assert "Traceback" not in done.stderr


# --- Temporary files


def _folders(volume: Path) -> set[str]:
    return {path.name for path in volume.iterdir()}


def test_each_process_has_a_folder_of_its_own_until_it_ends(tmp_path: Path) -> None:
    """Red when a process is taken for ended that still runs, or what a killed one has left stays for ever.

    Seen with `set_inheritable` away: the second start deleted the uploads of the first.
    """
    volume = tmp_path / "temporary"
    volume.mkdir()
    (volume / "stray").mkdir()
    script = (
        f"import os, sys; sys.path.insert(0, {str(DOCKER)!r}); import entrypoint\n"
        f"environment = entrypoint.with_temporary_folder({{}}, {str(volume)!r})\n"
        "open(environment['TMPDIR'] + '/upload', 'w').close()\n"
        # As the entrypoint does, the process becomes another program.
        "os.execvpe(sys.executable, [sys.executable, '-c', 'print(flush=True); input()'], environment)\n"
    )

    def start() -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout and process.stdout.readline() == "\n"
        return process

    first = start()
    (one,) = _folders(volume)
    second = start()
    both = _folders(volume)
    assert len(both) == 2 and one in both
    assert (volume / one / "upload").exists()
    first.kill()
    first.communicate()
    third = start()
    left = _folders(volume)
    assert one not in left and len(left) == 2 and both - {one} < left
    for process in (second, third):
        process.communicate("\n")


def test_temporary_files_go_where_somebody_says_or_to_memory(entrypoint: ModuleType, tmp_path: Path) -> None:
    """Red when a project's own TMPDIR is lost, or a container without the volume does not start."""
    assert entrypoint.with_temporary_folder({"TMPDIR": "/app/x"}, str(tmp_path)) == {"TMPDIR": "/app/x"}
    assert entrypoint.with_temporary_folder({"A": "b"}, str(tmp_path / "none")) == {"A": "b"}


def test_a_full_disk_keeps_nobody_from_starting(
    entrypoint: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Red when the error of mkdir ends the container: the site would be down until somebody comes."""

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.mkdir", refuse)
    assert entrypoint.with_temporary_folder({"A": "b"}, str(tmp_path)) == {"A": "b"}


def test_what_the_project_writes_beside_its_code_is_on_the_disk_too(
    entrypoint: ModuleType, tmp_path: Path
) -> None:
    """Red when a folder for uploads that the settings make lies in memory."""
    (tmp_path / "opt/slipway").mkdir(parents=True)
    (tmp_path / "opt/slipway/paths").write_text("folder\t/app/incoming\n")
    (tmp_path / "tmp").mkdir()
    disk = tmp_path / "disk"
    disk.mkdir()
    for _ in range(2):
        entrypoint.prepare(str(tmp_path), temporary=str(disk))
    assert (disk / "app/incoming").is_dir()


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ((1024, 524_288), (65_536, 524_288)),
        ((1024, 4096), (4096, 4096)),
        ((1024, -1), (65_536, -1)),
        ((1_048_576, 1_048_576), None),
        ((-1, -1), None),
        ((4096, 4096), None),
    ],
)
def test_open_files_are_allowed_as_far_as_the_engine_lets(
    entrypoint: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    limits: tuple[int, int],
    expected: tuple[int, int] | None,
) -> None:
    """Red when a soft limit of 1024 stays, one is lowered, or more is asked for than may be had."""
    given: list[tuple[int, int]] = []
    monkeypatch.setattr("resource.getrlimit", lambda _: limits)
    monkeypatch.setattr("resource.setrlimit", lambda _, pair: given.append(pair))
    entrypoint.allow_open_files()
    assert given == ([expected] if expected else [])
