"""What README.md and docs/ say exists: links, tasks and their flags, sessions, variables, defaults."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from invoke.exceptions import ParseError
from invoke.program import Program

import tasks
from slipway.settings import variables

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").rglob("*.md"))]

_FENCE = re.compile(
    r"^(?P<mark>```+)(?P<language>\w*)\n(?P<text>.*?)^(?P=mark)[ \t]*$", re.MULTILINE | re.DOTALL
)
_SPAN = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"!?\[[^\]]*\]\((?P<markdown>[^)\s]+)\)|(?:src|srcset|href)=\"(?P<html>[^\"]+)\"")
_INVOKE = re.compile(r"(?:^|[\s(;&])((?:\./bootstrap )?invoke(?: .*)?)$")
_NOX = re.compile(r"\bnox ((?:-s [\w\"'(),= -]+?|-t \w+))(?= --|[^\w\"'(),= -]|$)", re.MULTILINE)
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


def check_command(argv: list[str]) -> None:
    """Let Invoke itself parse ``argv``. Raises ``ParseError`` for a task or a flag that does not exist."""
    program = Program(namespace=tasks.namespace)
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


def test_every_session_that_is_named_exists() -> None:
    """Red when a nox session or tag is renamed and a page is not."""
    tree = ast.parse(_page(ROOT / "noxfile.py"))
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    sessions = {f.name for f in functions if any("nox.session" in ast.unparse(d) for d in f.decorator_list)}
    tags = set(re.findall(r"tags=\[['\"](\w+)['\"]\]", ast.unparse(tree)))
    named = [(path.name, words) for path in PAGES for words in _NOX.findall(_page(path))]
    assert named
    for page, words in named:
        option, _, names = words.partition(" ")
        wanted = {re.split(r"[(\"']", name)[0] for name in shlex.split(names) if name}
        assert wanted <= (sessions if option == "-s" else tags), f"{page}: nox {words}"


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


def _defaults(cell: str) -> list[str]:
    """The defaults in a cell, one per variable of the row; words without backticks mean: empty."""
    return [span[0] if (span := _SPAN.findall(part)) else "" for part in cell.split(", ")]


def test_the_index_lists_every_page() -> None:
    """Red when a page is added and docs/README.md does not lead to it."""
    index = ROOT / "docs" / "README.md"
    linked = {(index.parent / m["markdown"]).resolve() for m in _LINK.finditer(_page(index)) if m["markdown"]}
    assert set(PAGES) - {README, index} <= linked
