#!/bin/sh
# What the Azure Monitor Agent of this machine is up to, told in one go.
#
# This file only defines functions. The caller appends one line that calls "ampls_gather" with its
# arguments, so that a script that arrives cut does nothing at all.
#
# It reads, and changes nothing: no file is written, no service touched, no package needed. It runs in any
# POSIX sh (dash, busybox, bash) with or without root; what it may not read, it says so. Every step has a
# time limit, and no tool follows its user's own settings (.curlrc, .wgetrc). What leaves the machine is what the lines "say" prints: states, names, addresses, sizes, the
# host names in the agent's configuration, and the distinct error messages of the agent's log. Tokens that
# the instance metadata service gives are thrown away inside the pipe that receives them.
#
# Environment, for machines that are laid out otherwise (and for tests):
#   AMPLS_ROOT  prefix of every file that is read         (nothing)
#   AMPLS_IMDS  origin of the instance metadata service   (http://169.254.169.254)
#   AMPLS_PORT  port of the endpoints                     (443)

# ---- what is sent -------------------------------------------------------------------------------------
#
#   NONCE begin 1            nothing before this line is ours
#   NONCE [ part             a part of the answer begins
#   NONCE . fields           one line of it
#   NONCE ] part 3           it ends, and had three lines
#   NONCE ! part why         this part cannot be told
#   NONCE > part 12          no room is left: go on with the 13th line of this part
#   NONCE end                everything was said
#
# The nonce is the caller's and new for every call. Bytes that are not printable ASCII, and "%", are
# written as %XX, so that nothing that comes out of a file or a service can look like a line of ours.

ampls_say() {
    printf '%s %s\n' "$ampls_nonce" "$1"
    ampls_used=$((ampls_used + ${#ampls_nonce} + ${#1} + 2))
}

# Encode standard input, line by line. With an argument, blanks too: the text is one field of several.
ampls_encode() {
    tr -d '\000' | awk -v fields="${1:-}" '
        BEGIN { for (i = 1; i < 256; i++) code[sprintf("%c", i)] = i }
        {
            out = ""
            for (i = 1; i <= length($0); i++) {
                c = substr($0, i, 1)
                n = code[c]
                if (n < 32 || n > 126 || c == "%" || (fields != "" && (c == " " || c == "!")))
                    out = out sprintf("%%%02X", n)
                else
                    out = out c
            }
            print out
        }'
}

# Run a command for so many seconds at most: ampls_within SECONDS COMMAND [ARGUMENT...]
ampls_within() {
    if [ "$ampls_timeout" = yes ]; then
        timeout "$@"
        return
    fi
    ampls_seconds=$1
    shift
    "$@" &
    ampls_child=$!
    (sleep "$ampls_seconds" && kill "$ampls_child") >/dev/null 2>&1 &
    ampls_guard=$!
    wait "$ampls_child" 2>/dev/null
    ampls_status=$?
    kill "$ampls_guard" 2>/dev/null
    return "$ampls_status"
}

ampls_has() { command -v "$1" >/dev/null 2>&1; }

# Do something for every name at once, and put the lines in order. Each line must be written by one printf.
ampls_for_names() {
    ampls_index=0
    {
        for ampls_each in $ampls_names; do
            "$1" "$ampls_index" "$ampls_each" &
            ampls_index=$((ampls_index + 1))
        done
        wait
    } | sort -k 1,1n -k 2,2
}

# ---- the parts ----------------------------------------------------------------------------------------
# Each prints its lines, or "!" and the reason why it cannot.

# clock, kernel, architecture, user: the clock in seconds since the epoch
ampls_part_system() {
    printf '%s %s %s %s\n' "$(date +%s)" "$(uname -s)" "$(uname -m)" "$(id -u)" | ampls_encode
}

# The agent's systemd units; on aarch64 there is but the first (the agent's own troubleshooter: check_status.py).
ampls_units() {
    printf azuremonitoragent
    [ "$(uname -m)" = aarch64 ] || printf ' azuremonitor-coreagent azuremonitor-agentlauncher'
}

ampls_unit() { # UNIT PROPERTY: the value that systemd has for it
    ampls_within 5 systemctl show -p "$2" "$1" 2>/dev/null | sed -n "s/^$2=//p" | head -n 1
}

ampls_part_services() {
    for ampls_service in $(ampls_units); do
        ampls_state=
        if ampls_has systemctl; then
            ampls_state=$(ampls_unit "$ampls_service" ActiveState)
            [ "$(ampls_unit "$ampls_service" LoadState)" = not-found ] && ampls_state=missing
        fi
        if [ -z "$ampls_state" ]; then # no systemd that answers: look for the process
            case $ampls_service in
            azuremonitoragent) ampls_comm=mdsd ;;
            *coreagent) ampls_comm=amacoreagent ;;
            *) ampls_comm=agentlauncher ;;
            esac
            ampls_state=inactive
            [ -n "$(ampls_process "$ampls_comm")" ] && ampls_state=active
        fi
        printf '%s %s\n' "$ampls_service" "$ampls_state"
    done | ampls_encode
}

ampls_process() { # COMM: the number of the first process of this name
    set +f
    for ampls_comm_file in "$ampls_root"/proc/[0-9]*/comm; do
        if [ "$(head -c 64 "$ampls_comm_file" 2>/dev/null)" = "$1" ]; then
            ampls_comm_file=${ampls_comm_file%/comm}
            printf '%s' "${ampls_comm_file##*/}"
            break
        fi
    done
    set -f
}

# When the agent's main process last started, in seconds since the epoch.
ampls_part_started() {
    ampls_up=$(cut -d' ' -f1 "$ampls_root/proc/uptime" 2>/dev/null)
    ampls_began=
    if ampls_has systemctl; then
        ampls_began=$(ampls_unit azuremonitoragent ActiveEnterTimestampMonotonic)
    fi
    case $ampls_began:$ampls_up in
    *[!0-9.:]* | :* | 0:* | *:) ampls_began= ;;
    esac
    if [ -n "$ampls_began" ]; then
        awk -v now="$(date +%s)" -v up="$ampls_up" -v began="$ampls_began" \
            'BEGIN { printf "%.0f\n", now - up + began / 1000000 }'
    else
        printf '!systemd does not say when azuremonitoragent started\n'
    fi
}

# Which configuration the agent follows: ENABLE_MCS=true means data collection rules.
ampls_part_mode() {
    ampls_file=$ampls_root/etc/default/azuremonitoragent
    if [ ! -r "$ampls_file" ]; then
        printf '!/etc/default/azuremonitoragent is missing or not readable\n'
        return
    fi
    case $(head -c 65536 "$ampls_file" | grep '^[[:space:]]*\(export[[:space:]][[:space:]]*\)\{0,1\}ENABLE_MCS=' | tail -n 1) in
    *=true* | *=\"true* | *=\'true*) printf 'mcs\n' ;;
    *) printf 'gcs\n' ;;
    esac
}

# A token for each identity that the agent may ask for. Status and error texts leave the pipe; the token does not.
ampls_part_tokens() {
    if [ "$ampls_identities" = none ]; then
        return
    fi
    if ! ampls_has curl && ! ampls_has wget && ! ampls_has python3; then
        printf '!there is no curl, wget or python3 to ask the instance metadata service with\n'
        return
    fi
    ampls_index=0
    for ampls_query in $ampls_identities; do
        ampls_url="$ampls_imds/metadata/identity/oauth2/token?api-version=2018-02-01"
        ampls_url="$ampls_url&resource=https%3A%2F%2Fmonitor.azure.com%2F"
        [ "$ampls_query" = - ] || ampls_url="$ampls_url&$ampls_query"
        ampls_ask_imds "$ampls_url" 2>&1 | ampls_token_outcome "$ampls_index"
        ampls_index=$((ampls_index + 1))
    done
}

ampls_ask_imds() {
    if ampls_has curl; then
        ampls_within 12 curl -q -sS -i --noproxy '*' --connect-timeout 4 --max-time 10 -H 'Metadata: true' "$1"
    elif ampls_has wget; then
        ampls_within 12 env no_proxy='*' HOME=/nonexistent WGETRC= wget -q -S -O - -T 5 -t 1 --content-on-error --header='Metadata: true' "$1"
    else
        ampls_within 12 python3 -c '
import sys, urllib.request, urllib.error
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
try:
    answer = opener.open(urllib.request.Request(sys.argv[1], headers={"Metadata": "true"}), timeout=5)
except urllib.error.HTTPError as error:
    answer = error
except OSError as error:
    sys.exit("python3: %s" % error)
print("HTTP/1.1 %d" % answer.getcode())
print(answer.read(4096).decode("ascii", "replace") if answer.getcode() != 200 else "")
' "$1"
    fi
}

# Reads an answer with its headers; prints index, status, and error and description in one field each.
ampls_token_outcome() {
    tr -d '\000\r' | awk '
        function text(name,   at, rest) {
            at = match($0, "\"" name "\"[ \t]*:[ \t]*\"")
            if (!at) return ""
            rest = substr($0, RSTART + RLENGTH)
            sub(/".*/, "", rest)
            return substr(rest, 1, 200)
        }
        match($0, /^ *HTTP\/[0-9.]+ [0-9][0-9][0-9]/) { status = substr($0, RSTART + RLENGTH - 3, 3) }
        /^(curl|wget|python3): / { if (why == "") why = substr($0, 1, 200) }
        status != "" && status != 200 {
            if (error == "") error = text("error")
            if (told == "") told = text("error_description")
        }
        END {
            if (status == "") { status = "-"; told = why == "" ? "no answer in time" : why }
            print status; print error; print told
        }' | ampls_encode fields | {
        read -r ampls_a && read -r ampls_b && read -r ampls_c
        printf '%s %s %s %s\n' "$1" "$ampls_a" "${ampls_b:--}" "${ampls_c:--}"
    }
}

# The DNS servers that are asked in the end: those behind systemd-resolved's stub, where that is in between.
ampls_part_dns_servers() {
    ampls_file=$ampls_root/etc/resolv.conf
    if [ ! -r "$ampls_file" ]; then
        printf '!/etc/resolv.conf is missing or not readable\n'
        return
    fi
    if grep -q '^nameserver[[:space:]]*127\.0\.0\.53' "$ampls_file" &&
        [ -r "$ampls_root/run/systemd/resolve/resolv.conf" ]; then
        ampls_file=$ampls_root/run/systemd/resolve/resolv.conf
    fi
    head -c 65536 "$ampls_file" | awk '$1 == "nameserver" { print $2 }' | head -n 8 | ampls_encode fields
}

# What programs on this machine get for each name (getent), and what its hosts file has for it:
# index, addresses (or the reason in words), addresses in the hosts file
ampls_part_lookups() {
    if ! ampls_has getent; then
        printf '!there is no getent to resolve names with\n'
        return
    fi
    ampls_file=$ampls_root/etc/hosts
    if [ -e "$ampls_file" ] && [ ! -r "$ampls_file" ]; then
        printf '!/etc/hosts is not readable for this user\n'
        return
    fi
    # A line behind what is read would be an override that nobody saw.
    if [ -e "$ampls_file" ] && [ "$(head -c $((ampls_hosts_bytes + 1)) "$ampls_file" | wc -c)" -gt "$ampls_hosts_bytes" ]; then
        printf '!/etc/hosts has more than %s bytes\n' "$ampls_hosts_bytes"
        return
    fi
    ampls_for_names ampls_look_up
}

ampls_look_up() {
    ampls_found=$(ampls_within 10 getent ahostsv4 "$2" 2>/dev/null)
    ampls_status=$?
    ampls_found=$(printf '%s\n' "$ampls_found" | awk '$1 ~ /^[0-9.]+$/ && !seen[$1]++ { s = s sep $1; sep = "," } END { print s }')
    if [ -z "$ampls_found" ]; then
        case $ampls_status in
        0 | 2) ampls_found=not-found ;;
        124 | 143) ampls_found=no-answer ;;
        *) ampls_found=failed ;;
        esac
    fi
    ampls_listed=-
    if [ -r "$ampls_root/etc/hosts" ]; then
        ampls_listed=$(head -c "$ampls_hosts_bytes" "$ampls_root/etc/hosts" | tr -d '\000\r' | awk -v name="$2" '
            { sub(/#.*/, "") }
            { for (i = 2; i <= NF; i++) if (tolower($i) == name) { s = s sep $1; sep = "," } }
            END { print s == "" ? "-" : s }' | ampls_encode fields)
    fi
    printf '%s %s %s\n' "$1" "$ampls_found" "$ampls_listed"
}

# A TLS handshake with the addresses that each name has here (two of them at most):
# index, address, "tls" version cipher verify-code issuer subject | "tcp" reason | "no" reason
ampls_part_handshakes() {
    if ! ampls_has getent; then
        printf '!there is no getent to resolve names with\n'
        return
    fi
    if ! ampls_has openssl && ! ampls_has curl; then
        printf '!there is no openssl or curl to connect with\n'
        return
    fi
    ampls_nameopt=
    case $(openssl version 2>/dev/null) in
    '' | 'OpenSSL 0'* | 'OpenSSL 1.0'* | Libre*) ;;
    *) ampls_nameopt='-nameopt RFC2253' ;;
    esac
    ampls_for_names ampls_connect
}

ampls_connect() {
    ampls_found=$(ampls_within 10 getent ahostsv4 "$2" 2>/dev/null | awk '$1 ~ /^[0-9.]+$/ && !seen[$1]++ { print $1 }' | head -n 2)
    IFS=$ampls_newline
    for ampls_address in $ampls_found; do
        IFS=' '
        if ampls_has openssl; then
            ampls_with_openssl "$1" "$2" "$ampls_address"
        else
            ampls_with_curl "$1" "$2" "$ampls_address"
        fi
    done
}

ampls_with_openssl() {
    # shellcheck disable=SC2086 # ampls_nameopt is two words, or none
    ampls_heard=$(ampls_within 8 openssl s_client -connect "$3:$ampls_port" -servername "$2" \
        -verify_hostname "$2" $ampls_nameopt </dev/null 2>&1 | tr -d '\000\r' | head -c 65536 | awk '
        /^CONNECTED\(/ { tcp = 1 }
        /^ 0 s:/ { subject = substr($0, 6) }
        /^   i:/ { if (issuer == "") issuer = substr($0, 6) }
        /^New, / { version = $2; sub(/,$/, "", version); cipher = $NF }
        /^ *Protocol *: / { if ($NF != "") version = $NF }
        /Verif(y return code|ication error): / { code = $0; sub(/^.*: /, "", code) }
        match($0, /Connection (refused|reset|timed out)|No route to host|Network is unreachable|Permission denied/) {
            if (plain == "") plain = substr($0, RSTART, RLENGTH)
        }
        /alert|error|errno/ { if (why == "") { why = $0; sub(/^.*error:[0-9A-Fa-f]*:/, "", why) } }
        END {
            sub(/^[0-9]+ \(ok\)$/, "ok", code)
            if (cipher != "" && cipher != "(NONE)" && cipher != "0000") {
                print "tls"; print version == "" ? "-" : version; print cipher; print code == "" ? "-" : code
                print issuer == "" ? "-" : substr(issuer, 1, 160); print subject == "" ? "-" : substr(subject, 1, 160)
            } else {
                if (plain != "") why = plain
                print tcp ? "tcp" : "no"; print why == "" ? "no answer in time" : substr(why, 1, 160)
            }
        }' | ampls_encode fields | tr '\n' ' ')
    printf '%s %s %s\n' "$1" "$3" "$ampls_heard"
}

ampls_with_curl() {
    ampls_heard=$(ampls_within 10 curl -q -sS -v --noproxy '*' --connect-timeout 5 --max-time 8 \
        --resolve "$2:$ampls_port:$3" -o /dev/null "https://$2:$ampls_port/" 2>&1 </dev/null |
        tr -d '\000\r' | head -c 65536 | awk '
        /^\* Connected to / { tcp = 1 }
        /^\* SSL connection using / { version = $5; cipher = $7 }
        /^\* +subject: / { subject = $0; sub(/^\* +subject: /, "", subject) }
        /^\* +issuer: / { issuer = $0; sub(/^\* +issuer: /, "", issuer) }
        /^curl: \((51|60|77)\)/ { code = $0; untrusted = 1 }
        /^curl: \(/ { if (why == "") why = $0 }
        END {
            if (untrusted || version != "") {
                print "tls"; print version == "" ? "-" : version; print cipher == "" ? "-" : cipher
                print untrusted ? code : "ok"
                print issuer == "" ? "-" : substr(issuer, 1, 160); print subject == "" ? "-" : substr(subject, 1, 160)
            } else {
                print tcp ? "tcp" : "no"; print why == "" ? "no answer in time" : substr(why, 1, 160)
            }
        }' | ampls_encode fields | tr '\n' ' ')
    printf '%s %s %s\n' "$1" "$3" "$ampls_heard"
}

# What https://HANDLER/ping says, for the handlers among the names: index, text
ampls_part_health() {
    if ! ampls_has curl && ! ampls_has wget; then
        printf '!there is no curl or wget to ask the handlers with\n'
        return
    fi
    ampls_for_names ampls_ping
}

ampls_ping() {
    case $2 in
    *.handler.control.*) ;;
    *) return ;;
    esac
    ampls_url="https://$2/ping"
    [ "$ampls_port" = 443 ] || ampls_url="https://$2:$ampls_port/ping"
    if ampls_has curl; then
        ampls_heard=$(ampls_within 10 curl -q -sS --noproxy '*' --connect-timeout 5 --max-time 8 -w ' (HTTP %{http_code})' "$ampls_url" 2>&1 </dev/null | head -c 160)
        ampls_heard=${ampls_heard% (HTTP 000)}
    else
        ampls_heard=$(ampls_within 10 env no_proxy='*' HOME=/nonexistent WGETRC= wget -q -O - -T 8 -t 1 "$ampls_url" 2>&1 </dev/null | head -c 160)
    fi
    ampls_heard=$(printf '%s' "$ampls_heard" | tr '\n' ' ' | ampls_encode)
    printf '%s %s\n' "$1" "${ampls_heard:-no answer in time}"
}

# The configuration chunks: file, modified, rule, protocols, hosts (a name that was asked for is "#index")
ampls_part_chunks() {
    ampls_folder=/etc/opt/microsoft/azuremonitoragent/config-cache/configchunks
    if [ ! -d "$ampls_root$ampls_folder" ]; then
        ampls_parent=${ampls_folder%/*}
        if [ -d "$ampls_root$ampls_parent" ] && [ -r "$ampls_root$ampls_parent" ] && [ -x "$ampls_root$ampls_parent" ]; then
            return # the agent keeps its configuration there, and has none
        fi
        printf '!%s is missing or not readable\n' "$ampls_folder"
        return
    fi
    if [ ! -r "$ampls_root$ampls_folder" ] || [ ! -x "$ampls_root$ampls_folder" ]; then
        printf '!%s is not readable for this user\n' "$ampls_folder"
        return
    fi
    set +f
    set -- "$ampls_root$ampls_folder"/*.json
    set -f
    if [ $# -gt 200 ]; then
        printf '!%s has more than 200 files\n' "$ampls_folder"
        return
    fi
    for ampls_file; do
        [ -f "$ampls_file" ] || continue
        if [ ! -r "$ampls_file" ]; then
            printf '!%s has files that are not readable for this user\n' "$ampls_folder"
            break
        fi
        ampls_chunk "$ampls_file"
    done
}

ampls_chunk() {
    ampls_base=$(printf '%s' "${1##*/}" | tr '\n' '?' | ampls_encode fields)
    ampls_time=$(stat -c %Y "$1" 2>/dev/null || date -r "$1" +%s 2>/dev/null || printf 0)
    # One JSON member is one record: no host name, rule id or protocol has a comma in it.
    ampls_told=$(head -c 1048576 "$1" | tr -d '\000\r\n' | awk -v names="$ampls_names" '
        function add(list, item) { return index("," list ",", "," item ",") ? list : (list == "" ? item : list "," item) }
        BEGIN { RS = ","; n = split(names, asked, " "); for (i = 1; i <= n; i++) number[asked[i]] = "#" (i - 1) }
        { gsub(/\\\//, "/") }
        match($0, /"protocol"[ \t]*:[ \t]*"[A-Za-z0-9]+"/) {
            item = substr($0, RSTART, RLENGTH); sub(/"$/, "", item); sub(/^.*"/, "", item)
            protocols = add(protocols, item)
        }
        match($0, /"(endpoint|endpointUriTemplate|tokenEndpointUri)"[ \t]*:[ \t]*"https:\/\/[A-Za-z0-9._-]+/) {
            item = substr($0, RSTART, RLENGTH); sub(/^.*\//, "", item); item = tolower(item)
            hosts = add(hosts, item in number ? number[item] : item)
        }
        match($0, /(agentConfigurations|dataCollectionRules)\/dcr-[0-9A-Za-z]+/) {
            item = substr($0, RSTART, RLENGTH); sub(/^.*\//, "", item); if (rule == "") rule = item
        }
        END { print (rule == "" ? "-" : rule) " " (protocols == "" ? "-" : protocols) " " (hosts == "" ? "-" : substr(hosts, 1, 1000)) }')
    printf '%s %s %s\n' "$ampls_base" "$ampls_time" "$ampls_told"
}

# The last distinct messages of the agent's error log: the time each bears, and the line. Those that speak of an
# upload, a token, TLS or the configuration endpoint go before others, however new: they say why data stops.
# Only the end of the file is read, however large it is.
ampls_part_log() {
    ampls_folder=/var/opt/microsoft/azuremonitoragent/log
    ampls_file=$ampls_root$ampls_folder/mdsd.err
    if [ ! -e "$ampls_file" ]; then
        [ -d "$ampls_root$ampls_folder" ] && [ -x "$ampls_root$ampls_folder" ] && return
        printf '!%s is missing or not readable\n' "$ampls_folder"
        return
    fi
    if [ ! -r "$ampls_file" ]; then
        printf '!%s/mdsd.err is not readable for this user\n' "$ampls_folder"
        return
    fi
    ampls_within 10 tail -c 131072 "$ampls_file" | tr -d '\000' | ampls_encode | awk -v most="$ampls_lines" '
        NR == 1 && !/^[0-9][0-9][0-9][0-9]-/ { next } # the tail begins in the middle of a line
        /^[ \t]*$/ { next }
        {
            time = "-"; text = $0
            if (match($0, /^[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]T[0-9][0-9]:[0-9][0-9]:[0-9][0-9]/)) {
                time = substr($0, 1, 19); text = substr($0, 20); sub(/^[.0-9]*Z?:? */, "", text); last = time
            } else if (last != "") time = last # a message of several lines bears one time
            # The same message with other numbers in it is the same message.
            kind = substr(text, 1, 200); gsub(/[0-9A-Fa-f]*[0-9][0-9A-Fa-f]*/, "#", kind)
            text = substr(text, 1, 400)
            sub(/%[0-9A-F]?$/, "", text) # never half of an encoded byte
            at[kind] = NR; line[NR] = time " " text
            if (text ~ /ODS|MSI|IMDS|SSL|[Ii]dentit(y|ies)|[Cc]ollection endpoint|-214[0-9]+/) telling[NR] = 1
        }
        END {
            for (kind in at) keep[at[kind]] = 1
            for (i = NR; i > 0 && kept < most; i--) if (i in keep && i in telling) { kept++; chosen[i] = 1 }
            for (i = NR; i > 0 && kept < most; i--) if (i in keep && !(i in telling)) { kept++; chosen[i] = 1 }
            for (i = 1; i <= NR; i++) if (i in chosen) print line[i]
        }'
}

# Free bytes where the agent keeps things: folder, bytes. A folder that is missing stands for its parent.
ampls_part_disks() {
    for ampls_folder in /var/opt/microsoft/azuremonitoragent /etc/opt/microsoft/azuremonitoragent /opt/microsoft/azuremonitoragent; do
        ampls_file=$ampls_root$ampls_folder
        while [ ! -d "$ampls_file" ] && [ -n "$ampls_file" ]; do
            ampls_file=${ampls_file%/*}
        done
        ampls_within 5 df -Pk "${ampls_file:-/}" 2>/dev/null | awk -v folder="$ampls_folder" '
            NR == 2 { printf "%s %.0f\n", folder, $4 * 1024; done = 1 }
            END { if (!done) print "!df does not answer for " folder }'
    done
}

# ---- the whole ----------------------------------------------------------------------------------------

# Tell one part from the line after SKIP: ampls_tell PART SKIP. Fails where no room is left.
ampls_tell() {
    if [ "$(date +%s)" -gt "$ampls_deadline" ]; then
        ampls_say "! $1 the script ran out of time before it got there"
        return 0
    fi
    ampls_body=$("ampls_part_$1" 2>/dev/null)
    case "$ampls_newline$ampls_body" in
    *"$ampls_newline!"*)
        ampls_body=${ampls_body#*!}
        ampls_say "! $1 ${ampls_body%%"$ampls_newline"*}"
        return 0
        ;;
    esac
    ampls_count=0
    ampls_opened=
    IFS=$ampls_newline
    for ampls_line in $ampls_body; do
        IFS=' '
        ampls_count=$((ampls_count + 1))
        [ "$ampls_count" -le "$2" ] && continue
        if [ "$ampls_limit" -gt 0 ] && [ $((ampls_used + ${#ampls_line} + 120)) -gt "$ampls_limit" ]; then
            ampls_say "> $1 $((ampls_count - 1))"
            return 1
        fi
        [ -n "$ampls_opened" ] || ampls_say "[ $1"
        ampls_opened=yes
        ampls_say ". $ampls_line"
    done
    IFS=' '
    [ -n "$ampls_opened" ] || ampls_say "[ $1"
    ampls_say "] $1 $ampls_count"
}

# ampls_gather NONCE LIMIT FROM SKIP NAMES IDENTITIES PARTS...
#   LIMIT       bytes to send at most; 0 for as many as there are
#   FROM, SKIP  begin with this part, after this many of its lines; "-" and 0 for the beginning
#   NAMES       host names, separated by blanks
#   IDENTITIES  for each identity what the query of a token request says ("-": no identity), or "none"
ampls_gather() {
    set -f
    umask 077
    LC_ALL=C
    PATH=$PATH:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
    export LC_ALL PATH
    unset LANGUAGE GREP_OPTIONS POSIXLY_CORRECT
    IFS=' '
    ampls_newline='
'
    ampls_nonce=$1 ampls_limit=$2 ampls_from=$3 ampls_skip=$4 ampls_names=$5 ampls_identities=$6
    shift 6
    ampls_root=${AMPLS_ROOT:-} ampls_imds=${AMPLS_IMDS:-http://169.254.169.254} ampls_port=${AMPLS_PORT:-443}
    ampls_used=0
    ampls_hosts_bytes=1048576
    ampls_deadline=$(($(date +%s) + 40))
    ampls_lines=20
    [ "$ampls_limit" -gt 0 ] && ampls_lines=8
    ampls_timeout=no
    timeout 1 true >/dev/null 2>&1 && ampls_timeout=yes

    ampls_say 'begin 1'
    for ampls_part; do
        if [ "$ampls_from" != - ] && [ "$ampls_from" != "$ampls_part" ]; then
            continue
        fi
        ampls_from=-
        ampls_tell "$ampls_part" "$ampls_skip" || break
        ampls_skip=0
    done
    ampls_say end
}
