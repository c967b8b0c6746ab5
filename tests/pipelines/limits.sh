# shows: soft limits and umask are the call's
cp "$TOOLS/probe.py" job.py
sbatch -o 1.log job.py
(ulimit -Sn 512; sbatch -o 2.log job.py)
(ulimit -Sc 0 -Su 5000; sbatch -o 3.log job.py)
(ulimit -Ss 4096; sbatch -o 4.log job.py)
(umask 027; sbatch -o 5.log job.py)
(trap '' USR1 INT PIPE; sbatch -o 6.log job.py)
nice -n 3 sbatch -o 7.log job.py
sbatch -o 8.log job.py < /etc/passwd
sbatch -o 9.log job.py 7>&1
