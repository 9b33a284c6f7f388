#!/usr/bin/env python3
"""Writes the torture messages as files, byte for byte.

    make.py            writes every file
    make.py --check    writes nothing; fails if a file is missing, stale or not from here

The messages stand in rfc4475.py, rfc5118.py and bad_input.py, as text that a person can read:

    line ends             become CRLF
    «hex 00 7F»           becomes those bytes
    «20*long»             becomes "long" twenty times

Everything else is UTF-8 as it stands. The files are data: git must leave their line ends alone (.gitattributes).
"""

import pathlib
import re
import sys

import bad_input
import rfc4475
import rfc5118

HERE = pathlib.Path(__file__).resolve().parent
MARK = re.compile(r"«(?:hex\s+([0-9A-Fa-f\s]+)|(\d+)\*([^»]*))»")


def encode(text):
    """The bytes of a message in the notation above. The first line end, after the opening quotes, is dropped."""
    out, at = bytearray(), 0
    text = text.removeprefix("\n")
    for mark in MARK.finditer(text):
        out += text[at : mark.start()].replace("\n", "\r\n").encode()
        if mark[1] is not None:
            out += bytes.fromhex(mark[1])
        else:
            out += (mark[3] * int(mark[2])).replace("\n", "\r\n").encode()
        at = mark.end()
    return bytes(out + text[at:].replace("\n", "\r\n").encode())


def files():
    """Every file of the corpus: path below this folder, and bytes."""
    for folder, messages in (
        ("rfc4475", rfc4475.MESSAGES),
        ("rfc5118", rfc5118.MESSAGES),
        ("bad_input", bad_input.messages()),
    ):
        for name, text in messages.items():
            data = text if isinstance(text, bytes) else encode(text)
            yield pathlib.Path(folder, name + ".sip"), data


def main():
    check = "--check" in sys.argv[1:]
    wanted = dict(files())
    found = {path.relative_to(HERE) for path in HERE.glob("*/*.sip")}
    wrong = [f"{path}: not written by make.py" for path in sorted(found - wanted.keys())]
    for path, data in wanted.items():
        file = HERE / path
        if check:
            if not file.is_file() or file.read_bytes() != data:
                wrong.append(f"{path}: differs from its source")
        else:
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(data)
    for line in wrong:
        print(line, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
