# Ends a private cluster when its owner is gone: run as `sh -c … watchdog FOLDER`, with the owner's pipe as input.
#
# The owner's end, whatever caused it, closes the pipe. FOLDER/pids holds the process id of everything that the owner
# started; FOLDER/open is there for as long as something may be started.

# Ctrl-C, a closed terminal and the like are meant for the owner. This process ends after it.
trap '' INT TERM HUP QUIT
dir=$1

# State and parent of each process, as lines of "pid parent state".
table() {
    if [ ! -r /proc/self/stat ]; then
        ps -A -o pid= -o ppid= -o stat=
        return
    fi
    for stat in /proc/[0-9]*/stat; do
        read -r line <"$stat" || continue
        pid=${stat#/proc/}
        set -- ${line##*) }
        echo "${pid%/stat} $2 $1"
    done
}

# Those of the given processes that have not ended.
living() {
    table | while read -r pid parent state; do
        case " $* " in
        *" $pid "*) case $state in Z*) ;; *) echo "$pid" ;; esac ;;
        esac
    done
}

# The children of the given processes.
children() {
    table | while read -r pid parent state; do
        case " $* " in
        *" $parent "*) echo "$pid" ;;
        esac
    done
}

# The given processes and all their descendants.
family() {
    next=$*
    while [ -n "$next" ]; do
        echo "$next"
        next=$(children $next | tr '\n' ' ')
    done
}

# Waits for at most $1 tenths of a second until the other processes have ended.
await() {
    left=$1
    shift
    while [ -n "$(living "$@")" ] && [ "$left" -gt 0 ]; do
        left=$((left - 1))
        sleep 0.1
    done
}

while read -r _; do :; done
[ -d "$dir" ] || exit 0

# From here on nothing more is started; what was started before has written its process id.
rm -f "$dir/open"
started=$(cat "$dir"/pids/* | tr '\n' ' ')
if [ -n "$started" ]; then
    all=$(family $started | tr '\n' ' ')
    # A paused server would not hear the signals that follow.
    kill -s CONT $all
    # The postmaster ends its children and frees its shared memory. initdb's child does so when initdb is gone.
    kill -s QUIT $started
    await 80 $all
    left=$(living $all | tr '\n' ' ')
    [ -z "$left" ] || kill -s KILL $left
    await 50 $all
fi
for _ in 1 2 3 4 5; do
    rm -rf "$dir"
    [ -d "$dir" ] || exit 0
    sleep 0.1
done
