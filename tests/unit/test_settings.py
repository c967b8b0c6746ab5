"""config.ini of a site: what it may say, what is refused and in which words, and what it comes to."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sbatch_shim.errors import ShimError
from sbatch_shim.flush import cli
from sbatch_shim.flush.backends.sbatch import limits_of
from sbatch_shim.merge.limits import Limits
from sbatch_shim.setup.install import launcher
from sbatch_shim.state import settings
from sbatch_shim.state.settings import SETTINGS, Settings


@pytest.fixture
def prefix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A prefix whose shims are in use, and no file for all of the machine."""
    monkeypatch.setattr(settings, "EVERYWHERE", tmp_path / "etc/config.ini")
    monkeypatch.setattr(settings, "prefix", lambda: tmp_path)
    (tmp_path / "installed.json").write_text("{}")
    return tmp_path


def test_what_a_file_says(prefix: Path) -> None:
    (prefix / "config.ini").write_text(
        "[defaults]\nids = ticket\nidle = 2.5\nthrottle = 100  # tasks\n[caps]\nThrottle: 500\nkeeper = off\n"
    )
    found = settings.read(prefix)
    assert found.source == f"{prefix}/config.ini"
    assert found.defaults == {"ids": "ticket", "idle": "2.5", "throttle": "100"}
    assert found.caps == {"throttle": "500", "keeper": "off"}


def test_where_it_is_looked_for(prefix: Path) -> None:
    assert not settings.read(prefix)
    (prefix / "etc").mkdir()
    (prefix / "etc/config.ini").write_text("[caps]\nfeed = off\n")
    assert settings.read(prefix).source == f"{prefix}/etc/config.ini"
    (prefix / "config.ini").write_text("")
    assert settings.read(prefix) == Settings(f"{prefix}/config.ini")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[defaults]\nmode = queue\n", "[defaults] has no 'mode'; it can set ids, keeper, idle, "),
        ("[caps]\nidle = 3\n", "[caps] has no 'idle'; it can set ids, keeper, throttle, feed"),
        ("[default]\n", "there is no section [default]; it can be [defaults] or [caps]"),
        ("[DEFAULT]\nids = real\n", "there is no section [DEFAULT]"),
        ("[defaults]\nids = all\n", "ids = all in [defaults] is not understood; it can be ticket or auto or real"),
        ("[caps]\nids = auto\n", "ids = auto in [caps] is not understood; it can be ticket"),
        ("[caps]\nthrottle = 0\n", "throttle = 0 in [caps] is not understood; it can be a number from 1 up"),
        ("[caps]\nthrottle = 1.5\n", "it can be a number from 1 up"),
        ("[defaults]\nidle = -1\n", "it can be a number from 0 up"),
        ("[defaults]\nidle = nan\n", "it can be a number from 0 up"),
        ("[defaults]\nidle = $(id)\n", "it can be a number from 0 up"),
        ("ids = real\n", "is not understood: File contains no section headers."),
        ("[defaults]\nids = real\nids = auto\n", "is not understood: "),
    ],
)
def test_what_is_refused_is_one_clear_sentence(prefix: Path, text: str, told: str) -> None:
    (prefix / "config.ini").write_text(text)
    with pytest.raises(ShimError) as caught:
        settings.read(prefix)
    assert str(caught.value).startswith(f"{prefix}/config.ini") and told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_text(prefix: Path) -> None:
    (prefix / "config.ini").write_bytes(b"\xff\xfe")
    with pytest.raises(ShimError, match="is not understood"):
        settings.read(prefix)
    (prefix / "config.ini").unlink()
    (prefix / "config.ini").symlink_to("/nowhere")
    with pytest.raises(ShimError, match="cannot be read: No such file"):
        settings.read(prefix)


def test_doctor_tells_what_came_from_where() -> None:
    site = Settings(
        "/opt/config.ini", {"idle": "3", "max-wait": "30", "throttle": "20"}, {"throttle": "50", "ids": "ticket"}
    )
    shown = site.shown({"SARRAY_IDLE": "5", "SARRAY_IDS": "real", "SARRAY_KEEPER": ""})
    assert shown == [
        "ids = ticket ([caps] of /opt/config.ini)",
        f"keeper = {SETTINGS['keeper'].usual} (built in)",
        "idle = 5 ($SARRAY_IDLE)",
        "max-wait = 30 ([defaults] of /opt/config.ini)",
        "linger = 60 (built in)",
        "throttle = at most 50 ([caps] of /opt/config.ini)",
        "feed = off (built in)",
    ]


def test_what_is_in_effect_is_what_was_installed(prefix: Path) -> None:
    """A file that was edited since, or is broken, is told of, and changes nothing."""
    assert settings.in_effect() == Settings() and not settings.changed(Settings())
    (prefix / "config.ini").write_text("[caps]\nthrottle = 5\n")
    assert settings.changed(settings.in_effect()) == (
        f"{prefix}/config.ini has changed, which takes effect with {prefix}/bin/sarray install"
    )
    (prefix / "settings.json").write_text(settings.read(prefix).text())
    in_effect = settings.in_effect()
    assert in_effect == settings.read(prefix) and not settings.changed(in_effect)
    (prefix / "config.ini").write_text("[caps]\nthrottle = many\n")
    assert settings.in_effect() == in_effect
    assert settings.changed(in_effect).endswith("; what was installed before is in effect")
    (prefix / "settings.json").write_text("{")
    assert settings.in_effect() == Settings()


@pytest.mark.parametrize(
    ("asked", "own", "usual", "most", "wanted"),
    [
        (None, 0, 0, 0, 0),
        (None, 7, 0, 0, 7),
        (None, 0, 20, 0, 20),
        (None, 7, 20, 0, 7),
        (0, 7, 20, 0, 0),
        (None, 0, 0, 50, 50),
        (None, 70, 0, 50, 50),
        (None, 7, 0, 50, 7),
        (0, 0, 20, 50, 50),
        (90, 0, 20, 50, 50),
        (9, 0, 20, 50, 9),
    ],
)
def test_a_throttle(asked: int | None, own: int, usual: int, most: int, wanted: int) -> None:
    """What is asked of the flush wins over the call's own, that over the default, and a cap over all."""
    assert Limits(usual_throttle=usual, most_at_once=most).throttle(asked, own) == wanted


def test_limits_know_the_site(prefix: Path) -> None:
    (prefix / "settings.json").write_text(Settings("x", {"throttle": "20"}, {"throttle": "50"}).text())
    found = limits_of({})
    assert (found.usual_throttle, found.most_at_once) == (20, 50)


@pytest.mark.parametrize(
    ("site", "own", "feeds", "said"),
    [
        (Settings(), {}, False, ""),
        (Settings(), {"feed": "yes"}, True, ""),
        (Settings("x", {"feed": "on"}), {}, True, ""),
        (Settings("x", {"feed": "on"}), {"no-feed": "yes"}, False, ""),
        (Settings("x", {"feed": "on"}), {"json": "yes"}, False, ""),
        (Settings("x", {"feed": "on"}, {"feed": "off"}), {}, False, ""),
        (Settings("x", {}, {"feed": "off"}), {"feed": "yes"}, False, "x allows no --feed"),
    ],
)
def test_whether_a_flush_feeds(
    site: Settings, own: dict[str, str], feeds: bool, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.is_feeding(own, site) is feeds
    assert said in capsys.readouterr().err


def test_a_launcher_is_the_same_without_settings_and_reads_no_file_with_them() -> None:
    words = ("sbatch", "/bin/bash", "/usr/bin/python3", "/nowhere")
    plain = launcher(*words)
    site = Settings("/opt/config.ini", {"ids": "real", "idle": "3"}, {"keeper": "off", "throttle": "5"})
    assert "config.ini" not in launcher(*words, settings=site)
    assert launcher(*words, settings=Settings("/opt/config.ini", {"throttle": "5"}, {})) == plain
    assert launcher("squeue", *words[1:], settings=site) == launcher("squeue", *words[1:])
    changed = [one for one in launcher(*words, settings=site).splitlines() if one not in plain.splitlines()]
    assert len(changed) == 2
    assert "off != off" in changed[0] and "${SARRAY_IDS:-real}" in changed[0]
    called = changed[1].replace("'\"'\"'", "'")
    assert "main({b'SARRAY_IDS': b'real'}, {b'SARRAY_KEEPER': b'off'})" in called


def test_no_setting_has_a_default_in_words_of_a_shell() -> None:
    """They stand in the launcher as they are."""
    assert all(word.isalpha() for one in SETTINGS.values() for word in (*one.words, *one.caps) if one.words)
    assert os.sep not in "".join(SETTINGS)
