# shellcheck shell=bash
# Completion of sarray and sarray-flush for bash: . <(sarray completion bash)
_sarray_flush_options='--dry-run --scripts --throttle --output --session --all --keep-names --keep-comments
    --merge-comments --keep-arrays --final --feed --no-feed --wide-lanes --any-cluster --retry --assume --local --json --parsable'
_sarray() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} verb=${COMP_WORDS[1]-} words=
    local verbs='run mode status flush submit cancel throttle rerun listen doctor whose gc completion install'
    if ((COMP_CWORD == 1)); then
        words="$verbs help"
    elif [[ $verb == help ]]; then
        words=$verbs
    elif [[ $before == --session ]]; then
        words=$(sarray completion sessions 2>/dev/null)
    elif [[ $before == --assume ]]; then
        words='submitted lost'
    elif [[ $before == --mode ]]; then
        words='auto queue'
    elif [[ $before == --prefix || $before == --modulefile ]]; then
        mapfile -t COMPREPLY < <(compgen -d -- "$word")
        return
    elif [[ $before == --shell ]]; then
        words='bash zsh fish'
    elif [[ $word == -* ]]; then
        case $verb in
        status) words='--session --last --all --failed --queued --long --json --watch' ;;
        flush | submit) words=$_sarray_flush_options ;;
        cancel) words='--session --all --yes' ;;
        throttle) words='--max --requeue --kill' ;;
        rerun) words='--failed --json' ;;
        listen) words='--shell' ;;
        run) words='--mode --session' ;;
        doctor) words='--run --json' ;;
        whose) words='--json' ;;
        gc) words='--days --dry-run --json' ;;
        install) words='--prefix --no-modify-path --modulefile --uninstall --demo' ;;
        esac
        words+=' --help'
    else
        case $verb in
        status | cancel | throttle | rerun | whose) words=$(sarray completion tickets 2>/dev/null) ;;
        completion) words='bash zsh fish' ;;
        mode) words='auto queue pass' ;;
        run) words=$(compgen -c -- "$word") ;;
        esac
    fi
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}
_sarray_flush() {
    local word=${COMP_WORDS[COMP_CWORD]} words=
    case ${COMP_WORDS[COMP_CWORD - 1]} in
    --session) words=$(sarray completion sessions 2>/dev/null) ;;
    --assume) words='submitted lost' ;;
    *) [[ $word != -* ]] || words="$_sarray_flush_options --help --version" ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}
complete -o default -F _sarray sarray
complete -o default -F _sarray_flush sarray-flush
