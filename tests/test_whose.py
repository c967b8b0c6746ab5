"""sarray whose: by real job, element and ticket; for root everybody's, whatever a user does about it."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.person import USER, Person, Result

from sbatch_shim.state import users
from sbatch_shim.verbs import whose
from sbatch_shim.verbs.whose import Holder

needs_root = pytest.mark.skipif(os.geteuid() != 0 or not USER, reason="needs root and a test user")


def ask(person: Person, *words: str) -> Result:
    return person.run("sarray", "whose", *words, env=person.environment())


def ticket_of(result: Result) -> str:
    assert result.status == 0, result.err
    return result.out.decode().split()[-1]


@pytest.mark.slurm
def test_a_user_asks_for_calls_of_their_own(person: Person) -> None:
    first, second = (ticket_of(person.queue("-H", "--wrap=true", "-o", "/dev/null")) for _ in range(2))
    array = ticket_of(person.queue("-H", "-a", "3,5", "--wrap=true", "-o", "/dev/null"))
    done = ask(person, first)
    user = USER or "root"
    assert (done.status, done.out.decode()) == (0, f"{first}: ticket {first} of {user}, queued, session test\n")
    flushed = person.flush("--parsable", "--keep-arrays")
    assert flushed.status == 0, flushed.err
    one, other = flushed.out.decode().split()
    done = ask(person, second)
    assert done.out.decode() == f"{second}: ticket {second} of {user}, submitted as {one}_1, session test\n"
    done = ask(person, f"{one}_0", f"{other}_5")
    assert done.out.decode().splitlines() == [
        f"{one}_0: ticket {first} of {user}, submitted as {one}_0, session test",
        f"{other}_5: ticket {array} (task 5) of {user}, submitted as {other}_5, session test",
    ]
    found = json.loads(ask(person, one, "--json").out)["found"]
    assert [(row["ticket"], row["jobs"]) for row in found] == [(first, f"{one}_0"), (second, f"{one}_1")]
    done = ask(person, f"{one}_2", "1")
    assert (done.status, done.out) == (1, b"") and done.err.count(b"is neither a ticket nor a merged job in ") == 2
    for word in ("x", "-1", "5_[1-2]", "../1", ""):
        assert ask(person, "--", word).status == 2


@pytest.fixture
def homes(person: Person, scratch: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Path]]:
    """The homes of two users, with their state folders in the usual place; root finds just these."""
    other = Path(tempfile.mkdtemp(prefix="other-", dir=scratch))
    os.chown(other, 65534, 65534)
    (person.home / ".local").mkdir()
    (person.home / ".local/state").mkdir()
    person.own(person.home / ".local")
    uid, gid = person.home.stat().st_uid, person.home.stat().st_gid
    known = {person.home: (uid, gid, "first"), other: (65534, 65534, "second")}
    monkeypatch.setattr(whose, "homes", lambda: known)
    yield {"first": person.home, "second": other}
    subprocess.run(["rm", "-rf", str(other)], check=True)


def call_at(person: Person, home: Path) -> str:
    """Queue a call as the owner of a home; its ticket."""
    owner = home.stat()
    env = {**person.environment(SARRAY_MODE="queue", SARRAY_SESSION="s"), "HOME": str(home)}
    del env["SARRAY_STATE_DIR"]
    done = subprocess.run(
        ["sbatch", "--parsable", "--wrap=true"],
        env=env,
        cwd=home,
        user=owner.st_uid,
        group=owner.st_gid,
        extra_groups=[],
        capture_output=True,
        check=True,
    )
    return done.stdout.decode().strip()


@needs_root
def test_root_asks_for_everybody(person: Person, homes: dict[str, Path]) -> None:
    first, second = (call_at(person, home) for home in homes.values())
    found, unseen = whose.everybody([first, second, "7"])
    assert [(one.user, one.word, one.state) for one in found] == [
        ("first", first, "queued"),
        ("second", second, "queued"),
    ]
    assert unseen == []


@needs_root
def test_root_opens_nothing_that_a_user_has_put_there(
    person: Person, homes: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A link to the private folder of another user, or of root, leads nowhere; one that hangs is given up."""
    second = call_at(person, homes["second"])
    link = homes["first"] / ".local/state/sarray"
    link.symlink_to(homes["second"] / ".local/state/sarray")
    found, _ = whose.everybody([second])
    assert [one.user for one in found] == ["second"]
    link.unlink()
    private = homes["first"] / "private"
    for target in (Path("/root"), Path("/proc/1/root"), private):
        link.symlink_to(target)
        assert [one.user for one in whose.everybody([second])[0]] == ["second"]
        link.unlink()
    monkeypatch.setattr(users, "LOOK", 1)
    folder = link / "sessions/s"
    folder.mkdir(parents=True)
    os.mkfifo(folder / "queue")
    (link / "blocks").mkdir()
    (link / "blocks" / str((int(second) - 1000000000) // 1000)).write_text("s")
    person.own(link)
    known = whose.homes()
    monkeypatch.setattr(whose, "homes", lambda: {homes["first"]: known[homes["first"]]})
    assert whose.everybody([second]) == ([], [f"first ({link})"])


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"7",
        b"[]",
        b"{}",
        b"[" * 100000,
        b"\xff",
        b'{"word": "7", "ticket": "7", "tasks": "", "state": "queued", "jobs": "", "session": "a\\u001b[2J"}',
        b'{"word": "7", "ticket": "7", "tasks": "", "state": "queued", "jobs": "7\\n8", "session": "a"}',
        b'{"word": "7", "ticket": 7, "tasks": "", "state": "queued", "jobs": "", "session": "a"}',
    ],
)
def test_what_another_user_tells_is_not_believed(line: bytes) -> None:
    assert Holder.of_json(line) is None
    good = Holder("7", "1000000000", "", "queued", "", "a")
    assert Holder.of_json(json.dumps({**good.__dict__, "user": "root", "more": 1}).encode()) == good
