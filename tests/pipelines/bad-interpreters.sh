# shows: scripts that cannot be executed fail with the exit codes and words of slurmstepd
printf '#!/no/such/interpreter\necho x' > missing.sh
printf '#!\necho x' > none.sh
printf '#!/etc/passwd\necho x' > notexec.sh
printf '#!/tmp\necho x' > folder.sh
for s in missing none notexec folder; do
    id=$(sbatch --parsable -o $s.log $s.sh)
    sbatch -d afterany:$id -o $s.after --wrap="echo after"
    sbatch -d afterok:$id -o $s.never --kill-on-invalid-dep=yes --wrap="echo must not run"
done
