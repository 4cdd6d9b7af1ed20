#!/usr/bin/env bash
# Whether the old release can work on the new schema: `--help` says how to ask. In parts: the catalogs are read by
# schema_compat_check.snapshot.sql, two such snapshots are compared, and the answer is worded, by schema_compat_check.compare.sql; the
# order of a migrations folder is judged by schema_compat_check.drift.sql. Here: connections, the copy, what is run and tidied up.
set -euo pipefail
# Nothing is read from the caller, who may have closed it.
exec </dev/null
export LC_ALL=C
tools=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

name='schema-compat'
# shellcheck source=tools/lib.sh
. "$tools/lib.sh"

STEP_TIMEOUT=120 # Seconds for one program: each takes one or two on an idle machine.
CONNECT_TIMEOUT=10
LOCK_TIMEOUT=10s # pg_dump waits for nobody's ALTER TABLE, and holds up nobody's.

# What a program of this script that fails unexpectedly leaves is no answer: 0 and 1 are said by `compare` alone.
answered="" child="" cluster="" work=""
# Called by trap.
# shellcheck disable=SC2329
cleanup() {
    local status=$?
    trap '' INT TERM HUP
    if [[ -n $child ]]; then
        kill "$child" 2>/dev/null || true
        wait "$child" 2>/dev/null || true
    fi
    [[ -z $cluster ]] || "$tools/postgres.sh" stop "$cluster" || status=2
    [[ -z $work ]] || rm -rf "$work"
    [[ -n $answered || $status -gt 1 ]] || status=2
    exit "$status"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

help() {
    cat <<'HELP'
tools/schema_compat_check.sh: can the old release work on the new schema?

usage: tools/schema_compat_check.sh --old URL --new URL          compares two databases
       tools/schema_compat_check.sh --old URL --migrations DIR   applies the pending migrations to a copy, and compares before and after

  --old URL, --new URL   postgres://user:password@host:port/database, or env:NAME: the variable NAME has it. Prefer env:NAME:
                         arguments can be read by everybody on the machine. ~/.pgpass and the PGSSL* variables work as usual.
  --migrations DIR       NUMBER_name.sql or NUMBER-name.sql, as the npm runner `postgres-migrations` takes them. Its table
                         `migrations` in the old database says which ones are applied.
  --schema NAME          the schema to compare (public)
  --json                 prints the report as JSON, `schema-compat-v1`

Exit code: 0 compatible, 1 not compatible, 2 no answer (wrong usage, a database that cannot be reached or has no such schema, a
missing tool), 130 and 143 ended by a signal. Warnings do not change it.

Not compatible is what the old release's statements may trip over: what it uses is gone, renamed, or of another type; what it
writes is refused (NOT NULL, CHECK, UNIQUE, FOREIGN KEY, EXCLUDE, generated columns, row level security); what it leaves out is
missing (a required column, a default, the unique index of an ON CONFLICT); or it may read what it does not know (enum values).
A constraint on new columns that the old release leaves null is compatible. If both databases have a table
`schema_version(version, works_for)`, the new `works_for` may not be above the old `version`.

With --migrations the old database is only read, by pg_dump, as a role that may read all tables (pg_read_all_data): its definitions
and the rows of `migrations` and `schema_version`. They are restored into a throwaway cluster of this machine (PostgreSQL 15 or later;
tools/postgres.sh), where the migrations run as the database's owner without superuser rights. The copy has no rows: a migration
that fails on real rows is not found out here, and one that needs rows to be there fails.

Not looked at: privileges, the bodies of functions and views, rules, collations, other schemas than the one named.
HELP
}

# no_answer WHAT [HINT...]
no_answer() {
    (die "$@") || exit 2
}

usage() { no_answer "$1" "tools/schema_compat_check.sh --help"; }

# The first line of another program's words in the file $1 that says what is wrong.
first_error() {
    local line
    line=$(grep -m 1 -E '(ERROR|FATAL|error): ' "$1" || tail -n 1 "$1")
    printf '%s' "${line##*ERROR:  }"
}

# The same, fit to be shown.
wrong() { printf '%.400s' "$(first_error "$1")" | tr -d '\000-\037\177'; }

# ---- Connections: the address without its password, which goes by way of the environment only.

declare -A address=() password=()

# The text $1 with %XX decoded.
decode() {
    [[ $1 =~ ^([^%]|%[0-9A-Fa-f][0-9A-Fa-f])*$ && $1 != *%00* ]] || return 1
    local escaped=${1//\\/\\\\}
    printf '%b' "${escaped//%/\\x}"
}

# parse SIDE URL|env:NAME. Nothing of a URL that we do not understand is shown, nor given to psql, which would show it: a password
# with an unescaped `@` or `:` makes any of its parts look like the host.
parse() {
    local side=$1 url=$2 from="--$1" host='(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._%-]*)(:[0-9]+)?'
    if [[ $url == env:* ]]; then
        from=${url#env:}
        [[ $from =~ ^[A-Za-z_][A-Za-z0-9_]*$ ]] || usage "--$side: env:NAME needs the name of a variable"
        url=${!from-}
        [[ -n $url ]] || no_answer "the variable $from, the $side database's URL, is not set"
        from="the variable $from"
    fi
    [[ $url =~ ^(postgres|postgresql)://(([^@/]*)@)?($host(,$host)*)(/[^/@?]*)?(\?[^@]*)?$ ]] ||
        no_answer "$from is not a URL postgres://user:password@host:port/database" \
            "in the password write %40 for @, %2F for /, %3A for :, %25 for %, %3F for ?"
    local scheme=${BASH_REMATCH[1]} user=${BASH_REMATCH[3]} hosts=${BASH_REMATCH[4]} path=${BASH_REMATCH[10]} query=${BASH_REMATCH[11]}
    if [[ $user == *:* ]]; then
        password[$side]=$(decode "${user#*:}" && echo .) || no_answer "the password of $from has a % without two hexadecimal digits"
        # The dot kept a line break at the end.
        password[$side]=${password[$side]%.}
        user=${user%%:*}
    fi
    # Such as sslmode, which psql understands as well; what is secret has its place elsewhere.
    local parameter parameters
    IFS='&' read -r -a parameters <<<"${query#\?}"
    for parameter in ${parameters[@]+"${parameters[@]}"}; do
        [[ $parameter =~ ^([a-z_]+)=[^=]*$ ]] && [[ ! ${BASH_REMATCH[1]} =~ password ]] ||
            no_answer "$from has a parameter after the ? that is not taken" "a password stands before the @"
    done
    address[$side]="$scheme://${user:+$user@}$hosts$path$query"
}

# run SIDE PROGRAM...: with that side's password, a deadline, and nothing else of the caller's that is meant for PostgreSQL. In the
# background, as a shell that waits in the foreground does not hear signals.
run() {
    local side=$1 variable status=0
    shift
    (
        for variable in "${!PG@}"; do
            [[ $side == @(old|new) && $variable == @(PGSSL*|PGPASSFILE) ]] || unset "$variable"
        done
        export PGCONNECT_TIMEOUT=$CONNECT_TIMEOUT PGCLIENTENCODING=UTF8 PGAPPNAME=schema_compat_check
        [[ -z ${password[$side]-} ]] || export PGPASSWORD="${password[$side]}"
        exec timeout --kill-after=5 "$STEP_TIMEOUT" "$@"
    ) <&0 &
    child=$!
    wait "$child" || status=$?
    child=""
    return "$status"
}

# query SIDE PSQL-ARGUMENTS...
query() {
    local side=$1
    shift
    run "$side" "$bin/psql" -X -A -t -q -w -v ON_ERROR_STOP=1 -v schema="$schema" -d "${address[$side]}" "$@"
}

# ---- The copy

# What has to be known of the old database before it is copied, a line each: server version, number of relations, rows of
# `migrations` and of `schema_version` (null if there is no such table), roles.
preflight() {
    query old >"$1" 2>"$work/error" <<'SQL' || no_answer "the old database does not answer: $(wrong "$work/error")"
BEGIN TRANSACTION READ ONLY;
SHOW server_version;
SELECT count(*) FROM pg_class WHERE relnamespace = to_regnamespace(quote_ident(:'schema')) AND relkind IN ('r', 'p', 'f', 'v', 'm');
SELECT count(*) FILTER (WHERE c = 'migrations' AND attname IN ('id', 'name', 'hash')) = 3 AS migrates,
       count(*) FILTER (WHERE c = 'schema_version' AND attname IN ('version', 'works_for')) = 2 AS declares
FROM unnest('{migrations,schema_version}'::text[]) c
JOIN pg_attribute ON attrelid = to_regclass(format('%I.%I', :'schema', c)) \gset
\if :migrates
SELECT coalesce(jsonb_agg(m ORDER BY id), '[]') FROM :"schema".migrations m;
\else
\echo null
\endif
\if :declares
SELECT coalesce(jsonb_agg(v), '[]') FROM :"schema".schema_version v;
\else
\echo null
\endif
SELECT jsonb_agg(rolname ORDER BY rolname) FROM pg_roles WHERE rolname !~ '^pg_';
COMMIT;
SQL
}

# The files of the folder against the old database's table `migrations`: findings go to $work/findings, the files to apply to
# $work/pending. Fails if there are findings.
check_drift() {
    local facts
    preflight "$work/facts"
    mapfile -t facts <"$work/facts"
    old_server=${facts[0]}
    [[ ${facts[1]} != 0 ]] || no_answer "the old database has nothing in the schema $schema"
    [[ ${facts[2]} != null ]] ||
        no_answer "the old database has no table migrations(id, name, hash) in the schema $schema: what is applied there is not known" \
            "the npm runner postgres-migrations writes it; or migrate a copy in your own way, and compare with --new"
    # By way of files: an argument has at most 128 KiB. And psql, not this shell, replaces these words.
    # shellcheck disable=SC2016
    FACTS="$work/facts" FILES="$work/files" query old -c '\set applied `sed -n 3p "$FACTS"`' -c '\set files `cat "$FILES"`' \
        -f "$tools/schema_compat_check.drift.sql" >"$work/drift" 2>"$work/error" ||
        no_answer "the migrations cannot be compared with the table: $(wrong "$work/error")"
    head -n 1 "$work/drift" >"$work/findings"
    tail -n +2 "$work/drift" >"$work/pending"
    [[ $(<"$work/findings") == '[]' ]]
}

# Copies the old database into a throwaway cluster: the sides `copy` (a superuser) and `migrate` (the database's owner).
make_copy() {
    local cluster_url at side
    run old "$bin/pg_dump" -w --schema-only --no-owner --no-privileges --no-comments --no-security-labels --no-publications \
        --no-subscriptions --no-tablespaces --lock-wait-timeout="$LOCK_TIMEOUT" -d "${address[old]}" \
        >"$work/dump.sql" 2>"$work/error" || no_answer "the old database cannot be dumped: $(wrong "$work/error")"
    preflight "$work/after"
    cmp -s "$work/facts" "$work/after" || no_answer "the old database is being migrated right now" "ask again when that is done"

    # Beside $work, not in it: the server may have another user, who must be able to reach it.
    cluster=$(mktemp -d "${TMPDIR:-/tmp}/schema-compat-pg.XXXXXX")
    run copy "$tools/postgres.sh" start --database copy "$cluster" >"$work/url" 2>"$work/error" ||
        no_answer "the throwaway cluster does not start: $(wrong "$work/error")"
    cluster_url=$(<"$work/url")
    [[ $cluster_url =~ ^postgres://postgres:([0-9a-f]+)@(.*)$ ]] || no_answer "the throwaway cluster has no URL"
    at=${BASH_REMATCH[2]}
    for side in initial copy migrate; do password[$side]=${BASH_REMATCH[1]}; done
    address[initial]="postgres://postgres@$at?sslmode=disable"
    address[copy]="postgres://schleuse_copy@$at?sslmode=disable"
    address[migrate]="postgres://schleuse_migrate@$at?sslmode=disable"

    FACTS="$work/facts" restore >/dev/null 2>"$work/error" ||
        no_answer "the old database's schema cannot be restored: $(wrong "$work/error")"
}

# The dump, and the rows and roles of $FACTS. The roles are names without rights, so that a migration may name them; `postgres` is
# one of them, which is why it takes two sessions: nobody can rename himself.
restore() {
    query initial <<'SQL' || return
\getenv password PGPASSWORD
CREATE ROLE schleuse_copy SUPERUSER LOGIN PASSWORD :'password';
CREATE ROLE schleuse_migrate LOGIN PASSWORD :'password';
ALTER DATABASE copy OWNER TO schleuse_migrate;
SQL
    query copy <<'SQL' || return
\set roles `sed -n 5p "$FACTS"`
ALTER ROLE postgres RENAME TO schleuse_initial;
SELECT format('CREATE ROLE %I', role), format('GRANT %I TO schleuse_migrate', role)
FROM jsonb_array_elements_text(:'roles') role WHERE role !~ '^schleuse_' \gexec
SELECT format('ALTER DATABASE copy SET search_path = %I, public', :'schema') WHERE :'schema' <> 'public' \gexec
SQL
    query copy -f "$work/dump.sql" || return
    query copy <<'SQL'
\set migrations `sed -n 3p "$FACTS"`
\set declared `sed -n 4p "$FACTS"`
INSERT INTO :"schema".migrations SELECT * FROM jsonb_populate_recordset(CAST(NULL AS :"schema".migrations), :'migrations');
SELECT :'declared' <> 'null' AS declares \gset
\if :declares
INSERT INTO :"schema".schema_version SELECT * FROM jsonb_populate_recordset(CAST(NULL AS :"schema".schema_version), :'declared');
\endif
REASSIGN OWNED BY schleuse_copy TO schleuse_migrate;
-- An object's new owner has to be allowed to make one; the old database's grants are not copied.
SELECT format('GRANT CREATE, USAGE ON SCHEMA %I TO PUBLIC', nspname)
FROM pg_namespace WHERE nspname !~ '^(pg_|information_schema$)' \gexec
SQL
}

# ---- Migrations

# Lines of number, file name and SHA-1, as schema_compat_check.drift.sql wants them.
list_migrations() {
    local path file number hash
    for path in "$migrations"/*; do
        file=${path##*/}
        [[ -f $path && ${file,,} =~ \.(sql|js)$ ]] || continue
        [[ $file != *[[:cntrl:]]* ]] || no_answer "a file in $migrations has a control character in its name"
        [[ ${file,,} != *.js ]] || no_answer "$file: migrations in JavaScript are not run here" "migrate a copy yourself, and compare with --new"
        number=""
        [[ ! $file =~ ^([0-9]+) ]] || number=${BASH_REMATCH[1]}
        hash=$({ printf '%s' "$file" && cat -- "$path"; } | sha1sum) || no_answer "$path cannot be read"
        printf '%s\t%s\t%s\n' "$number" "$file" "${hash%% *}"
    done
}

# finding CODE OBJECT MESSAGE: as JSON, by the database, which knows how to write it.
finding() {
    query copy -v code="$1" -v object="$2" -v message="$3" \
        <<<"SELECT jsonb_build_array(jsonb_build_object('code', :'code', 'object', :'object', 'message', :'message'));"
}

# apply NUMBER FILE SHA-1: runs a migration as the runner does: all of the file as one request to the server, not statement by
# statement, and in a transaction unless the file says otherwise. Nor is it psql input, which could hold commands for a shell.
apply() {
    local transaction=on
    ! grep -qF -e '-- postgres-migrations disable-transaction' "$migrations/$2" || transaction=off
    MIGRATION="$migrations/$2" query migrate -v transaction="$transaction" -v id="$1" -v file="$2" -v hash="$3" <<'SQL'
\set VERBOSITY verbose
\set sql `cat -- "$MIGRATION"`
\if :transaction
START TRANSACTION;
\endif
SELECT :'sql' \gexec
INSERT INTO migrations (id, name, hash) VALUES (:'id', regexp_replace(:'file', '^[0-9]+[-_]?(.*)\.sql$', '\1', 'i'), :'hash');
\if :transaction
COMMIT;
\endif
SQL
}

# Applies what is pending. Where one fails, that is the finding, and there is no new schema.
migrate() {
    local number file hash
    while IFS=$'\t' read -r number file hash <&3; do
        say "applying $file to the copy"
        apply "$number" "$file" "$hash" >/dev/null 2>"$work/error" && continue
        grep -qE '(ERROR|FATAL): ' "$work/error" || no_answer "$file does not come to an end: $(wrong "$work/error")"
        finding migration-failed "$file" "$(first_error "$work/error")" >"$work/findings"
        return 1
    done 3<"$work/pending"
}

# ---- The answer

# snapshot SIDE FILE [OF]
snapshot() {
    query "$1" -f "$tools/schema_compat_check.snapshot.sql" >"$2" 2>"$work/error" ||
        no_answer "the ${3:-$1} database's schema cannot be read: $(wrong "$work/error")"
}

# Compares on the side $1, prints the report, exits with the answer.
compare() {
    local verdict
    # The programs' own words: psql, not this shell, replaces them by the files' contents.
    # shellcheck disable=SC2016
    OLD="$work/old" NEW="$work/new" MIGRATIONS="$work/findings" query "$1" -v json="$json" -v old_server="$old_server" \
        -c '\set old `cat "$OLD"`' -c '\set new `cat "$NEW"`' -c '\set migrations `cat "$MIGRATIONS"`' \
        -f "$tools/schema_compat_check.compare.sql" >"$work/report" 2>"$work/error" ||
        no_answer "the schemas cannot be compared: $(wrong "$work/error")"
    read -r verdict <"$work/report"
    case $verdict in
    compatible) verdict=0 ;;
    incompatible) verdict=1 ;;
    'no answer: '*) no_answer "${verdict#no answer: }" ;;
    *) no_answer "the comparison said nothing that is understood" ;;
    esac
    tail -n +2 "$work/report"
    answered=yes
    exit "$verdict"
}

old="" new="" migrations="" schema=public json=off old_server=""
while [[ $# -gt 0 ]]; do
    case $1 in
    --help | -h) help && answered=yes && exit 0 ;;
    --json) json=on && shift && continue ;;
    --old | --new | --migrations | --schema) [[ $# -ge 2 && -n $2 ]] || usage "$1 needs a value" ;;
    *) usage "unknown: ${1%%[=:]*}" ;;
    esac
    case $1 in
    --old) old=$2 ;;
    --new) new=$2 ;;
    --migrations) migrations=$2 ;;
    --schema) schema=$2 ;;
    esac
    shift 2
done
[[ -n $old ]] || usage "--old is missing"
[[ -n $new || -n $migrations ]] && [[ -z $new || -z $migrations ]] || usage "one of --new and --migrations is needed, not both"
[[ -z $migrations || -d $migrations ]] || no_answer "$migrations is no folder"
parse old "$old"
[[ -z $new ]] || parse new "$new"
[[ ${address[old]} != "${address[new]-}" ]] || no_answer "the old and the new database are the same"

for tool in timeout mktemp cmp sha1sum; do have "$tool" || no_answer "\`$tool\` is not here"; done
# The server's own folder, where a copy is made: pg_dump has to be of the version that reads what it writes.
bin=$("$tools/postgres.sh" bin "$([[ -n $migrations ]] && echo postgres || echo psql)") || exit 2
work=$(mktemp -d "${TMPDIR:-/tmp}/schema-compat.XXXXXX")
echo '[]' >"$work/findings"

if [[ -n $new ]]; then
    snapshot old "$work/old"
    snapshot new "$work/new"
    compare new
fi

list_migrations >"$work/files"
[[ -s $work/files ]] || no_answer "$migrations has no migrations"
echo null >"$work/new"
if ! check_drift; then
    snapshot old "$work/old"
    compare old
fi
make_copy
# Before and after on the same server: another version may write the same definition differently.
snapshot copy "$work/old" old
! migrate || snapshot copy "$work/new" new
compare copy
