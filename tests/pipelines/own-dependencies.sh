# shows: merged jobs that submit what waits for themselves, one of which fails: each is waited for alone
# shows: dependencies on a job's own id, from arguments, #SBATCH lines, stdin and --wrap
cat > after.sh <<'JOB'
#!/bin/bash
echo "$1" >> "after.$1"
JOB
cat > first.sh <<'JOB'
#!/bin/bash
exec 2> err.$1
export own=$SLURM_JOB_ID
sbatch -J a$1 -o /dev/null -d "afterok:$own" after.sh ok.$1 | sed 's/[0-9]*$//'
sbatch -J b$1 -o /dev/null --dependency="afterany:$own" after.sh any.$1 | sed 's/[0-9]*$//'
sbatch -J c$1 -o /dev/null "-dafternotok:$own?afternotok:$own" after.sh notok.$1 | sed 's/[0-9]*$//'
sbatch -J d$1 -o /dev/null --depend "$own" after.sh bare.$1 | sed 's/[0-9]*$//'
sbatch -J e$1 -o /dev/null -d "after:$own,singleton" after.sh two.$1 | sed 's/[0-9]*$//'
printf '%s\n' '#!/bin/bash' "#SBATCH -J f$1 -o /dev/null" "#SBATCH --dependency=afterok:$own # own" \
    "echo lines >> after.lines.$1" > generated.$1.sh
sbatch generated.$1.sh | sed 's/[0-9]*$//'
rm generated.$1.sh
sbatch <<INNER | sed 's/[0-9]*$//'
#!/bin/bash
#SBATCH -J g$1
#SBATCH -o /dev/null
#SBATCH -d "afterany:$own"
echo here >> after.here.$1
cat >> after.here.$1
INNER
sbatch -J h$1 -o /dev/null -d "aftercorr:$own" --wrap "echo wrap >> after.wrap.$1" | sed 's/[0-9]*$//'
sbatch -J i$1 -o /dev/null -d "afterok:0$own" after.sh zero.$1 | sed 's/[0-9]*$//'
sleep 1 # so that they all wait
[ "$1" != 2 ]
JOB
for i in 1 2 3; do sbatch -J first$i -o log.$i first.sh $i; done
