#!/usr/bin/env python3
"""Writes the tables of characters from the Unicode Character Database, version 15.1.0.

    ./generate_unicode_tables.py classes UnicodeData.txt > unicode_classes.inc
    ./generate_unicode_tables.py mappings UnicodeData.txt CompositionExclusions.txt > unicode_mappings.inc

Debian 13 ships those files in the package unicode-data 15.1.0-1. Version 15.1 is the one of llama.cpp v0.5.0: its tables
and those written here agree on every code point.
"""
import sys

# The property White_Space (PropList.txt); it has not changed since Unicode 6.3.
WHITE_SPACE = {*range(0x09, 0x0E), 0x20, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F, 0x205F, 0x3000}


def rows(path):
    """Yields first code point, last code point and the fields of each line."""
    first = 0
    for line in open(path, encoding="ascii"):
        fields = line.rstrip("\n").split(";")
        code = int(fields[0], 16)
        if fields[1].endswith(", First>"):
            first = code
            continue
        yield (first if fields[1].endswith(", Last>") else code), code, fields


def print_packed(entries):
    line = ""
    for entry in entries:
        if len(line) + len(entry) > 120:
            print(line)
            line = ""
        line += entry
    print(line)


def runs(values):
    """The first code point of each run of one value, ASCII left out."""
    starts = [code for code in range(0x80, 0x110000) if code == 0x80 or values[code] != values[code - 1]]
    return [(code, values[code]) for code in starts]


def print_classes(data):
    class_of = {"L": "L", "N": "N", "P": "P", "M": "M", "S": "Y", "C": "C"}
    classes = ["O"] * 0x110000
    for first, last, fields in rows(data):
        category = fields[2]
        classes[first : last + 1] = ["n" if category == "Mn" else class_of.get(category[0], "O")] * (last + 1 - first)
    for code in WHITE_SPACE:
        classes[code] = "S"
    print("// Written by generate_unicode_tables.py from UnicodeData.txt 15.1.0: each run of one class, by its first code point.")
    print("// clang-format off")
    print_packed([f"{{0x{code:X},'{value}'}}," for code, value in runs(classes)])
    print("// clang-format on")


def print_mappings(data, exclusions):
    excluded = {int(line.split("#")[0], 16) for line in open(exclusions, encoding="utf-8") if line.split("#")[0].strip()}
    ccc, lower, decompositions = [0] * 0x110000, [], []
    for first, last, fields in rows(data):
        ccc[first : last + 1] = [int(fields[3])] * (last + 1 - first)
        if fields[13]:
            lower.append((first, int(fields[13], 16)))
        if fields[5]:
            compatibility = fields[5].startswith("<")
            to = [int(code, 16) for code in fields[5].split() if not code.startswith("<")]
            decompositions.append([first, compatibility, to])
    print("// Written by generate_unicode_tables.py from UnicodeData.txt and CompositionExclusions.txt 15.1.0.")
    print("// clang-format off")
    print("#ifdef LOWERCASE")
    print_packed([f"{{0x{code:X},0x{to:X}}}," for code, to in lower])
    print("#endif")
    print("#ifdef COMBINING_CLASSES")
    print_packed([f"{{0x{code:X},{value}}}," for code, value in runs(ccc)])
    print("#endif")
    print("#ifdef DECOMPOSITIONS")
    entries = []
    for code, compatibility, to in decompositions:
        # Never the result of a composition: those listed, single characters, and what does not start with a starter.
        composes = not compatibility and len(to) == 2 and code not in excluded and ccc[code] == 0 and ccc[to[0]] == 0
        kind = "k" if compatibility else "c" if composes else "x"
        text = "".join(f"\\x{value:X}" for value in to)
        entries.append(f"{{0x{code:X},'{kind}',U\"{text}\"}},")
    print_packed(entries)
    print("#endif")
    print("// clang-format on")


def main():
    if sys.argv[1] == "classes":
        print_classes(sys.argv[2])
    else:
        print_mappings(sys.argv[2], sys.argv[3])


if __name__ == "__main__":
    main()
