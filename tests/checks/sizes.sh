#!/bin/bash
# No file over 600 lines in src and tests, no function over 60 lines in src (its body, with both braces).
# Functions are found by the layout that .clang-format gives: a body opens with ") {" and closes with "}" in column 1.
# Usage: sizes.sh SOURCE-FOLDER
set -euo pipefail
cd "${1:?usage: sizes.sh SOURCE-FOLDER}"

find src tests -name '*.[ch]' | sort | xargs awk -v most_file=600 -v most_function=60 '
    function end_of_file() {
        if (file == "") return
        if (lines > most_file) {
            printf "%s: %d lines; %d are allowed\n", file, lines, most_file > "/dev/stderr"
            failed++
        } else {
            passed++
        }
    }
    FNR == 1 { end_of_file(); file = FILENAME; inside = 0 }
    { lines = FNR }
    file !~ /^src\// { next }
    inside && /^}/ {
        size = FNR - start + 1
        if (size > most_function) {
            printf "%s:%d: %s has %d lines; %d are allowed\n", file, start, name, size, most_function > "/dev/stderr"
            failed++
        } else {
            passed++
        }
        functions++
        inside = 0
    }
    !inside && /^[a-z].*\(/ { name = $0; sub(/\(.*/, "", name); sub(/.*[ *]/, "", name) }
    !inside && /\) \{$/ { inside = 1; start = FNR }
    END {
        end_of_file()
        if (functions == 0) { print "no function found in src" > "/dev/stderr"; failed++ }
        printf "%d passed, %d failed\n", passed, failed
        exit failed > 0
    }'
