    case ${XDG_STATE_HOME-} in
    /*) sarray_state=$XDG_STATE_HOME/sarray ;;
    *) sarray_state=${HOME-}/.local/state/sarray ;;
    esac
    sarray_state=${SARRAY_STATE_DIR:-$sarray_state}
