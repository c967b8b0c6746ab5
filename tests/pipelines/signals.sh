# shows: signals reach the script, and jobs that trap them
cat > job.sh <<'S'
#!/bin/bash
trap 'echo got USR1; exit 5' USR1
trap 'echo got TERM; exit 6' TERM
touch ready.$1
while :; do sleep 0.1; done
S
sbatch --parsable -o 1.log -t 1 --signal=B:USR1@50 job.sh 1
sbatch --parsable -o 2.log -t 1 --signal=B:USR1@50 job.sh 2
