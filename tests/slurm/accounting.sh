# shellcheck shell=bash
# Sourced by tests/slurm/start when SLURM_DBD is set: MariaDB on a socket of its own, and slurmdbd.

start_accounting() { # DIR BASE_PORT
    local dir=$1 port=$2 program
    for program in mariadbd mariadb-install-db slurmdbd; do
        command -v $program >/dev/null || die "$program is not installed (Debian: apt-get install mariadb-server slurmdbd)"
    done
    mkdir -p "$dir/mariadb"
    mariadb-install-db --no-defaults --user=root --datadir="$dir/mariadb" --skip-test-db >"$dir/log/mariadb-install.log" 2>&1
    mariadbd --no-defaults --user=root --datadir="$dir/mariadb" --skip-networking --socket="$dir/mariadb/socket" \
        --pid-file="$dir/mariadb.pid" --innodb-buffer-pool-size=64M </dev/null >"$dir/log/mariadb.log" 2>&1 &
    wait_until mariadb --no-defaults --socket="$dir/mariadb/socket" -e "SELECT 1"
    cat >"$dir/slurmdbd.conf" <<CONF
AuthType=auth/munge
AuthInfo=socket=$dir/munge-socket/munge.socket
DbdHost=localhost
DbdPort=$((port + 2))
SlurmUser=root
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser=root
StorageLoc=slurm_acct_db
LogFile=$dir/log/slurmdbd.log
PidFile=$dir/slurmdbd.pid
CONF
    chmod 600 "$dir/slurmdbd.conf"
    # The client library finds the server's socket through this variable.
    MYSQL_UNIX_PORT=$dir/mariadb/socket SLURM_CONF=$dir/slurmdbd.conf slurmdbd </dev/null >/dev/null 2>&1
    # The pid file is there before it listens, and slurmctld gives up at once.
    wait_until bash -c ": >/dev/tcp/127.0.0.1/$((port + 2))"
}
