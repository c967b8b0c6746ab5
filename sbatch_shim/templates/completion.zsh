#compdef sarray
# Completion of sarray for zsh: . <(sarray completion zsh)
_sarray() {
    local -a verbs
    verbs=(
        'status:what is queued, and what each call became'
        'flush:submit the queued calls'
        'submit:submit the calls of a queue file, or those of this session'
        'cancel:drop queued calls, cancel submitted ones'
        'throttle:how many tasks of an array run at a time'
        'rerun:queue calls again whose tasks failed'
        'listen:a shell in which sbatch queues'
        'doctor:what is installed, found and reachable'
        'gc:remove what finished flushes left'
        'completion:a completion script'
    )
    if ((CURRENT == 2)); then
        _describe verb verbs
        return
    fi
    case ${words[2]} in
    status) _arguments '--session[only this session]:session' '--all' '--json' '--watch' '*:ticket:($(squeue -h -u $UID -o %F 2>/dev/null))' ;;
    flush | submit) _arguments '(-n --dry-run)'{-n,--dry-run} '(-t --throttle)'{-t,--throttle}':tasks' '(-o --output)'{-o,--output}':file:_files' '*:file:_files' ;;
    cancel) _arguments '--session:session' '--all' '--yes' '*:ticket:($(squeue -h -u $UID -o %F 2>/dev/null))' ;;
    throttle) _arguments '-n:tasks' '--requeue' '--kill' '*:ticket:($(squeue -h -u $UID -o %F 2>/dev/null))' ;;
    rerun) _arguments '--failed' '*:ticket:' ;;
    listen) _arguments '--shell:shell:(bash zsh fish)' ;;
    doctor) _arguments '--run' '--json' ;;
    gc) _arguments '--days:days' '--dry-run' ;;
    completion) _values shell bash zsh fish ;;
    esac
}
compdef _sarray sarray
