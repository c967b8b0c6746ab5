# shellcheck shell=bash
# Sourced by tests/slurm/start when SLURM_SITE is set: what real sites configure and a plain test cluster does not.

configure_site() { # DIR FILES: sets $stored, $min_job_age and $site, which go into slurm.conf
    local dir=$1 files=$2
    mkdir -p "$dir/site"
    # A task prolog runs as the user, who may not be able to read the folder of this file.
    cp "$files/task-prolog" "$files/epilog" "$dir/site/"
    chmod 755 "$dir/site" "$dir"/site/*
    # slurmctld looks for it beside slurm.conf.
    cp "$files/job_submit.lua" "$dir/"
    # Not PrologFlags=Alloc, as sites have it: slurmd of 22.05 then drains the node when many jobs start at once (it
    # gives up waiting for REQUEST_LAUNCH_PROLOG "after 20 sec", 75 ms after the first of them).
    # shellcheck disable=SC2034 # tests/slurm/start reads these
    stored=job_comment,job_script min_job_age=120 site="TaskProlog=$dir/site/task-prolog
Epilog=$dir/site/epilog
PropagatePrioProcess=1
JobSubmitPlugins=lua
AccountingStorageEnforce=associations,limits"
}

add_site_user() { # USER: an account with limits that no test reaches
    sacctmgr -i -Q add account site GrpJobs=20000 >/dev/null
    sacctmgr -i -Q add user "$1" account=site MaxJobs=10000 MaxSubmitJobs=20000 >/dev/null
    # shellcheck disable=SC2317 # wait_until calls it
    user_is_known() {
        scontrol show assoc_mgr users="$1" flags=users | grep -q "UserName=$1"
    }
    wait_until user_is_known "$1"
}
