# Completion of sarray for fish: sarray completion fish | source
set -l verbs status flush submit cancel throttle rerun listen doctor gc completion
complete -c sarray -n "not __fish_seen_subcommand_from $verbs" -f -a "$verbs"
complete -c sarray -n "__fish_seen_subcommand_from status cancel" -l session -x
complete -c sarray -n "__fish_seen_subcommand_from status doctor" -l json
complete -c sarray -n "__fish_seen_subcommand_from status" -l watch
complete -c sarray -n "__fish_seen_subcommand_from status cancel" -l all
complete -c sarray -n "__fish_seen_subcommand_from cancel" -s y -l yes
complete -c sarray -n "__fish_seen_subcommand_from flush submit gc" -s n -l dry-run
complete -c sarray -n "__fish_seen_subcommand_from flush submit" -s t -l throttle -x
complete -c sarray -n "__fish_seen_subcommand_from flush submit" -s o -l output -r
complete -c sarray -n "__fish_seen_subcommand_from throttle" -s n -l max -x
complete -c sarray -n "__fish_seen_subcommand_from throttle" -s r -l requeue
complete -c sarray -n "__fish_seen_subcommand_from throttle" -s k -l kill
complete -c sarray -n "__fish_seen_subcommand_from rerun" -l failed
complete -c sarray -n "__fish_seen_subcommand_from listen" -l shell -x -a "bash zsh fish"
complete -c sarray -n "__fish_seen_subcommand_from doctor" -l run
complete -c sarray -n "__fish_seen_subcommand_from gc" -l days -x
complete -c sarray -n "__fish_seen_subcommand_from completion" -f -a "bash zsh fish"
