# Stands between a test and its server, because a test that is killed cannot clean up, and its shell can.
#
# $1 is the server's directory, $2 the signal that ends the server quickest without loss of kernel resources.
# Orders come on stdin, one a line, as calls of the functions below; the end of stdin says that the owner is gone.
# Answers go to stdout, one a line: `prepare` and `share` answer with an exit code; `start` with a pid, and later,
# when the server ended, with its exit code.

directory=$1
signal=$2

prepare() {
    "$@" </dev/null >>"$directory/log" 2>&1
    echo "$?"
}

start() {
    rm -f "$directory/started"
    {
        "$@" </dev/null >>"$directory/log" 2>&1 &
        echo "$!" >"$directory/pid"
        : >"$directory/started"
        echo "$!"
        wait "$!"
        code=$?
        rm -f "$directory/pid"
        echo "$code"
    } &
    # The next order, or the end of orders, must find the pid written down.
    until [ -e "$directory/started" ]; do sleep 0.01; done
}

# The server belongs to a run of tests, the process $1, and lives while somebody holds the line open for writing.
share() {
    run=$1
    # Opened for both first, because opening it for reading alone would wait for a writer.
    mkfifo -m 600 "$directory/line" && exec 3<>"$directory/line" 4<"$directory/line" 3<&-
    echo "$?"
}

# Not `kill -0`, which says no of a process that is another user's, and yes of one that has ended and nobody has asked for.
lives() {
    if [ -d /proc/self ]; then
        read -r stat <"/proc/$1/stat" || return 1
        case ${stat##*) } in
        [ZX]*) return 1 ;;
        esac
    else
        ps -p "$1" >/dev/null
    fi
}

run=
while read -r order; do
    eval "$order"
done

if [ -n "$run" ]; then
    # Between two tests nobody may have it. A run that is a person's shell never ends: half a minute is enough for it.
    idle=0
    while [ "$idle" -lt 300 ] && [ -e "$directory/pid" ] && lives "$run"; do
        # Until the last who holds it has gone; each writes a line when he comes.
        while read -r _ <&4; do idle=0; done
        idle=$((idle + 1))
        # Not with the line in its hand: whoever finds it without a shell must see that.
        sleep 0.1 4<&-
    done
    rm -f "$directory/line"
    # Whoever came in the last moment.
    while read -r _ <&4; do :; done
fi

if pid=$(cat "$directory/pid" 2>/dev/null); then
    kill -s CONT "$pid" 2>/dev/null
    kill -s "$signal" "$pid" 2>/dev/null
    turns=0
    while [ -e "$directory/pid" ] && kill -s 0 "$pid" 2>/dev/null && [ "$turns" -lt 500 ]; do
        sleep 0.02
        turns=$((turns + 1))
    done
    kill -s KILL "$pid" 2>/dev/null
fi
# A Postgres that was killed has left its shared memory to its next start, which will not come: line 7 holds key and id.
shared=$(sed -n '7s/^ *[0-9]* *\([0-9]*\) *$/\1/p' "$directory/data/postmaster.pid" 2>/dev/null)
if [ -n "$shared" ]; then
    ipcrm -m "$shared" 2>/dev/null
fi
cd /
rm -rf "$directory"
