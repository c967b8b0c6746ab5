# shows: exit codes and deaths by signal are the script's own, and dependencies see them
n=0
for body in 'exit 0' 'exit 3' 'exit 256' 'exit 137' 'kill -9 $$' 'kill -TERM $$' 'kill -SEGV $$' 'nosuchcommand' 'sleep 100 & exit 0'; do
    n=$((n + 1))
    id=$(sbatch --parsable -o $n.log --wrap="echo start; $body")
    sbatch -o $n.ok -d afterok:$id --kill-on-invalid-dep=yes --wrap='echo ok'
    sbatch -o $n.notok -d afternotok:$id --kill-on-invalid-dep=yes --wrap='echo not ok'
done
