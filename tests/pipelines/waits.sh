# shows: drivers that wait for their jobs: by squeue, by files, by --wait, from other process sessions
# waits
# shellcheck source=tests/support/lib.sh
. "$TOOLS/lib.sh"
cat >work.sh <<'JOB'
#!/bin/bash
echo "work $1 in $(basename "$PWD")"
touch "done.$1"
exit "${2:-0}"
JOB

# A poll for each job.
for n in 1 2 3; do
    id=$(sbatch --parsable -o "one.$n" work.sh "$n")
    until [ -z "$(squeue -h -j "$id" -t PD,R,CG 2>/dev/null)" ]; do again || break; done
    echo "job $n has ended: $(cat "one.$n")"
done

# A burst, then a poll for all of them.
ids=
for n in a b c d e f; do ids+=,$(sbatch --parsable -o "many.$n" work.sh "$n"); done
until [ -z "$(squeue -h -j "${ids#,}" -t PD,R,CG 2>/dev/null)" ]; do again || break; done
cat many.*

# By their files, as make does; by name and user.
sbatch -Q -J byfile -o file.1 work.sh f1
sbatch -Q -J byfile -o file.2 work.sh f2
until [ -e done.f1 ] && [ -e done.f2 ]; do again || break; done
until [ -z "$(squeue -h -u "$USER" -n byfile)" ]; do again || break; done
cat file.*

# At most two at a time.
for n in t1 t2 t3 t4 t5; do
    until [ "$(squeue -h -r -u "$USER" -t PD,R | wc -l)" -lt 2 ]; do again || break; done
    sbatch -Q -o "throttled.$n" work.sh "$n"
done
until [ -z "$(squeue -h -u "$USER")" ]; do again || break; done
cat throttled.*

# A chain, whose end is waited for by sbatch itself.
first=$(sbatch --parsable -o chain.1 work.sh c1)
second=$(sbatch --parsable -o chain.2 -d "afterok:$first" work.sh c2)
sbatch --wait -o chain.3 -d "afterok:$second" work.sh c3 7 >wait.out
echo "status $?, $(ls done.c*)"

# Each sbatch in a process session of its own, with nothing of ours but the mode.
for n in s1 s2 s3; do setsid --wait sbatch --parsable -o "own.$n" work.sh "$n" </dev/null >>own.ids; done
until [ -e done.s1 ] && [ -e done.s2 ] && [ -e done.s3 ]; do again || break; done
until [ -z "$(squeue -h -u "$USER")" ]; do again || break; done
wc -l <own.ids
rm own.ids wait.out

# An array, polled by one of its tasks.
id=$(sbatch --parsable --array=1-3 -o array.%a --wrap 'echo task $SLURM_ARRAY_TASK_ID; touch "done.a$SLURM_ARRAY_TASK_ID"')
until [ -z "$(squeue -h -j "${id}_2" 2>/dev/null)" ] && [ -e done.a2 ]; do again || break; done
until [ -z "$(squeue -h -j "$id" 2>/dev/null)" ] && [ -e done.a3 ]; do again || break; done
cat array.*
