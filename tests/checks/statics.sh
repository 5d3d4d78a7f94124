#!/bin/bash
# No mutable static or global data: ranks are threads of one process, so every variable must belong to a rank. Looks at
# the symbols of what was built: a variable in .data, .bss, .tdata, .tbss or common storage is one too many. Read-only data
# that the loader relocates (.data.rel.ro) is fine. Usage: statics.sh NM OBJECT-OR-ARCHIVE...
set -euo pipefail
nm=${1:?usage: statics.sh NM OBJECT-OR-ARCHIVE...}
shift

"$nm" -A -f sysv "$@" | awk -F'|' '
    # file:symbol |value|class|type|size|line|section
    NF == 7 {
        section = $7
        gsub(/ /, "", section)
        symbol = $1
        gsub(/ /, "", symbol)
        file = symbol
        sub(/:[^:]*$/, "", file)
        if (!(file in seen)) { seen[file] = 1; files++ }
        if (section !~ /^(\.data|\.bss|\.tdata|\.tbss|\.ldata|\.lbss|\*COM\*)/ || section ~ /^\.data\.rel\.ro/) next
        name = symbol
        sub(/.*:/, "", name)
        # The flag that a signal handler sets can be nowhere else.
        if (file ~ /signals\.c\.o$/ && name == "stop_asked") next
        if (name == "") next # the section itself
        printf "%s: %s is mutable static data (%s)\n", file, name, section > "/dev/stderr"
        failed++
        bad[file] = 1
    }
    END {
        for (file in seen) if (!(file in bad)) passed++
        if (files == 0) { print "no symbols found" > "/dev/stderr"; failed++ }
        printf "%d passed, %d failed\n", passed, failed
        exit failed > 0
    }'
