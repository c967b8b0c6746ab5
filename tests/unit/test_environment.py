"""What sbatch would send with each job, and how an array shares it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.strategies import EXPORTS, QUICK, call, environments

from sbatch_shim.flush.backends.slurm import words_of
from sbatch_shim.merge.environment import SPANK_PREFIX, SUBMIT_VARIABLES, Sending, exported, for_job, needs_login, share
from sbatch_shim.merge.limits import Limits
from sbatch_shim.merge.plan import plan
from sbatch_shim.merge.render import render
from sbatch_shim.merge.submission import submission_of
from sbatch_shim.state.calls import Call, Environment
from sbatch_shim.state.journal import TicketMap

CALLER = {b"A": b"1", b"B": b"2", b"FOO": b"caller", b"SLURM_X": b"3", b"SLURMD_Y": b"4", b"SBATCH_Z": b"5"}
ADDED = {b"SLURM_SUBMIT_DIR": b"/work", b"SLURM_SUBMIT_HOST": b"login", b"SLURM_PRIO_PROCESS": b"0"}
SENDING = st.builds(Sending, st.booleans(), st.booleans())


@st.composite
def calls_with_environments(draw: st.DrawFn) -> list[Call]:
    bases = draw(
        st.lists(st.dictionaries(st.sampled_from(sorted(CALLER)), st.binary(max_size=2)), min_size=1, max_size=2)
    )
    made = []
    for number in range(draw(st.integers(1, 5))):
        options: dict[str, bytes | None] = {}
        export = draw(EXPORTS)
        if export is not None:
            options["export"] = export
        if draw(st.booleans()):
            options["job-name"] = draw(st.sampled_from([b"one", b"two"]))
        if draw(st.integers(0, 3)) == 0:
            options["dependency"] = b"afterok:7"
        source = draw(st.sampled_from([b"file", b"stdin"]))
        made.append(call(number, options, env=draw(environments(bases)), source=source, nice=draw(st.integers(0, 1))))
    return made


@QUICK
@given(calls_with_environments(), SENDING, st.booleans())
def test_shares_put_together_are_each_calls_environment(calls: list[Call], sending: Sending, launch: bool) -> None:
    wanted = [for_job(made, launch_sets_name=launch) for made in calls]
    shared = share(wanted, sending)
    assert len(shared.own) == len(calls)
    assert not set(shared.submit) & set(shared.common)
    for own, environment in zip(shared.own, wanted):
        assert not set(own) & (set(shared.submit) | set(shared.common))
        assert {**shared.submit, **shared.common, **own} == environment.whole()


@QUICK
@given(calls_with_environments(), SENDING)
def test_the_real_sbatch_is_started_without_what_it_would_read_as_options(calls: list[Call], sending: Sending) -> None:
    for name in share([for_job(made, launch_sets_name=False) for made in calls], sending).submit:
        needed = name in SUBMIT_VARIABLES or name.startswith(SPANK_PREFIX)
        assert needed or not (sending.by_script or name.startswith((b"SBATCH_", b"SLURM_")))


@QUICK
@given(calls_with_environments())
def test_sharing_changes_no_call(calls: list[Call]) -> None:
    before = [made.environment.whole() for made in calls]
    share([for_job(made, launch_sets_name=False) for made in calls], Sending())
    assert [made.environment.whole() for made in calls] == before


@pytest.mark.parametrize(
    ("export", "wanted"),
    [
        (None, CALLER),
        (b"all", CALLER),
        (b"NONE", {b"SLURM_X": b"3", b"SLURMD_Y": b"4"}),
        (b"A,NOSUCH", {b"A": b"1", b"SLURM_X": b"3"}),
        (b"", {b"SLURM_X": b"3"}),
        (b"A=x,B", {b"A": b"x", b"B": b"2", b"SLURM_X": b"3"}),
        (b"SLURM_X=9", {b"SLURM_X": b"9"}),
        (b"ALL,FOO=x", {**CALLER, b"FOO": b"x"}),
        (b"FOO=x,ALL", CALLER),
        (b"NEW=x,ALL", {**CALLER, b"NEW": b"x"}),
        (b"ALL,GONE", CALLER),
        (b'N="a,b",A', {b"N": b'"a,b"', b"A": b"1", b"SLURM_X": b"3"}),
        (b"N=a=b", {b"N": b"a=b", b"SLURM_X": b"3"}),
    ],
)
def test_export_lists(export: bytes | None, wanted: dict[bytes, bytes]) -> None:
    """As Slurm 22.05 did it; GONE is in the base, and not in the call's environment."""
    environment = Environment({**CALLER, b"GONE": b"x", b"FOO": b"base"}, frozenset([b"GONE"]), {b"FOO": b"caller"})
    made = call(0, {} if export is None else {"export": export}, env=environment)
    assert exported(made).whole() == wanted
    assert needs_login(made) == (export not in (None, b"all"))
    told = for_job(made, launch_sets_name=False).whole()
    for name, value in {**wanted, **ADDED, b"SLURM_JOB_NAME": b"job.sh"}.items():
        assert told[name] == value
    assert told.get(b"SLURM_EXPORT_ENV") == (None if export in (None, b"all") else export)


def test_a_script_from_stdin_has_a_name_only_where_the_launch_sets_one() -> None:
    made = call(0, source=b"stdin", script=b"")
    assert b"SLURM_JOB_NAME" not in for_job(made, launch_sets_name=False).whole()
    assert for_job(made, launch_sets_name=True).whole()[b"SLURM_JOB_NAME"] == b"sbatch"


def test_the_calls_own_facts_beat_what_it_inherited() -> None:
    inherited = dict.fromkeys([*ADDED, b"SLURM_JOB_NAME", b"SLURM_JOB_DEPENDENCY", b"SLURM_EXPORT_ENV"], b"old")
    made = call(0, {"dependency": b"afterok:7", "export": b"A"}, env=Environment({}, frozenset(), inherited))
    told = for_job(made, launch_sets_name=False).whole()
    assert told == {
        **ADDED,
        b"SLURM_JOB_NAME": b"job.sh",
        b"SLURM_JOB_DEPENDENCY": b"afterok:7",
        b"SLURM_EXPORT_ENV": b"old",
    }


def test_names_that_sbatch_drops_do_not_reach_the_job() -> None:
    """sbatch drops names of 256 bytes and more silently (22.05); only some of ours would pass through it."""
    long_one, longest = b"N" * 256, b"N" * 255
    made = call(0, env=Environment({}, frozenset(), {long_one: b"x", longest: b"y"}))
    told = for_job(made, launch_sets_name=False).whole()
    assert longest in told
    assert long_one not in told


@pytest.mark.parametrize("exposed", [False, True])
def test_a_login_environment_needs_no_export_list(tmp_path: Path, exposed: bool) -> None:
    limits = Limits(site_changes_environment=exposed)
    (array,) = plan([call(number, {"get-user-env": None}) for number in range(2)], limits)
    words = words_of(submission_of(array, bytes(tmp_path), {}, limits, TicketMap(bytes(tmp_path)).place))
    assert [word for word in words if word.startswith(b"--export")] == ([] if exposed else [b"--export=NONE"])
    assert b"SBATCH_EXPORT" not in render(array, limits)[1]


@pytest.mark.parametrize("exposed", [False, True])
def test_a_value_in_an_export_list_is_no_word_of_sbatch(tmp_path: Path, exposed: bool) -> None:
    limits = Limits(site_changes_environment=exposed)
    calls = [call(number, {"export": b"ALL,TOKEN=secret-of-mine"}) for number in range(2)]
    (array,) = plan(calls, limits)
    place_of = TicketMap(bytes(tmp_path)).place
    words = words_of(submission_of(array, bytes(tmp_path), {}, limits, place_of))
    assert not [word for word in words if b"secret-of-mine" in word]
    assert render(array, limits)[1].get(b"SBATCH_EXPORT") == (b"ALL,TOKEN=secret-of-mine" if exposed else None)


@pytest.mark.parametrize("exposed", [False, True])
def test_calls_without_any_variable_share_arrays_among_themselves(tmp_path: Path, exposed: bool) -> None:
    """What sbatch has to be started with (a wrapper's libraries) reaches no job with --export=NIL either."""
    limits = Limits(site_changes_environment=exposed)
    nil = [call(number, {"export": value}, exports_nil=True) for number, value in enumerate([b"NIL", b"nil"])]
    others = [call(2), call(3, {"export": b"NONE"}), call(4, {"export": b"NIL"})]
    first, *rest = plan([*nil, *others], limits)
    assert first.nil and first.calls == nil
    assert not any(array.nil for array in rest)
    words = words_of(submission_of(first, bytes(tmp_path), {}, limits, TicketMap(bytes(tmp_path)).place))
    assert [word for word in words if word.startswith(b"--export")] == [b"--export=NIL"]
