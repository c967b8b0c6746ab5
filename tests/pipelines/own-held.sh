# shows: calls that know their id with --hold, --begin, --nice, --requeue, --mail-type and limits of their own
. "$TOOLS/lib.sh"
cat > job.sh <<'JOB'
#!/bin/bash
#SBATCH --output=slurm-%j.out
echo "$1 $SLURM_JOB_ID $(squeue -h -j $SLURM_JOB_ID -o '%i %j %y %k')"
scontrol show job "$SLURM_JOB_ID" | grep -o 'Requeue=.\|TimeLimit=00.*\|MailType=.*'
JOB
plain=$(sbatch --parsable job.sh plain)
held=$(sbatch --parsable --hold job.sh held)
waits=$(sbatch --parsable --hold -d "afterok:$plain" -J waits job.sh waits)
soon=$(sbatch --parsable --begin=now+2 --comment=soon job.sh soon)
late=$(sbatch --parsable --begin=now+1hour job.sh late)
nice1=$(sbatch --parsable --nice=5 job.sh nice1)
nice2=$(sbatch --parsable --nice=5 job.sh nice2)
again=$(sbatch --parsable --requeue -t 7 job.sh again)
mail=$(sbatch --parsable --mail-type=END,FAIL --mail-user=nobody@localhost job.sh mail)
echo "$plain $held $waits $soon $late $nice1 $nice2 $again $mail"
flush
for id in $plain $soon $nice1 $nice2 $again $mail; do
    until [ -z "$(squeue -h -j "$id" -o %i 2>/dev/null)" ]; do again || break; done
done
squeue -h -o '%i %j %t %r' | sort -n >waiting # Slurm looks at what a held job waits for when it comes to it
scontrol show job "$held" | grep -o 'JobId=.*\|JobName=.*\|Reason=[A-Za-z]*\|Command=.*\|StdOut=.*' >shown
scontrol release "$waits"
scontrol release "$held"
for id in $held $waits; do
    until [ -z "$(squeue -h -j "$id" -o %i 2>/dev/null)" ]; do again || break; done
done
scancel "$late"
ls slurm-*.out
