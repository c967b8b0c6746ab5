# shows: drivers that wait for their jobs by sacct, and take the state and exit code from it
# waits
# shellcheck source=tests/support/lib.sh
. "$TOOLS/lib.sh"
# (No names: the accounting may have a job without its name for a moment.)
for code in 0 3; do
    id=$(sbatch --parsable -o "out.$code" --wrap "echo ran; exit $code")
    until sacct -n -X -P -j "$id" -o State | grep -q -E 'COMPLETED|FAILED'; do again || break; done
    sacct -n -X -P -j "$id" -o State,ExitCode
done
ids=
for n in 1 2 3 4; do ids+=,$(sbatch --parsable -J "n$n" -o "many.$n" --wrap "exit $((n % 2))"); done
until [ "$(sacct -n -X -P -j "${ids#,}" -o State | grep -c -E 'COMPLETED|FAILED')" = 4 ]; do again || break; done
sacct -n -X -P -j "${ids#,}" -o State,ExitCode
