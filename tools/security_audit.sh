#!/usr/bin/env bash
# A report of what looks unsafe in a service's folder: `--help` says what is looked at. It never fails a build (npm audit with a
# threshold, and the scans of the pipeline, do that); it says what was not looked at, too.
set -euo pipefail
export LC_ALL=C
tools=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

AUDIT_TIMEOUT=60 # Seconds for one question to the registry.
GIT_TIMEOUT=60   # Seconds for one search of the files.

# What is searched for, and never shown. Written so that this file is not found by it.
declare -A SECRETS=(
    [private-key]='-----BEGIN ([A-Z0-9]+ )*PRIVATE KEY( BLOCK)?-----'
    [aws-access-key]='(^|[^A-Za-z0-9])(AKIA|ASIA)[0-9A-Z]{16}([^A-Za-z0-9]|$)'
    [github-token]='(^|[^A-Za-z0-9])(gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{22})'
    [slack-token]='xox[abeoprs]-[A-Za-z0-9-]{10}|hooks\.slack\.com/services/T[A-Za-z0-9]+/B[A-Za-z0-9]+/[A-Za-z0-9]'
    [npm-token]='(^|[^A-Za-z0-9])npm_[A-Za-z0-9]{36}|_authToken *= *[^ $]{8}'
)

help() {
    cat <<'HELP'
tools/security_audit.sh: what looks unsafe in a service's folder, as a report

usage: tools/security_audit.sh [--json] [DIR]   (services/billing)

  npm-audit   known vulnerabilities of what package-lock.json pins, as the npm registry knows them
  lockfile    package-lock.json is there, in sync with package.json, version 3 or later; every package has an integrity and comes
              from a registry by https. Packages that run a script when they are installed are listed
  secrets     private keys and the tokens of AWS, GitHub, Slack and npm, in files that git tracks: place and kind, never the text
  files       .env files and *.key files that git tracks

A place that is meant to look so has `security-audit: allow KIND` and why in the same line or the one above; a file, in its first.
What could not be looked at is NOT CHECKED, or NOT REACHABLE if the registry did not answer: that is not "nothing found".

Exit code: 0 whatever is found, 2 wrong usage. The last line sums up: findings N, not checked M. With --json: `security-audit-v1`.
HELP
}

usage() {
    printf 'security-audit: error: %s\n  hint: tools/security_audit.sh --help\n' "$1" >&2
    exit 2
}

# ---- What is found: entries `check TAB kind TAB place TAB message`, fit to be shown.

findings=() notes=() unchecked=()
shown() { printf '%.300s' "$1" | tr -d '\000-\037\177'; }
finding() { findings+=("$1"$'\t'"$2"$'\t'"$(shown "$3")"$'\t'"$(shown "$4")"); }
note() { notes+=("$1"$'\t'"$2"$'\t'"$(shown "$3")"$'\t'"$(shown "$4")"); }
# not_checked CHECK WHY [NOT REACHABLE]
not_checked() { unchecked+=("$1"$'\t'"${3:-NOT CHECKED}"$'\t'$'\t'"$(shown "$2")"); }

# Takes up what a part in JavaScript says, in lines `finding|note|not_checked TAB arguments`.
take_up() {
    local verb a b c d
    while IFS=$'\t' read -r verb a b c d; do
        case $verb in
        finding) finding "$a" "$b" "$c" "$d" ;;
        note) note "$a" "$b" "$c" "$d" ;;
        not_checked) not_checked "$a" "$b" "$c" ;;
        esac
    done <"$1"
}

has() { command -v "$1" >/dev/null 2>&1; }

# ---- npm audit

# Asks about the folder $1 and says in the file $2 what came of it. Silence is no answer: only a report of npm's counts.
ask_registry() {
    (cd "$1" && timeout "$AUDIT_TIMEOUT" npm audit --json --package-lock-only --fetch-retries=0 --fetch-timeout=20000) \
        >"$work/audit.json" 2>/dev/null || true
    node - "$work/audit.json" >"$2" <<'JS'
const { readFileSync } = require("node:fs");
const say = (...fields) => console.log(fields.map((field) => String(field).replace(/[\t\n\r]/g, " ")).join("\t"));
let report;
try {
  report = JSON.parse(readFileSync(process.argv[2], "utf8"));
} catch {
  say("not_checked", "npm-audit", "npm audit gave no answer in time", "NOT REACHABLE");
  process.exit();
}
if (!report.vulnerabilities || !report.metadata) {
  // An address may hold a password.
  const why = `${report.message ?? report.error?.summary ?? "npm audit gave no report"}`.replace(/https?:\S+/g, "the registry");
  const none = [400, 401, 403, 404, 405, 501].includes(report.statusCode);
  say("not_checked", "npm-audit", why, none ? "NOT CHECKED" : "NOT REACHABLE");
  process.exit();
}
for (const { name, via } of Object.values(report.vulnerabilities))
  for (const advisory of via)
    // A text names another package of the list: the advisory is told there.
    if (typeof advisory === "object")
      say("finding", "npm-audit", advisory.severity, `${name}@${advisory.range}`, `${advisory.title} ${advisory.url ?? ""}`);
JS
}

check_npm_audit() {
    if ! has npm || ! has node; then
        not_checked npm-audit "npm is not here"
        return
    fi
    [[ -f $dir/package-lock.json ]] || { not_checked npm-audit "there is no package-lock.json"; return; }
    ask_registry "$dir" "$work/audit"
    if [[ ! -s $work/audit ]]; then
        # Nothing found, says npm: as it does offline, with auditing switched off, and where a mirror answers with an empty list.
        # Whether this registry can find anything at all shows what it says about a package with known holes.
        mkdir "$work/canary"
        printf '{"name":"canary","version":"1.0.0","dependencies":{"lodash":"4.17.11"}}\n' >"$work/canary/package.json"
        cat >"$work/canary/package-lock.json" <<'LOCK'
{"name":"canary","version":"1.0.0","lockfileVersion":3,"requires":true,"packages":{
"":{"name":"canary","version":"1.0.0","dependencies":{"lodash":"4.17.11"}},
"node_modules/lodash":{"version":"4.17.11","resolved":"https://registry.npmjs.org/lodash/-/lodash-4.17.11.tgz",
"integrity":"sha512-cQKh8igo5QUhZ7lg38DYWAxMvjSAKG0A8wGSVimP07SIUEK2UO+arSRKbRZWtelMtN5V0Hkwh5ryOto/SshYIg=="}}}
LOCK
        ask_registry "$work/canary" "$work/canary/audit"
        grep -q '^finding' "$work/canary/audit" ||
            not_checked npm-audit "the registry knows no advisories, not even those of lodash 4.17.11, or npm does not ask for them"
    fi
    take_up "$work/audit"
}

# ---- package-lock.json

check_lockfile() {
    has node || { not_checked lockfile "node is not here"; return; }
    [[ -f $dir/package.json ]] || { not_checked lockfile "there is no package.json"; return; }
    [[ -f $dir/package-lock.json ]] || { finding lockfile missing package-lock.json "installs take what is newest that day"; return; }
    node - "$dir" >"$work/lockfile" 2>/dev/null <<'JS' || not_checked lockfile "package.json or package-lock.json is no JSON of npm's"
const { readFileSync } = require("node:fs");
const { isDeepStrictEqual } = require("node:util");
const read = (file) => JSON.parse(readFileSync(`${process.argv[2]}/${file}`, "utf8"));
const manifest = read("package.json");
const lock = read("package-lock.json");
const say = (verb, ...fields) => console.log([verb, "lockfile", ...fields].map((field) => String(field).replace(/[\t\n\r]/g, " ")).join("\t"));

if (!(lock.lockfileVersion >= 3)) say("finding", "old-version", "package-lock.json", `lockfileVersion is ${lock.lockfileVersion}, not 3 or later`);
const packages = lock.packages ?? {};
const root = packages[""] ?? {};
for (const kind of ["dependencies", "devDependencies", "optionalDependencies", "peerDependencies"]) {
  const wanted = manifest[kind] ?? {};
  if (!isDeepStrictEqual(wanted, root[kind] ?? {})) say("finding", "out-of-sync", "package-lock.json", `${kind} are others than in package.json`);
  for (const name of Object.keys(wanted))
    if (!packages[`node_modules/${name}`] && kind !== "optionalDependencies" && kind !== "peerDependencies")
      say("finding", "out-of-sync", name, "is in package.json and not in package-lock.json");
}
for (const [path, entry] of Object.entries(packages)) {
  if (path === "") continue;
  const name = `${path.replace(/^.*node_modules\//, "")}@${entry.version ?? ""}`;
  const source = entry.resolved;
  // A folder of this repository: a workspace, or what links to one.
  const here = !path.includes("node_modules/") || entry.link === true;
  if (here && !manifest.workspaces) say("finding", "source", name, "comes from a folder, not from a registry");
  if (here || entry.inBundle) continue;
  if (source !== undefined && !/^https:\/\//.test(source)) say("finding", "source", name, `comes by ${String(source).split(":")[0]}:, not from a registry by https`);
  if (!/^sha(256|384|512)-/.test(entry.integrity ?? "")) say("finding", "no-integrity", name, entry.integrity ? "has a weak integrity" : "has no integrity");
  if (entry.hasInstallScript) say("note", "install-script", name, "runs a script when it is installed");
}
JS
    take_up "$work/lockfile"
}

# ---- Files that git tracks

# Whether the lines $3 to $4 of the file $2 allow the kind $1.
allowed() { sed -n "$3,$4p" -- "$dir/$2" 2>/dev/null | grep -qF "security-audit: allow $1"; }

search() { timeout "$GIT_TIMEOUT" git -C "$dir" --literal-pathspecs grep -I -E "$@"; }

check_secrets() {
    local kind file line
    for kind in "${!SECRETS[@]}"; do
        search --null -l -e "${SECRETS[$kind]}" -- . >"$work/files" 2>/dev/null || [[ $? == 1 ]] ||
            { not_checked secrets "git grep does not answer: $kind"; continue; }
        while IFS= read -r -d '' file <&3; do
            while IFS=: read -r line _; do
                if allowed "$kind" "$file" $((line > 1 ? line - 1 : 1)) "$line"; then
                    note secrets allowed "$file:$line" "$kind, and a comment says that it may be there"
                else
                    finding secrets "$kind" "$file:$line" "looks like a $kind"
                fi
            done < <(search -h -n -e "${SECRETS[$kind]}" -- "$file")
        done 3<"$work/files"
    done
}

check_files() {
    local file base
    timeout "$GIT_TIMEOUT" git -C "$dir" ls-files -z -- . >"$work/files" 2>/dev/null || { not_checked files "git ls-files does not answer"; return; }
    while IFS= read -r -d '' file <&3; do
        base=${file##*/}
        case $base in
        .env.example | .env.sample | .env.template) continue ;;
        .env | .env.* | *.key) ;;
        *) continue ;;
        esac
        if allowed tracked-file "$file" 1 1; then
            note files allowed "$file" "and a comment says that it may be there"
        else
            finding files tracked-file "$file" "is tracked by git: such files hold secrets"
        fi
    done 3<"$work/files"
}

# ---- The report

json_text() {
    local text=${1//\\/\\\\}
    printf '"%s"' "${text//\"/\\\"}"
}

# json_list FIELD... -- ENTRY...
json_list() {
    local fields=() entry values separator="" i
    while [[ $1 != -- ]]; do fields+=("$1") && shift; done
    shift
    for entry; do
        # Not `read`, to which several tabs are one.
        mapfile -t -d $'\t' values < <(printf '%s' "$entry")
        printf '%s{' "$separator"
        for i in 0 1 2 3; do
            [[ ${fields[i]} != - ]] || continue
            [[ $i == 0 ]] || printf ','
            printf '"%s":' "${fields[i]}" && json_text "${values[i]-}"
        done
        printf '}'
        separator=,
    done
}

report_json() {
    printf '{"schema":"security-audit-v1","target":%s,' "$(json_text "$(shown "$target")")"
    printf '"findings":[%s],' "$(json_list check kind at message -- ${findings[@]+"${findings[@]}"})"
    printf '"notes":[%s],' "$(json_list check kind at message -- ${notes[@]+"${notes[@]}"})"
    printf '"not_checked":[%s]}\n' "$(json_list check state - reason -- ${unchecked[@]+"${unchecked[@]}"})"
}

report() {
    local check entry rest
    printf 'security audit of %s (a report: it fails nothing)\n' "$(shown "$target")"
    for check in npm-audit lockfile secrets files; do
        # That nothing was found is said, and only where it was looked for.
        [[ $'\n'$(printf '%s\n' "${findings[@]-}" "${unchecked[@]-}") == *$'\n'"$check"$'\t'* ]] || printf '%s: nothing found\n' "$check"
        for entry in ${unchecked[@]+"${unchecked[@]}"}; do
            [[ $entry != "$check"$'\t'* ]] || { rest=${entry#*$'\t'}; printf '%s: %s: %s\n' "$check" "${rest%%$'\t'*}" "${entry##*$'\t'}"; }
        done
        for entry in ${findings[@]+"${findings[@]}"}; do
            [[ $entry != "$check"$'\t'* ]] || printf '%s: finding: %s\n' "$check" "$(plain "${entry#*$'\t'}")"
        done
        for entry in ${notes[@]+"${notes[@]}"}; do
            [[ $entry != "$check"$'\t'* ]] || printf '%s: note: %s\n' "$check" "$(plain "${entry#*$'\t'}")"
        done
    done
    printf 'findings %d, not checked %d\n' "${#findings[@]}" "${#unchecked[@]}"
}

# kind TAB place TAB message, for people
plain() {
    local kind place message
    IFS=$'\t' read -r kind place message <<<"$1"
    printf '%s %s: %s' "$kind" "$place" "$message"
}

json="" target=""
for argument; do
    case $argument in
    --help | -h) help && exit 0 ;;
    --json) json=1 ;;
    -*) usage "unknown: $argument" ;;
    *)
        [[ -z $target && -n $argument ]] || usage "one folder, not several"
        target=$argument
        ;;
    esac
done
: "${target:=services/billing}"
# From the repository's root or from anywhere else.
dir=$target
[[ -d $dir || $target != services/billing ]] || dir="$tools/../services/billing"
[[ -d $dir ]] || usage "$target is no folder"
dir=$(cd "$dir" && pwd)

work=""
trap '[[ -z $work ]] || rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
work=$(mktemp -d "${TMPDIR:-/tmp}/security-audit.XXXXXX")

check_npm_audit
check_lockfile
if has git && git -C "$dir" rev-parse --is-inside-work-tree >/dev/null 2>&1; then
    check_secrets
    check_files
else
    not_checked secrets "the folder is in no git repository that git may read"
    not_checked files "the folder is in no git repository that git may read"
fi

if [[ -n $json ]]; then report_json; else report; fi
