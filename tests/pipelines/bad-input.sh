# shows: what sbatch refuses is refused in its own words, with its exit status
printf '#!/bin/sh\necho ok' > job.sh
printf 'echo no shebang' > bare.sh
: > empty.sh
printf '  \n \n' > blank.sh
printf '#!/bin/sh\r\necho dos\r\n' > dos.sh
printf '#!/bin/sh\necho nul\0' > nul.sh
printf '\xef\xbb\xbf#!/bin/sh\necho bom' > bom.sh
printf '#!/bin/sh\necho x' > secret.sh; chmod 000 secret.sh
mkdir folder
try() { sbatch "$@"; echo "rc $?"; }
try nosuch.sh; try ./nosuch.sh; try folder; try ./folder; try bare.sh; try empty.sh; try blank.sh; try dos.sh; try nul.sh; try bom.sh; try secret.sh
try --nosuch job.sh; try --no job.sh; try --res=x job.sh; try -y job.sh; try --time; try -t; try --hold=yes job.sh; try --ntasks= job.sh
for option in --array=x --array=3-1 --array=1-99999 --array=1:3 --array=1-2-3 --time=abc --time=1:2:3:4 --mem=abc --mem=10X --nodes=abc --nodes=2-1 --nodes=0 --ntasks=0 --ntasks=-1 --cpus-per-task=x \
    --dependency=afterok --dependency=foo:1 --dependency=afterok: --dependency=afterok:x --begin=whenever --begin=now+ --signal=FOO --open-mode=x --mail-type=FOO --exclusive=foo --nice=x --distribution=foo --hint=foo \
    --export-file=nosuch --bbf=nosuch --uid=nobody --propagate=FOO --kill-on-invalid-dep=maybe -t=5 --gres-flags=x --mem-per-cpu=1,2 --get-user-env=x --profile=foo --switches=x --cpu-freq=foo --core-spec=x; do
    try $option job.sh
done
try --mem=1 --mem-per-cpu=1 job.sh
try --wrap=true job.sh
for line in '-n' '--nosuch' 'word' '-n x' '"open' "'open" '--' '-n 2 -- x' '--array=x' '-d foo' ': ' 'x'; do
    printf '#!/bin/sh\n#SBATCH %s\necho x\n' "$line" > d.sh
    try d.sh
done
printf '#!/bin/sh\n#SBATCHx\necho x\n' > d.sh; try d.sh
SBATCH_TIMELIMIT= try job.sh
SBATCH_TIMELIMIT=abc try job.sh
SBATCH_ARRAY_INX=x try job.sh
try < /dev/null
try <&-
(mkdir gone; cd gone; rmdir ../gone; try ../job.sh 2>&1 | grep -v shell-init)
for v in NONE,CORE ALL,CORE CORE,NONE; do try --propagate=$v job.sh; done
SBATCH_EXCLUSIVE=yes try job.sh
SBATCH_NO_KILL=1 try job.sh
SLURM_EXIT_ERROR= try -o /dev/null --nosuch job.sh
try -w a,b -N1 job.sh
try -t 3 --time-min=5 job.sh
try --gres=help job.sh
try --export='A="x' -o /dev/null --nosuch job.sh
for option in --mem=8GiB --mem=1PB --mem=8B --mem=GB --mem=1.5GB --mem-per-cpu=8BB --begin=elevenses_ --begin=4pm --begin=13:00pm --begin=24:00 --begin=12/01/2036 --begin=Tomorrow \
    --begin=now+1h --time-min=abc --time-min=0 --mincpus=0 --mincpus=x --mem-bind=foo --mem-bind=help --switches=0 --profile=x,task --cpu-freq=0 --mail-type=NONE,FOO --ntasks-per-node=0; do
    try -o /dev/null $option job.sh
done
try -o /dev/null --ntasks-per-gpu=1 --ntasks-per-node=1 job.sh
try -o /dev/null --ntasks-per-gpu=1 --gpus-per-task=1 job.sh
try -o /dev/null --cpus-per-gpu=1 -c 1 job.sh
try -o /dev/null --gpus-per-node=1 --gres=gpu:1 job.sh
SLURM_DEBUG_FLAGS=x try -o /dev/null job.sh
SBATCH_SEGMENT_SIZE=x try -o /dev/null job.sh
sbatch=$(command -v sbatch)
(unset PATH; "$sbatch" -o nopath.log job.sh; echo "rc $?"; "$sbatch" -o nopath2.log ./job.sh; echo "rc $?")
