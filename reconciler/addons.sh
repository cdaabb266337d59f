# Puts the add-ons of a server where the game looks for them, before it
# starts. Runs in the server's own image, which has curl and jq, or node.
#
#   DATA     the server's directory
#   ADDONS   a line each, fields separated by tabs, "-" for none:
#            folder  file  checksum (sha512:… or sha256:…)  how  address
#            how is "url", or "modrinth": then the address is that of the
#            version, or of the list of versions that fit, at Modrinth's API
#
# What it has put there is written down in DATA/.mchost-addons, so that it
# goes again when it is no longer wanted; all other files are the tenant's.
# Why it failed is in the container's termination log.
set -eu
umask 022
export TMPDIR="$DATA"
tab=$(printf '\t')
book=$DATA/.mchost-addons
download=$DATA/.mchost-download

fail() {
    echo "$*" >&2
    echo "$*" >"${TERMINATION_LOG:-/dev/termination-log}" || :
    rm -f "$download"
    exit 1
}

# get ADDRESS: into $download. Waits between attempts; what is not there, or
# forbidden, is not asked for again.
get() {
    attempt=1
    while ! why=$(get_once "$1" 2>&1); do
        case $why in
            *" 400"* | *" 401"* | *" 403"* | *" 404"* | *" 410"*) return 1 ;;
        esac
        [ "$attempt" -lt 5 ] || return 1
        echo "$1: $why; trying again" >&2
        sleep $((attempt * ${RETRY_SECONDS:-2}))
        attempt=$((attempt + 1))
    done
}

get_once() {
    if command -v curl >/dev/null; then
        curl -gfsSL -A mchost --proto '=http,https' --max-redirs 5 --connect-timeout 10 \
            --speed-limit 1000 --speed-time 30 --max-filesize 536870912 -o "$download" -- "$1"
    else
        node -e '
            const fs = require("fs"), { Readable, Transform } = require("stream")
            const { pipeline } = require("stream/promises")
            let bytes = 0
            const limit = new Transform({ transform (chunk, _, next) {
                bytes += chunk.length
                next(bytes > 536870912 ? new Error("the file is too large") : null, chunk)
            } })
            fetch(process.argv[1], { headers: { "User-Agent": "mchost" }, signal: AbortSignal.timeout(600000) })
                .then(reply => {
                    if (!reply.ok) throw new Error("The requested URL returned error: " + reply.status)
                    return pipeline(Readable.fromWeb(reply.body), limit, fs.createWriteStream(process.argv[2]))
                })
                .catch(err => { console.error(err.cause?.message || err.message); process.exit(1) })
        ' "$1" "$download"
    fi
}

# The checksum and the address of the file of a version at Modrinth, of the
# first release in a list of versions, else of the first: "sha512:… https://…".
pick() {
    if command -v jq >/dev/null; then
        jq -r '(if type == "array" then (map(select(.version_type == "release"))[0] // .[0]) else . end)
            | (.files // []) | (map(select(.primary))[0] // .[0]) | select(.)
            | "sha512:\(.hashes.sha512) \(.url)"' "$download"
    else
        node -e '
            let v = JSON.parse(require("fs").readFileSync(process.argv[1]))
            if (Array.isArray(v)) v = v.find(x => x.version_type === "release") || v[0]
            const files = v?.files || [], f = files.find(x => x.primary) || files[0]
            if (f) console.log(`sha512:${f.hashes.sha512} ${f.url}`)
        ' "$download"
    fi
}

# matches FILE CHECKSUM; what it is instead is in $sum.
matches() {
    sum=$("${2%%:*}sum" <"$1")
    sum=${2%%:*}:${sum%% *}
    [ "$sum" = "$2" ]
}

# resolve: how and address of Modrinth become those of a file.
resolve() {
    get "$address" || {
        [ -f "$DATA/$folder/$file" ] && known "$folder/$file" || fail "add-on $file: Modrinth does not tell: $why"
        echo "add-on $file: Modrinth does not tell: $why; the file that is there stays" >&2
        return 1
    }
    found=$(pick) || fail "add-on $file: Modrinth gave an answer that cannot be read"
    [ -n "$found" ] || fail "add-on $file: Modrinth has no version of it that fits this server"
    if [ "$checksum" != - ]; then
        case $checksum in sha512:*) [ "$checksum" = "${found%% *}" ] || fail "add-on $file: Modrinth has ${found%% *}, wanted is $checksum" ;; esac
    else
        checksum=${found%% *}
    fi
    address=${found#* }
}

known() { [ -f "$book" ] && grep -qxF -- "$1" "$book"; }

install() {
    if [ "$how" = modrinth ]; then
        resolve || return 0
    fi
    case $checksum in
        sha512:* | sha256:*) ;;
        *) fail "add-on $file: it has no checksum" ;;
    esac
    if [ -f "$DATA/$folder/$file" ] && matches "$DATA/$folder/$file" "$checksum"; then
        return 0
    fi
    get "$address" || fail "add-on $file cannot be downloaded from $address: $why"
    matches "$download" "$checksum" ||
        fail "add-on $file: $address is not the file that was meant, its checksum is $sum, wanted is $checksum"
    mkdir -p "$DATA/$folder"
    mv -f "$download" "$DATA/$folder/$file"
    echo "add-on $folder/$file: installed" >&2
}

wanted=
while IFS=$tab read -r folder file checksum how address; do
    [ -n "$file" ] || continue
    wanted="$wanted$folder/$file
"
done <<LIST
$ADDONS
LIST
[ -n "$wanted" ] || [ -f "$book" ] || exit 0

# First the book, then the files: what comes is never forgotten.
{ [ ! -f "$book" ] || cat "$book"; printf %s "$wanted"; } | sort -u >"$book.new"
mv -f "$book.new" "$book"
while IFS=$tab read -r folder file checksum how address; do
    [ -z "$file" ] || install
done <<LIST
$ADDONS
LIST
while read -r path; do
    case "
$wanted" in
        *"
$path
"*) ;;
        *) rm -f -- "$DATA/$path"; echo "add-on $path: removed" >&2 ;;
    esac
done <"$book"
printf %s "$wanted" >"$book.new"
mv -f "$book.new" "$book"
rm -f "$download"
