#!/usr/bin/env python3
"""Writes unicode_classes.inc from a UnicodeData.txt of the Unicode Character Database, version 15.1.0.

    ./generate_unicode_classes.py UnicodeData.txt > unicode_classes.inc

Debian 13 ships that file in the package unicode-data 15.1.0-1. Version 15.1 is the one of llama.cpp v0.5.0: its table and
the one written here agree on every code point.
"""
import sys

# The property White_Space (PropList.txt); it has not changed since Unicode 6.3.
WHITE_SPACE = {*range(0x09, 0x0E), 0x20, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F, 0x205F, 0x3000}


def general_categories(path):
    categories = ["Cn"] * 0x110000
    first = 0
    for line in open(path, encoding="ascii"):
        code, name, category = line.split(";")[:3]
        code = int(code, 16)
        if name.endswith(", First>"):
            first = code
            continue
        start = first if name.endswith(", Last>") else code
        categories[start : code + 1] = [category] * (code + 1 - start)
    return categories


def main():
    classes = [{"L": "L", "N": "N", "P": "P", "M": "M", "S": "Y"}.get(category[0], "O") for category in general_categories(sys.argv[1])]
    for code in WHITE_SPACE:
        classes[code] = "S"
    starts = [code for code in range(0x80, 0x110000) if code == 0x80 or classes[code] != classes[code - 1]]
    entries = [f"{{0x{code:X},'{classes[code]}'}}," for code in starts]
    print("// Written by generate_unicode_classes.py from UnicodeData.txt 15.1.0: each run of one class, by its first code point.")
    print("// clang-format off")
    line = ""
    for entry in entries:
        if len(line) + len(entry) > 120:
            print(line)
            line = ""
        line += entry
    print(line)
    print("// clang-format on")


if __name__ == "__main__":
    main()
