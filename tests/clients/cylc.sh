# requires: cylc-flow==8.5.4
# A workflow of a task family and one that waits for all of them, with the slurm job runner.
set -eu
export CYLC_CONF_PATH=$PWD/conf HOME=$PWD/home
mkdir -p conf home source
# Its jobs begin as login shells.
echo "export PATH=$VIRTUAL_ENV/bin:\$PATH" >home/.bash_profile
cat >conf/global.cylc <<'S'
[platforms]
    [[slurm]]
        hosts = localhost
        job runner = slurm
        install target = localhost
        communication method = poll
        submission polling intervals = PT2S
        execution polling intervals = PT2S
S
cat >source/flow.cylc <<'S'
[scheduler]
    allow implicit tasks = False
    UTC mode = True
    [[events]]
        stall timeout = PT1M
        inactivity timeout = PT5M
[task parameters]
    n = 1..6
[scheduling]
    [[graph]]
        R1 = part<n> => last
[runtime]
    [[root]]
        platform = slurm
        [[[directives]]]
            --partition = main
            --mem = 200M
    [[part<n>]]
        script = echo part $CYLC_TASK_PARAM_n >$CYLC_WORKFLOW_SHARE_DIR/part$CYLC_TASK_PARAM_n.txt
    [[last]]
        script = cat $CYLC_WORKFLOW_SHARE_DIR/part*.txt >$CYLC_WORKFLOW_SHARE_DIR/all.txt
S
cylc install --no-run-name --workflow-name=flow "$PWD/source" >&2
status=0
cylc play --no-detach flow >&2 || status=$?
cat home/cylc-run/flow/log/scheduler/log >&2
mv home/cylc-run/flow/share/all.txt result.txt
exit $status
