# shellcheck shell=bash
# Completion of sarray for bash: . <(sarray completion bash)
_sarray() {
    local word=${COMP_WORDS[COMP_CWORD]} verb=${COMP_WORDS[1]-} words=
    if ((COMP_CWORD == 1)); then
        words='status flush submit cancel throttle rerun listen doctor gc completion'
    else
        case $verb in
        status) words='--session --all --json --watch' ;;
        flush) words='--dry-run --throttle --output --session --all --keep-names --local --json --parsable' ;;
        submit) words='--dry-run --throttle --output' ;;
        cancel) words='--session --all --yes' ;;
        throttle) words='-n --max --requeue --kill' ;;
        rerun) words='--failed' ;;
        listen) words='--shell' ;;
        doctor) words='--run --json' ;;
        gc) words='--days --dry-run' ;;
        completion) words='bash zsh fish' ;;
        esac
        case $verb in submit) [[ $word == -* ]] || words= ;; esac
        case $verb in
        status | cancel | throttle | rerun)
            [[ $word == -* ]] || words=$(squeue -h -u "$(id -u)" -o %F 2>/dev/null | sort -u)
            ;;
        esac
    fi
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}
complete -o default -F _sarray sarray
