# What a node or a console tells of the quantum link: "good WHEN", "bad WHY" or "none WHY".
#
# A whole JSON parser, so that spacing, escapes and the order of members do not matter, and that
# nothing which is no JSON is taken for good. For POSIX awk, byte by byte (LC_ALL=C).
#
# Given by -v: now (seconds since the epoch), last (WHEN of the word before), age (seconds).
# A node tells {"at": …, "links": {NAME: {"status", "keys_may_flow", "stale", …}, …}}; a console
# tells {"status": …, …} without a time, and WHEN is then 0.
#
# With -v follow=yes a node must tell where its relay is, as well: {"relay": {"level", "sequence",
# "at_home", "open", "fenced"}, …}. After the first line, unless that says "none", come
# "level LEVEL", "sequence N", "home yes" or "home no", and a line for each place:
# "open 4 ADDRESS PORT" or "fenced …", of the kinds 4, 6, and _any with - for an address.

BEGIN {
    for (i = 32; i < 127; i++) hex[sprintf("%04x", i)] = sprintf("%c", i)
    MOST_LINKS = 64; MOST_PLACES = 160; DEPTH = 16
}

{ text = text (NR > 1 ? "\n" : "") $0 }

END {
    at = 1; size = length(text); wrong = ""
    value("", 0)
    blanks()
    if (wrong == "" && at <= size) fail("more than one value")
    if (wrong != "") verdict("none", "no status: " wrong)
    if (kind[""] != "object") verdict("none", "no status: expected an object")
    if (("" SUBSEP "links") in kind) of_node()
    of_console()
}

function verdict(word, why) {
    print word, why
    if (word != "none") printf "%s", moved
    exit
}

function of_node(   i, name, path, links, when) {
    if (kind["" SUBSEP "at"] != "number") verdict("none", "no time")
    when = content["" SUBSEP "at"] + 0
    if (when <= last + 0) verdict("none", "said before")
    if (when - now > age + 0 || now - when > age + 0) verdict("none", "not of now")
    path = "" SUBSEP "links"
    links = members[path] + 0
    if (kind[path] != "object" || links < 1 || links > MOST_LINKS) verdict("none", "no links")
    if (follow == "yes") of_relay("" SUBSEP "relay")
    for (i = 1; i <= links; i++) {
        name = path SUBSEP member[path, i]
        if (kind[name] != "object" || kind[name SUBSEP "keys_may_flow"] != "literal" ||
            kind[name SUBSEP "stale"] != "literal") verdict("none", "a link without a status")
        known(name)
        if (content[name SUBSEP "status"] == "RED") verdict("bad", "RED")
        if (content[name SUBSEP "keys_may_flow"] != "true") verdict("bad", "no keys may flow")
        if (content[name SUBSEP "stale"] != "false") verdict("bad", "stale")
    }
    verdict("good", sprintf("%.6f", when))
}

function of_relay(path,   level, sequence, home) {
    if (kind[path] != "object") verdict("none", "the node does not tell where the relay is")
    level = content[path SUBSEP "level"]; sequence = content[path SUBSEP "sequence"]
    home = content[path SUBSEP "at_home"]
    if (kind[path SUBSEP "level"] == "literal" && level == "null" && sequence == "0") level = "home"
    else if (kind[path SUBSEP "level"] != "string" || sequence == "0")
        verdict("none", "no level of the relay")
    if (level !~ /^(home|port|address|interface|lockdown)$/ || home !~ /^(true|false)$/ ||
        kind[path SUBSEP "at_home"] != "literal") verdict("none", "no level of the relay")
    if (kind[path SUBSEP "sequence"] != "number" || sequence !~ /^(0|[1-9][0-9]*)$/ ||
        length(sequence) > 18) verdict("none", "no number of the relay's notice")
    moved = "level " level "\nsequence " sequence "\nhome " (home == "true" ? "yes" : "no") "\n"
    of_places("open", path SUBSEP "open")
    of_places("fenced", path SUBSEP "fenced")
}

function of_places(word, path,   i, each, port) {
    if (kind[path] != "array" || members[path] + 0 > MOST_PLACES)
        verdict("none", "no places of the relay")
    for (i = 1; i <= members[path]; i++) {
        each = path SUBSEP "[" i
        port = content[each SUBSEP "port"]
        if (kind[each] != "object" || kind[each SUBSEP "port"] != "number" ||
            port !~ /^[1-9][0-9]*$/ || length(port) > 5 || port + 0 > 65535)
            verdict("none", "no place of the relay")
        moved = moved word " " address(each SUBSEP "address") " " port "\n"
    }
}

function address(path,   text, four, i) {
    text = content[path]
    if (kind[path] == "literal" && text == "null") return "_any -"
    if (kind[path] != "string" || length(text) > 45) verdict("none", "no address of the relay")
    if (text ~ /^[0-9a-f:.]+$/ && text ~ /:.*:/) return "6 " text
    if (text !~ /^[0-9.]+$/ || split(text, four, ".") != 4)
        verdict("none", "no address of the relay")
    for (i = 1; i <= 4; i++)
        if (four[i] !~ /^(0|[1-9][0-9]*)$/ || length(four[i]) > 3 || four[i] + 0 > 255)
            verdict("none", "no address of the relay")
    return "4 " text
}

function of_console() {
    if (follow == "yes") verdict("none", "a console does not tell where the relay is")
    known("")
    if (content["" SUBSEP "status"] == "RED") verdict("bad", "RED")
    verdict("good", "0")
}

function known(path,   status) {
    status = content[path SUBSEP "status"]
    if (kind[path SUBSEP "status"] != "string" || status !~ /^(GREEN|YELLOW|RED)$/)
        verdict("none", "a status that there is not")
}

# The grammar of RFC 8259; each moves `at` behind what it read, or sets `wrong`.

function fail(why) { if (wrong == "") wrong = why }

function blanks() { while (substr(text, at, 1) ~ /^[ \t\r\n]$/) at++ }

function value(path, depth,   first, rest) {
    blanks()
    first = substr(text, at, 1)
    if (depth > DEPTH) return fail("too deep")
    if (first == "{") return object(path, depth)
    if (first == "[") return array(path, depth)
    if (first == "\"") { kind[path] = "string"; content[path] = string(); return }
    rest = substr(text, at, 40)
    if (match(rest, /^(true|false|null)/)) kind[path] = "literal"
    else if (match(rest, /^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?/)) kind[path] = "number"
    else return fail("no JSON")
    content[path] = substr(rest, 1, RLENGTH)
    at += RLENGTH
}

function object(path, depth,   name, below) {
    kind[path] = "object"; at++; blanks()
    if (substr(text, at, 1) == "}") { at++; return }
    while (wrong == "") {
        blanks()
        if (substr(text, at, 1) != "\"") return fail("no name")
        name = string(); below = path SUBSEP name
        if (below in kind) return fail("a name that comes twice")
        member[path, ++members[path]] = name
        blanks()
        if (substr(text, at, 1) != ":") return fail("no colon")
        at++
        value(below, depth + 1)
        blanks()
        if (substr(text, at, 1) == "}") { at++; return }
        if (substr(text, at, 1) != ",") return fail("no comma")
        at++
    }
}

function array(path, depth,   n) {
    kind[path] = "array"; members[path] = 0; at++; blanks()
    if (substr(text, at, 1) == "]") { at++; return }
    while (wrong == "") {
        value(path SUBSEP "[" ++n, depth + 1)
        members[path] = n
        blanks()
        if (substr(text, at, 1) == "]") { at++; return }
        if (substr(text, at, 1) != ",") return fail("no comma")
        at++
    }
}

function string(   read, each, code) {
    at++
    while (at <= size) {
        each = substr(text, at, 1)
        if (each == "\"") { at++; return read }
        if (each < " ") return fail("a control character")
        if (each == "\\") {
            each = substr(text, ++at, 1)
            if (each == "u") {
                code = tolower(substr(text, at + 1, 4))
                if (code !~ /^[0-9a-f][0-9a-f][0-9a-f][0-9a-f]$/) return fail("no escape")
                # Others than ASCII are in no word that matters.
                read = read ((code in hex) ? hex[code] : "\377")
                at += 5
                continue
            }
            if (each !~ /^["\\\/bfnrt]$/) return fail("no escape")
            each = (each ~ /^[bfnrt]$/) ? "\377" : each
        }
        read = read each
        at++
    }
    fail("a string without an end")
}
