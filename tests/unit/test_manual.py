"""The manual pages and docs/reference.md say what the help texts say."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from sbatch_shim import __released__, __version__
from sbatch_shim.flush import cli
from sbatch_shim.setup import manual
from sbatch_shim.verbs import sarray

REPO = Path(__file__).parent.parent.parent
REFERENCE = REPO / "docs" / "reference.md"


def comparable(text: str) -> list[str]:
    """The words of a help text, however this version of argparse writes options with several names."""
    text = re.sub(r"(-\w|--[\w-]+) (?:[A-Z]\w*|\{[\w,]+\}), (?=-)", r"\1, ", text)
    return text.split()


def section(name: str) -> str:
    found = re.search(rf"^## {re.escape(name)}\n\n```text\n(.*?)\n```$", REFERENCE.read_text(), re.M | re.S)
    assert found, f"no section {name}; docs/reference.py makes the page anew"
    return found[1]


@pytest.mark.parametrize("verb", ["", *sarray.VERBS])
def test_the_reference_says_what_sarray_says(verb: str) -> None:
    assert comparable(section(f"sarray {verb}".strip())) == comparable(manual.help_of(verb)), "see docs/reference.py"


def test_the_reference_says_what_sarray_flush_says() -> None:
    assert comparable(section("sarray-flush")) == comparable(manual.help_of_flush()), "see docs/reference.py"


def test_the_reference_names_no_command_that_does_not_exist() -> None:
    named = set(re.findall(r"^## (.*)$", REFERENCE.read_text(), re.M))
    assert named == {"sarray-flush", "sarray", *(f"sarray {verb}" for verb in sarray.VERBS)}


def shown(page: str) -> str:
    """The words of a page as a reader sees them, without its macros."""
    text = re.sub(r"^\.[A-Z]+ ?|^\.(?:nf|fi)$", "", page, flags=re.M)
    return " ".join(text.replace("\\&", "").replace("\\-", "-").replace("\\e", "\\").split())


def test_each_option_of_a_help_text_is_in_its_manual_page() -> None:
    pages = manual.pages()
    for name, texts in (
        ("man1/sarray-flush.1", [cli.USAGE]),
        ("man1/sarray.1", [sarray.USAGE, *map(manual.help_of, sarray.VERBS)]),
    ):
        told = shown(pages[name])
        for text in texts:
            missing = {word for word in re.findall(r"--[a-z][a-z-]+", text) if word not in told}
            assert not missing, name


def test_each_sentence_of_a_help_text_is_in_its_manual_page() -> None:
    told = shown(manual.pages()["man1/sarray.1"])
    for verb in sarray.VERBS:
        first = manual.help_of(verb).split("\n\n")[1]
        assert " ".join(first.split()) in told, verb


def test_all_variables_are_in_the_overview_and_in_the_page_about_installing() -> None:
    pattern = re.compile(r"\bSARRAY_[A-Z_]+\b")
    overview = set(pattern.findall(manual.pages()["man7/sbatch-shim.7"]))
    table = set(re.findall(r"`(SARRAY_[A-Z_]+)`", (REPO / "docs" / "installing.md").read_text()))
    assert overview == table


@pytest.mark.parametrize("page", manual.PAGES)
def test_roff_takes_the_manual_pages(page: str) -> None:
    text = manual.pages()[page]
    assert text.startswith(".TH ") and "\n.SH NAME\n" in text
    for words in (["groff", "-ww", "-man", "-Tutf8"], ["mandoc", "-Tlint", "-Wwarning"]):
        if shutil.which(words[0]):
            done = subprocess.run(words, input=text, capture_output=True, text=True, check=False)
            assert (done.returncode, done.stderr) == (0, "")


def test_the_manual_pages_carry_the_date_of_the_release() -> None:
    released = re.search(rf"^## \[{re.escape(__version__)}\] - (\S+)$", (REPO / "CHANGELOG.md").read_text(), re.M)
    assert released and released[1] == __released__
    assert all(f" {__released__} " in page.split("\n")[0] for page in manual.pages().values())


def test_what_a_manual_page_types_begins_at_the_margin() -> None:
    """Also the further lines of a usage, which stand below the first words in a help text."""
    page = manual.pages()["man1/sarray.1"]
    usage = re.search(r"^sarray status .*\n( +)", page, re.M)
    assert usage and usage[1] == " " * len("sarray status ")
    assert not re.search(r"^\.S[HS] .*\n\.PP$", page, re.M)


@pytest.mark.parametrize("page", manual.PAGES)
def test_a_manual_page_fits_a_terminal_of_80_columns(page: str) -> None:
    if not shutil.which("groff"):
        pytest.skip("groff is not here")
    words = ["groff", "-man", "-Tutf8", "-P-cbou", "-rLL=78n"]
    done = subprocess.run(words, input=manual.pages()[page], capture_output=True, text=True, check=True)
    assert not [line for line in done.stdout.splitlines() if len(line) > 80]


# Between backquotes, or on a line of its own.
OURS = r"(?:\./)?(?:sarray(?:-flush)?|install\.sh)"
COMMAND = re.compile(rf"`({OURS}(?: [^`]*)?)`|^(?:\$ )?({OURS}\b.*)$", re.M)
PAGES = [REPO / "README.md", *sorted((REPO / "docs").glob("*.md"))]
# Words behind which somebody else's options stand: those of sbatch, of a command that is run, of a filter.
END = {"--", "run", "|", "&&", ">", "#"}
# What sarray-flush and sarray submit hand on to sbatch.
OF_SBATCH = {"--account", "--reservation", "-t"}
OTHERS = {"docs/moving.md"}  # tells of the options of another program


def commands_in(page: Path) -> list[list[str]]:
    """The commands of ours that a page names, each as its words."""
    found = (match[1] or match[2] for match in COMMAND.finditer(page.read_text().replace("\\|", "/")))
    return [command.split() for command in found]


def help_for(words: list[str]) -> str:
    """The help text of the command that these words begin with."""
    name = words[0].removeprefix("./")
    if name == "install.sh":
        return (REPO / "install.sh").read_text()
    if name == "sarray-flush":
        return cli.USAGE
    verb = words[1] if len(words) > 1 else ""
    if verb == "flush":
        return cli.USAGE
    return manual.help_of(verb if verb in sarray.VERBS else "")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_each_command_that_a_page_names_exists(page: Path) -> None:
    for words in commands_in(page):
        last = next((at for at, word in enumerate(words[2:], 2) if word in END), len(words))
        if words[:2] == ["sarray", "run"]:
            last = next((at for at, word in enumerate(words) if at > 1 and not word.strip("[").startswith("--mode")), 2)
        for word in words[1:last]:
            option = re.match(r"\[?(--?[a-z][\w-]*)", word)
            if option and option[1] not in OF_SBATCH and str(page.relative_to(REPO)) not in OTHERS:
                assert re.search(rf"(?<![\w-]){option[1]}(?![\w-])", help_for(words)), " ".join(words)
        verb = words[1] if words[0] == "sarray" and len(words) > 1 else ""
        if re.fullmatch("[a-z]+", verb):
            assert verb in (*sarray.VERBS, "flush"), " ".join(words)
