# Completion of sarray and sarray-flush for fish: sarray completion fish | source
set -l verbs run mode status flush submit cancel throttle rerun listen doctor whose gc completion install
set -l sessions "(sarray completion sessions 2>/dev/null)"
set -l tickets "(sarray completion tickets 2>/dev/null)"
complete -c sarray -n "not __fish_seen_subcommand_from $verbs" -f -a "$verbs help"
complete -c sarray -n "__fish_seen_subcommand_from $verbs" -s h -l help
complete -c sarray -n "__fish_seen_subcommand_from status cancel throttle rerun whose" -f -a $tickets
complete -c sarray -n "__fish_seen_subcommand_from status cancel flush submit" -l session -x -a $sessions
complete -c sarray -n "__fish_seen_subcommand_from status flush submit rerun doctor whose gc" -l json
complete -c sarray -n "__fish_seen_subcommand_from status" -l watch
complete -c sarray -n "__fish_seen_subcommand_from status" -l last
complete -c sarray -n "__fish_seen_subcommand_from status" -l failed
complete -c sarray -n "__fish_seen_subcommand_from status" -l queued
complete -c sarray -n "__fish_seen_subcommand_from status" -l long
complete -c sarray -n "__fish_seen_subcommand_from status cancel flush submit" -l all
complete -c sarray -n "__fish_seen_subcommand_from cancel" -s y -l yes
complete -c sarray -n "__fish_seen_subcommand_from flush submit gc" -s n -l dry-run
complete -c sarray -n "__fish_seen_subcommand_from flush submit" -l scripts
complete -c sarray -n "__fish_seen_subcommand_from flush submit" -s t -l throttle -x
complete -c sarray -n "__fish_seen_subcommand_from flush submit" -s o -l output -r
complete -c sarray -n "__fish_seen_subcommand_from flush submit" -l keep-names
complete -c sarray -n "__fish_seen_subcommand_from flush submit" -l keep-comments
complete -c sarray -n "__fish_seen_subcommand_from flush submit" -l merge-comments
complete -c sarray -n "__fish_seen_subcommand_from flush submit" -l wide-lanes
complete -c sarray -n "__fish_seen_subcommand_from flush submit" -l keep-arrays
complete -c sarray -n "__fish_seen_subcommand_from flush submit" -l final
complete -c sarray -n "__fish_seen_subcommand_from flush submit" -l feed
complete -c sarray -n "__fish_seen_subcommand_from flush submit" -l no-feed
complete -c sarray -n "__fish_seen_subcommand_from flush submit" -l any-cluster
complete -c sarray -n "__fish_seen_subcommand_from flush submit" -l retry -x
complete -c sarray -n "__fish_seen_subcommand_from flush submit" -l assume -x -a "submitted lost"
complete -c sarray -n "__fish_seen_subcommand_from flush submit" -l local
complete -c sarray -n "__fish_seen_subcommand_from flush submit" -l parsable
complete -c sarray -n "__fish_seen_subcommand_from throttle" -s n -l max -x
complete -c sarray -n "__fish_seen_subcommand_from throttle" -s r -l requeue
complete -c sarray -n "__fish_seen_subcommand_from throttle" -s k -l kill
complete -c sarray -n "__fish_seen_subcommand_from rerun" -l failed
complete -c sarray -n "__fish_seen_subcommand_from listen" -l shell -x -a "bash zsh fish"
complete -c sarray -n "__fish_seen_subcommand_from doctor" -l run
complete -c sarray -n "__fish_seen_subcommand_from gc" -l days -x
complete -c sarray -n "__fish_seen_subcommand_from completion" -f -a "bash zsh fish"
complete -c sarray -n "__fish_seen_subcommand_from mode" -f -a "auto queue pass"
complete -c sarray -n "__fish_seen_subcommand_from run" -l mode -x -a "auto queue"
complete -c sarray -n "__fish_seen_subcommand_from install" -l prefix -r
complete -c sarray -n "__fish_seen_subcommand_from install" -l modulefile -r
complete -c sarray -n "__fish_seen_subcommand_from install" -l no-modify-path
complete -c sarray -n "__fish_seen_subcommand_from install" -l uninstall
complete -c sarray -n "__fish_seen_subcommand_from install" -l demo
complete -c sarray-flush -l session -x -a $sessions
complete -c sarray-flush -l assume -x -a "submitted lost"
complete -c sarray-flush -s t -l throttle -x
complete -c sarray-flush -s o -l output -r
complete -c sarray-flush -l retry -x
complete -c sarray-flush -s n -l dry-run
complete -c sarray-flush -s h -l help
complete -c sarray-flush -l scripts
complete -c sarray-flush -l all
complete -c sarray-flush -l keep-names
complete -c sarray-flush -l keep-comments
complete -c sarray-flush -l merge-comments
complete -c sarray-flush -l keep-arrays
complete -c sarray-flush -l final
complete -c sarray-flush -l wide-lanes
complete -c sarray-flush -l feed
complete -c sarray-flush -l no-feed
complete -c sarray-flush -l any-cluster
complete -c sarray-flush -l local
complete -c sarray-flush -l json
complete -c sarray-flush -l parsable
complete -c sarray-flush -l version
