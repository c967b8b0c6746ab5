#compdef sarray
# Completion of sarray and sarray-flush for zsh: . <(sarray completion zsh)
_sarray_flush() {
    local session='--session[only this session]:session:($(sarray completion sessions 2>/dev/null))'
    _arguments '(-n --dry-run)'{-n,--dry-run}'[submit nothing]' '(-t --throttle)'{-t,--throttle}'[at a time]:tasks' \
        '--scripts[with the scripts]' '(-o --output)'{-o,--output}'[keep the scripts]:file:_files' $session \
        '--all[all sessions]' '--keep-names[names keep calls apart]' '--keep-comments[comments keep calls apart]' \
        '--keep-arrays[array calls stay alone]' '--final[what is refused is over]' '--feed[stay until all is in]' '--no-feed[do not stay]' \
        '--merge-comments[comments keep no calls apart]' '--wide-lanes[do not split arrays up]' \
        '--any-cluster[also what is for another one]' \
        '--retry[go on trying]:seconds' '--assume[decide what is not known]:fate:(submitted lost)' \
        '--local[without Slurm]' '--json[print a document]' '--parsable[ids only]' '--version[print the version]' \
        '(-h --help)'{-h,--help} '*:file:_files'
}
_sarray() {
    local -a verbs
    verbs=(
        'run:run a pipeline whose calls are merged'
        'mode:what sbatch does where SARRAY_MODE is not set'
        'status:what is queued, and what each call became'
        'flush:submit the queued calls'
        'submit:submit the calls of a queue file, or those of this session'
        'cancel:drop queued calls, cancel submitted ones'
        'throttle:how many tasks of an array run at a time'
        'rerun:queue calls again whose tasks failed'
        'listen:a shell in which sbatch queues'
        'doctor:what is installed, found and reachable'
        'whose:the ticket of a real job, and the other way'
        'gc:remove what finished flushes left'
        'completion:a completion script'
        'install:put the shims into a folder, or remove them'
        'help:what a verb does'
    )
    if ((CURRENT == 2)) || [[ ${words[2]} == help ]]; then
        _describe verb verbs
        return
    fi
    local tickets=':ticket:($(sarray completion tickets 2>/dev/null))'
    local session='--session[only this session]:session:($(sarray completion sessions 2>/dev/null))'
    # The verb stands in place of the command.
    local verb=${words[2]}
    words=("${(@)words[2,-1]}")
    ((CURRENT--))
    case $verb in
    status)
        _arguments $session '--last[the session used last]' '--all[also what is not listed any more]' \
            '(--queued)--failed[what failed]' '(--failed)--queued[what waits]' '--long[a row for each call]' \
            '(--watch)--json[print a document]' \
            '(--json)--watch[show it again and again]' '(-h --help)'{-h,--help} "*$tickets"
        ;;
    flush | submit)
        _sarray_flush
        ;;
    cancel)
        _arguments $session '--all[of all sessions]' '(-y --yes)'{-y,--yes}'[do not ask]' '(-h --help)'{-h,--help} \
            "*$tickets"
        ;;
    throttle)
        _arguments '(-n --max)'{-n,--max}'[tasks at a time]:tasks' '(--kill -k)'{-r,--requeue}'[those above it]' \
            '(--requeue -r)'{-k,--kill}'[those above it]' '(-h --help)'{-h,--help} "$tickets"
        ;;
    rerun)
        _arguments '--failed[all that failed]' '--json[print a document]' '(-h --help)'{-h,--help} "*$tickets"
        ;;
    mode) _arguments '(-h --help)'{-h,--help} ':mode:(auto queue pass)' ;;
    run) _arguments '--mode[how calls are submitted]:mode:(auto queue)' $session '(-h --help)'{-h,--help} '*::command:_normal' ;;
    listen) _arguments '--shell[which shell]:shell:(bash zsh fish)' '(-h --help)'{-h,--help} ;;
    doctor) _arguments '--run[submit a tiny job]' '--json[print a document]' '(-h --help)'{-h,--help} ;;
    whose) _arguments '--json[print a document]' '(-h --help)'{-h,--help} "*$tickets" ;;
    gc)
        _arguments '--days[keep younger ones]:days' '(-n --dry-run)'{-n,--dry-run}'[only name them]' \
            '--json[print a document]' '(-h --help)'{-h,--help}
        ;;
    install)
        _arguments '--prefix[where to install]:folder:_files -/' '--no-modify-path[leave start-up files alone]' \
            '--modulefile[write an environment module]:folder:_files -/' '--uninstall[remove it]' \
            '--demo[and run a small sample]' '(-h --help)'{-h,--help}
        ;;
    completion) _arguments '(-h --help)'{-h,--help} ':shell:(bash zsh fish)' ;;
    esac
}
compdef _sarray sarray
compdef _sarray_flush sarray-flush
