"""What README.md and docs/ say exists: links, tasks and their flags, sessions, variables, defaults."""

from __future__ import annotations

import copy
import re
import shlex
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from invoke.exceptions import ParseError
from invoke.program import Program

import tasks
from slipway.config.settings import load, variables
from slipway.core.checkout import ROOT

README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").rglob("*.md"))]

_FENCE = re.compile(
    r"^(?P<mark>```+)(?P<language>\w*)\n(?P<text>.*?)^(?P=mark)[ \t]*$", re.MULTILINE | re.DOTALL
)
_SPAN = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"!?\[[^\]]*\]\((?P<markdown>[^)\s]+)\)|(?:src|srcset|href)=\"(?P<html>[^\"]+)\"")
_INVOKE = re.compile(r"(?:^|[\s(;&])((?:\./bootstrap )?invoke(?: .*)?)$")
# Where one command of a line ends.
_END = {"|", "||", "&&", ";", ">", ">>", "<", "&", ")"}
_DOCKER_COMMANDS = (
    "docker images", "docker build", "docker rmi", "docker run", "docker ps", "docker stop", "docker start",
    "docker restart", "docker rm", "docker exec", "docker logs", "docker logs --follow",
    "docker logs --tail", "docker logs --since", "docker stats", "docker inspect", "docker container prune",
    "docker image prune", "docker volume prune", "docker network prune", "docker system prune",
    "docker network ls", "docker volume ls",
)  # fmt: skip


def _page(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _prose(text: str) -> str:
    """The text without its code: what looks like a link in there is none."""
    return _SPAN.sub("", _FENCE.sub("", text))


def _anchors(text: str) -> set[str]:
    """The anchors GitHub gives a page's headings; a repeated one gets a number."""
    seen: dict[str, int] = {}
    found = set()
    for heading in re.findall(r"^#{1,6} (.+?)\s*#*$", _FENCE.sub("", text), re.MULTILINE):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        number = seen.get(slug, 0)
        seen[slug] = number + 1
        found.add(f"{slug}-{number}" if number else slug)
    return found


def broken_links(path: Path) -> list[str]:
    """The relative links of a page that lead nowhere."""
    broken = []
    for match in _LINK.finditer(_prose(_page(path))):
        target = match["markdown"] or match["html"]
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = (path.parent / name).resolve() if name else path
        if not file.exists() or (anchor and anchor not in _anchors(_page(file))):
            broken.append(target)
    return broken


def invoke_commands(text: str) -> Iterator[list[str]]:
    """The argv of every ``invoke`` call in a page's code blocks and code spans."""
    for code in _code(text):
        for line in code.splitlines():
            found = _INVOKE.search(line.strip())
            # `invoke` alone is the name of the program.
            if not found or found[1].split()[-1] == "invoke":
                continue
            lexer = shlex.shlex(found[1], posix=True, punctuation_chars="|&;<>()")
            lexer.whitespace_split = True
            words = list(lexer)
            end = next((i for i, word in enumerate(words) if word in _END), len(words))
            argv = words[:end]
            yield argv[argv.index("invoke") :]


def _code(text: str) -> Iterator[str]:
    for fence in _FENCE.finditer(text):
        yield fence["text"]
    # A | in a table's code span is written \|.
    yield from (span.replace("\\|", "|") for span in _SPAN.findall(_FENCE.sub("", text)))


def nox_names(text: str) -> Iterator[tuple[str, str]]:
    """``-s`` or ``-t`` and each name after it, of every ``nox`` call in a page's code."""
    for code in _code(text):
        for call in re.findall(r"\bnox (-[st] .*)", code):
            option, *words = shlex.split(call, comments=True)
            names = words[: words.index("--")] if "--" in words else words
            yield from ((option, name) for name in names)


def check_command(argv: list[str]) -> None:
    """Let Invoke itself parse ``argv``. Raises ``ParseError`` for a task or a flag that does not exist."""
    # Invoke takes the help texts out of the tasks that it parses for; other tests look at them.
    program = Program(namespace=copy.deepcopy(tasks.namespace))
    program.create_config()
    program.parse_core(argv)
    program.parse_collection()
    if re.fullmatch(r"[A-Z]+", argv[-1]) and "--help" in argv:
        return  # `invoke --help TASK` stands for any
    program.parse_tasks()


def table(heading: str) -> list[list[str]]:
    """The cells of the rows of README's first table under a heading."""
    section = re.search(
        rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", _page(README), re.MULTILINE | re.DOTALL
    )
    assert section, f"README.md has no section {heading!r}"
    rows = [line for line in section[1].splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]] for row in rows[2:]]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    """Red when a page is renamed, or a heading that others link to is reworded."""
    assert broken_links(path) == []


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_command_can_be_typed_as_written(path: Path) -> None:
    """Red when a page names a task or a flag that does not exist, or leaves out a required argument."""
    for argv in invoke_commands(_page(path)):
        try:
            check_command(argv)
        except ParseError as wrong:
            pytest.fail(f"{shlex.join(argv)}: {wrong}")


@pytest.mark.parametrize(
    ("text", "argv"),
    [
        ("`invoke up --prod`", ["invoke", "up", "--prod"]),
        ("```sh\nx=$(invoke --dry ps | sed 's/ ps$//')\n```\n", ["invoke", "--dry", "ps"]),
        ("```\n$ A=1 ./bootstrap invoke ps | cat  # x\n```\n", ["invoke", "ps"]),
        ('| `invoke manage "migrate --plan"` | x |', ["invoke", "manage", "migrate --plan"]),
    ],
)
def test_commands_are_found(text: str, argv: list[str]) -> None:
    """Red when a way of writing a command is overlooked: it would then never be checked."""
    assert list(invoke_commands(text)) == [argv]


@pytest.mark.parametrize("command", ["invoke uo", "invoke up --fast", "invoke exec", "invoke ps web"])
def test_wrong_commands_are_refused(command: str) -> None:
    """Red when the check of commands lets everything pass."""
    with pytest.raises(ParseError):
        check_command(command.split())


@pytest.fixture(scope="module")
def sessions() -> dict[str, set[str]]:
    """The sessions as nox itself lists them, those that run by default and the others, with their tags."""
    argv = [sys.executable, "-m", "nox", "--list", "--nocolor", "--noxfile", str(ROOT / "noxfile.py")]
    listing = subprocess.run(argv, capture_output=True, text=True, check=True, cwd=ROOT).stdout
    lines = re.findall(r"^[*-] (\S+)(?: \[(.*?)\])? ->", listing, re.MULTILINE)
    return {session: set(re.findall(r"\w+", tags)) for session, tags in lines}


def _by_name(sessions: Iterable[str]) -> set[str]:
    """What may stand after -s: a session, or all of its parametrisations."""
    return {word for session in sessions for word in (session, session.partition("(")[0])}


def test_every_session_that_is_named_exists(sessions: dict[str, set[str]]) -> None:
    """Red when a nox session or tag is renamed and a page is not."""
    valid = {"-s": _by_name(sessions), "-t": set().union(*sessions.values())}
    named = [(path.name, *found) for path in PAGES for found in nox_names(_page(path))]
    assert {option for _, option, _ in named} == {"-s", "-t"}
    assert [entry for entry in named if entry[2] not in valid[entry[1]]] == []


def test_readme_says_what_each_session_proves(sessions: dict[str, set[str]]) -> None:
    """Red when a session is added and README's table does not have it."""
    named = {name for row in table("What is tested") for _, name in nox_names(row[0])}
    assert [session for session in sessions if not _by_name([session]) & named] == []


def test_readme_lists_every_task_once() -> None:
    """Red when a task is missing from README's table."""
    first_words = [argv[1] for row in table("Commands") for argv in invoke_commands(row[0])]
    missing = set(tasks.namespace.task_names) - set(first_words)
    assert not missing


def test_readme_replaces_every_docker_command_of_the_tutorials() -> None:
    """Red when a docker command that people know is not in README's table."""
    spans = [span for row in table("Commands") for span in _SPAN.findall(row[1])]
    missing = [wanted for wanted in _DOCKER_COMMANDS if not any(_is_call(wanted, span) for span in spans)]
    assert not missing


def _is_call(wanted: str, span: str) -> bool:
    """Whether ``span`` is a call of ``wanted``, with a flag of ``wanted`` anywhere in it."""
    words = [word for word in wanted.split() if not word.startswith("--")]
    flags = [word for word in wanted.split() if word.startswith("--")]
    return span.split()[: len(words)] == words and all(flag in span.split() for flag in flags)


def test_readme_states_the_real_defaults() -> None:
    """Red when a variable of the table is renamed, or its default differs from ``Settings``."""
    rows = table("Settings: `.env`")
    assert rows
    for cells in rows:
        for name, default in zip(_SPAN.findall(cells[0]), _defaults(cells[1]), strict=True):
            assert name in variables(), name
            assert default == variables()[name].default, name


def test_readme_names_the_file_to_open_for_each_wish(checkout: Path) -> None:
    """Red when a file or variable of the table is renamed, or a value is refused as it is written there."""
    rows = table("Where do I change…")
    assert len(rows) == 11
    (checkout / "compose").mkdir()
    (checkout / "compose/mine.yaml").write_text("services: {}\n")
    for wish, opened, written in rows:
        if opened == "`.env`":
            lines = [span for span in _SPAN.findall(written) if "=" in span]
            (checkout / ".env").write_text("\n".join(lines) + "\n")
            found = load(checkout, environ={})
            names = {line.split("=")[0] for line in lines}
            known = {name for name in names & variables().keys() if found.is_set_by_hand(name)}
            assert names == known or found.scheduled_commands, wish
        elif found_paths := _SPAN.findall(opened):
            path = ROOT / found_paths[0]
            assert path.exists() or path.parent.is_dir(), wish


def _defaults(cell: str) -> list[str]:
    """The defaults in a cell, one per variable of the row; words without backticks mean: empty."""
    return [span[0] if (span := _SPAN.findall(part)) else "" for part in cell.split(", ")]


def test_the_index_lists_every_page() -> None:
    """Red when a page is added and docs/README.md does not lead to it."""
    index = ROOT / "docs" / "README.md"
    linked = {(index.parent / m["markdown"]).resolve() for m in _LINK.finditer(_page(index)) if m["markdown"]}
    assert set(PAGES) - {README, index} <= linked


def test_every_volume_and_network_is_explained() -> None:
    """Red when a Compose file gets a volume or a network that its page does not name."""
    for kind, name_in_page in (("volumes", "_{}`"), ("networks", "`{}`")):
        text = _page(ROOT / "docs" / f"{kind}.md")
        names = {
            name
            for path in (ROOT / "compose").glob("*.yaml")
            for section in re.findall(rf"^{kind}:\n((?:(?:  .*)?\n)+)", _page(path) + "\n", re.MULTILINE)
            for name in re.findall(r"^  ([\w-]+):", section, re.MULTILINE)
        }
        assert names
        assert [name for name in sorted(names) if name_in_page.format(name) not in text] == []


def test_the_architecture_page_names_every_module() -> None:
    """Red when a module of slipway/ is added, renamed or removed without it."""
    page = (ROOT / "docs" / "architecture.md").read_text()
    named = set(re.findall(r"`(\w+\.py)`", page[: page.index("## Files a user owns")]))
    modules = {path.name for path in (ROOT / "slipway").rglob("*.py")} - {"__init__.py"}
    assert named - {"tasks.py", "noxfile.py"} == modules
