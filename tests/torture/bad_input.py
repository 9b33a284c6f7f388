"""Bad input of our own: what a broken, careless or hostile peer may send.

Each message stands by itself: its own Call-ID, tag and branch, named after it, so that all of them can go to one
server in one run. Where a message has to name the server, it says 127.0.0.1:5060.
"""

import hashlib

SERVER = "127.0.0.1:5060"
SDP = (
    "v=0\r\no=alice 1 1 IN IP4 192.0.2.77\r\ns=-\r\nc=IN IP4 192.0.2.77\r\nt=0 0\r\n"
    "m=audio 49170 RTP/AVP 0 8\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n"
)


def fields(name, method="OPTIONS", body=""):
    """The header fields of a sound request, as pairs in order."""
    pairs = [
        ("Via", f"SIP/2.0/UDP 192.0.2.77:5060;branch=z9hG4bK-{name};rport"),
        ("Max-Forwards", "70"),
        ("From", f"<sip:alice@example.com>;tag={name}"),
        ("To", "<sip:9196@pbx.example.com>"),
        ("Call-ID", f"{name}@192.0.2.77"),
        ("CSeq", f"1 {method}"),
        ("Contact", "<sip:alice@192.0.2.77:5060>"),
    ]
    if body:
        pairs.append(("Content-Type", "application/sdp"))
    return pairs + [("Content-Length", str(len(body)))]


def put(pairs, body=b"", start=b"OPTIONS sip:9196@pbx.example.com SIP/2.0"):
    """Start line, fields, empty line and body as bytes. Text is taken as Latin-1, so that any byte can be written."""

    def raw(text):
        return text if isinstance(text, bytes) else text.encode("latin-1")

    lines = [raw(start)] + [raw(field) + b": " + raw(value) for field, value in pairs]
    return b"\r\n".join(lines) + b"\r\n\r\n" + raw(body)


def changed(name, field, *values, method="OPTIONS", body="", start=None):
    """A sound request in which `field` has the given values, one line each; no value takes it away."""
    pairs = []
    for key, value in fields(name, method, body):
        pairs += [(key, value)] if key != field else [(key, new) for new in values]
    return put(pairs, body, start or f"{method} sip:9196@pbx.example.com SIP/2.0")


def added(name, *extra, method="OPTIONS", body=""):
    """A sound request with further header fields before its Content-Length."""
    pairs = fields(name, method, body)
    return put(pairs[:-1] + list(extra) + pairs[-1:], body, f"{method} sip:9196@pbx.example.com SIP/2.0")


def started(name, start, method="OPTIONS"):
    """A sound request under another start line."""
    return put(fields(name, method), start=start)


def response(name, branch, status="200 OK", cseq="1 OPTIONS", victim=True):
    """A response that claims to be for a request which the server sent with `branch`."""
    pairs = [("Via", f"SIP/2.0/UDP {SERVER};branch={branch}")]
    if victim:
        pairs.append(("Via", f"SIP/2.0/UDP 192.0.2.66:5060;branch=z9hG4bK-{name}"))
    pairs += [
        ("From", f"<sip:alice@example.com>;tag={name}"),
        ("To", "<sip:9196@pbx.example.com>;tag=forged"),
        ("Call-ID", f"{name}@192.0.2.66"),
        ("CSeq", cseq),
        ("Content-Length", "0"),
    ]
    return put(pairs, start=f"SIP/2.0 {status}")


def noise(count):
    """Bytes without any order, the same each time."""
    out = b""
    while len(out) < count:
        out += hashlib.sha256(len(out).to_bytes(4, "big")).digest()
    return out[:count].replace(b"\r", b"\x01").replace(b"\n", b"\x02")


def cut_short(out):
    sound = put(fields("truncated-header"))
    out["empty"] = b""
    out["keep-alive"] = b"\r\n\r\n"
    out["truncated-start-line"] = b"OPTIONS sip:9196@pbx.exam"
    out["truncated-header"] = sound[: sound.index(b"From:") + 12]
    out["truncated-no-empty-line"] = put(fields("truncated-no-empty-line"))[:-2]
    out["truncated-body"] = put(fields("truncated-body", "INVITE", SDP), SDP[:40], "INVITE sip:9196@pbx.example.com SIP/2.0")


def no_sip(out):
    out["binary"] = noise(512) + b"\r\n\r\n"
    hello = bytes.fromhex("16 03 01 00 2e 01 00 00 2a 03 03") + noise(32) + bytes.fromhex("00 00 02 13 01 01 00")
    out["binary-tls-hello"] = hello
    out["binary-stun"] = bytes.fromhex("00 01 00 00 21 12 a4 42") + noise(12)
    out["http"] = b"GET /index.html HTTP/1.1\r\nHost: pbx.example.com\r\nConnection: close\r\n\r\n"
    out["text"] = b"hello, is this the telephone exchange?\r\n\r\n"


def too_much(out):
    out["oversized-request-uri"] = started("oversized-request-uri", f"OPTIONS sip:{'9' * 9000}@pbx.example.com SIP/2.0")
    out["oversized-header"] = added("oversized-header", ("X-Large", "x" * 70_000))
    out["oversized-content-length"] = changed("oversized-content-length", "Content-Length", "4294967295")
    out["oversized-call-id"] = changed("oversized-call-id", "Call-ID", "c" * 3000)
    out["oversized-tag"] = changed("oversized-tag", "From", "<sip:alice@example.com>;tag=" + "t" * 3000)
    out["oversized-branch"] = changed("oversized-branch", "Via", "SIP/2.0/UDP 192.0.2.77:5060;branch=z9hG4bK" + "b" * 3000)
    own = len(fields("headers-128"))
    out["headers-128"] = added("headers-128", *((f"X-Field-{n}", str(n)) for n in range(128 - own)))
    out["headers-129"] = added("headers-129", *((f"X-Field-{n}", str(n)) for n in range(129 - own)))
    out["headers-2000"] = added("headers-2000", *(("X-Flood", str(n)) for n in range(2000)))
    vias = [f"SIP/2.0/UDP 192.0.2.77:5060;branch=z9hG4bK-{name}" for name in ("vias-one-line", *range(300))]
    out["vias-one-line"] = changed("vias-one-line", "Via", ", ".join(vias))
    vias = [f"SIP/2.0/UDP 192.0.2.77:5060;branch=z9hG4bK-{name}" for name in ("vias-300", *range(299))]
    out["vias-300"] = changed("vias-300", "Via", *vias)
    parameters = "".join(f";p{n}={n}" for n in range(1000))
    out["parameters-1000"] = changed("parameters-1000", "From", "<sip:alice@example.com>;tag=parameters-1000" + parameters)


def content_length(out):
    def body(name, *values):
        out[name] = changed(name, "Content-Length", *values, method="INVITE", body=SDP)

    true = str(len(SDP))
    body("content-length-contradicting", true, "10")
    body("content-length-repeated", true, true)
    body("content-length-list", f"{true}, {true}")
    body("content-length-negative", "-1")
    body("content-length-plus", "+" + true)
    body("content-length-huge", "9" * 40)
    body("content-length-wraps", str(2**64 + len(SDP)))
    body("content-length-hexadecimal", hex(len(SDP)))
    body("content-length-trailing-text", true + " bytes")
    body("content-length-empty", "")
    body("content-length-short", "10")
    out["content-length-missing"] = changed("content-length-missing", "Content-Length")
    pairs = fields("content-length-compact-contradicting", "INVITE", SDP) + [("l", "10")]
    out["content-length-compact-contradicting"] = put(pairs, SDP, "INVITE sip:9196@pbx.example.com SIP/2.0")


def doubled(out):
    def twice(name, field, second=None):
        value = dict(fields(name))[field]
        out[name] = changed(name, field, value, second or value)

    twice("doubled-call-id", "Call-ID", "other@192.0.2.77")
    twice("doubled-call-id-same", "Call-ID")
    twice("doubled-from", "From", "<sip:mallory@example.com>;tag=other")
    twice("doubled-to", "To", "<sip:conf1@pbx.example.com>")
    twice("doubled-cseq", "CSeq", "2 OPTIONS")
    twice("doubled-max-forwards", "Max-Forwards", "10")
    out["doubled-call-id-compact"] = added("doubled-call-id-compact", ("i", "other@192.0.2.77"))
    out["doubled-from-compact"] = added("doubled-from-compact", ("f", "<sip:mallory@example.com>;tag=other"))


def line_ends_and_control_bytes(out):
    sound = put(fields("bare-lf-lines"))
    out["bare-lf-lines"] = sound.replace(b"\r\n", b"\n")
    sound = put(fields("bare-cr-lines"))
    out["bare-cr-lines"] = sound.replace(b"\r\n", b"\r")
    out["bare-lf-in-value"] = added("bare-lf-in-value", ("Subject", "one\nX-Injected: two"))
    out["bare-cr-in-value"] = added("bare-cr-in-value", ("Subject", "one\rX-Injected: two"))
    out["bare-lf-empty-line"] = added("bare-lf-empty-line", ("Subject", "one\n\nINVITE sip:conf1@pbx.example.com SIP/2.0"))
    out["nul-in-value"] = added("nul-in-value", ("Subject", "one\0two"))
    out["nul-in-name"] = added("nul-in-name", ("X-Na\0me", "value"))
    out["nul-in-call-id"] = changed("nul-in-call-id", "Call-ID", "nul-in-call-id\0@192.0.2.77")
    out["nul-in-request-uri"] = started("nul-in-request-uri", "OPTIONS sip:91\0" "96@pbx.example.com SIP/2.0")
    out["bell-in-value"] = added("bell-in-value", ("Subject", "one\x07two"))
    out["invalid-utf8-in-value"] = added("invalid-utf8-in-value", ("Subject", "one \xff\xfe\xc0\x80 two"))
    out["fold-before-first-field"] = started("fold-before-first-field", "OPTIONS sip:9196@pbx.example.com SIP/2.0\r\n folded: value")
    out["no-colon"] = added("no-colon").replace(b"Contact: ", b"Contact ").replace(b"<sip:alice@192.0.2.77:5060>", b"alice")
    out["no-name"] = added("no-name", ("", "value"))
    out["space-in-name"] = added("space-in-name", ("Bad Name", "value"))
    out["leading-crlf"] = b"\r\n\r\n" + put(fields("leading-crlf"))


def numbers(out):
    for name, value in (
        ("cseq-overflow", "4294967296 OPTIONS"),
        ("cseq-over-31-bits", "2147483648 OPTIONS"),
        ("cseq-negative", "-1 OPTIONS"),
        ("cseq-no-number", "OPTIONS"),
        ("cseq-no-method", "1"),
        ("cseq-other-method", "1 INVITE"),
        ("cseq-method-case", "1 Options"),
        ("cseq-empty", ""),
    ):
        out[name] = changed(name, "CSeq", value)
    for name, value in (
        ("max-forwards-0", "0"),
        ("max-forwards-1", "1"),
        ("max-forwards-256", "256"),
        ("max-forwards-wraps", str(2**32 + 70)),
        ("max-forwards-letters", "abc"),
        ("max-forwards-negative", "-1"),
        ("max-forwards-empty", ""),
    ):
        out[name] = changed(name, "Max-Forwards", value)
    out["expires-huge"] = added("expires-huge", ("Expires", "9" * 40))


def missing_or_empty(out):
    for field in ("Via", "From", "To", "Call-ID", "CSeq", "Max-Forwards"):
        name = "missing-" + field.lower()
        out[name] = changed(name, field)
    out["missing-contact"] = changed("missing-contact", "Contact", method="INVITE", body=SDP)
    out["missing-everything"] = b"OPTIONS sip:9196@pbx.example.com SIP/2.0\r\n\r\n"
    for field in ("Via", "From", "To", "Call-ID"):
        name = "empty-" + field.lower()
        out[name] = changed(name, field, "")
    out["from-no-tag"] = changed("from-no-tag", "From", "<sip:alice@example.com>")
    out["from-two-tags"] = changed("from-two-tags", "From", "<sip:alice@example.com>;tag=one;tag=two")
    out["from-punctuation"] = changed("from-punctuation", "From", ";;;,,,<<>")
    out["to-open-bracket"] = changed("to-open-bracket", "To", "<sip:9196@pbx.example.com")


def vias(out):
    def via(name, value):
        out[name] = changed(name, "Via", value.replace("@", f";branch=z9hG4bK-{name}"))

    via("via-version", "SIP/3.0/UDP 192.0.2.77:5060@;rport")
    via("via-no-host", "SIP/2.0/UDP @")
    via("via-port-0", "SIP/2.0/UDP 192.0.2.77:0@")
    via("via-port-70000", "SIP/2.0/UDP 192.0.2.77:70000@")
    via("via-open-bracket", "SIP/2.0/UDP [2001:db8::77:5060@")
    via("via-forged-received", "SIP/2.0/UDP 192.0.2.77:5060@;received=203.0.113.66;rport=9")
    via("via-broadcast", "SIP/2.0/UDP 255.255.255.255:5060@;rport")
    via("via-other-transport", "SIP/2.0/TLS 192.0.2.77:5061@;rport")
    via("via-own-address", f"SIP/2.0/UDP {SERVER}@;rport")
    out["via-no-branch"] = changed("via-no-branch", "Via", "SIP/2.0/UDP 192.0.2.77:5060;rport")
    forged = f"SIP/2.0/UDP {SERVER};branch=z9hG4bK{'0' * 32}"
    out["via-forged-own-branch"] = changed(
        "via-forged-own-branch", "Via", "SIP/2.0/UDP 192.0.2.77:5060;branch=z9hG4bK-via-forged-own-branch;rport", forged
    )


def start_lines(out):
    def uri(name, value, method="OPTIONS"):
        out[name] = started(name, f"{method} {value} SIP/2.0", method)

    uri("uri-unknown-scheme", "mystery:totally-opaque")
    uri("uri-tel", "tel:+13035551111")
    uri("uri-http", "http://pbx.example.com/")
    uri("uri-no-host", "sip:9196@")
    uri("uri-scheme-only", "sip:")
    uri("uri-no-scheme", "9196@pbx.example.com")
    uri("uri-port-70000", "sip:9196@pbx.example.com:70000")
    uri("uri-port-letters", "sip:9196@pbx.example.com:abc")
    uri("uri-open-bracket", "sip:9196@[2001:db8::1")
    uri("uri-bad-escape", "sip:%zz%4@pbx.example.com")
    uri("uri-userinfo-with-headers", "sip:9196@pbx.example.com?Route=%3Csip:192.0.2.66%3E")
    out["version-lower-case"] = started("version-lower-case", "OPTIONS sip:9196@pbx.example.com sip/2.0")
    out["version-3"] = started("version-3", "OPTIONS sip:9196@pbx.example.com SIP/3.0")
    out["version-missing"] = started("version-missing", "OPTIONS sip:9196@pbx.example.com")
    out["version-no-sip"] = started("version-no-sip", "OPTIONS sip:9196@pbx.example.com HTTP/1.1")
    out["uri-missing"] = started("uri-missing", "OPTIONS  SIP/2.0")
    out["method-missing"] = started("method-missing", " sip:9196@pbx.example.com SIP/2.0")
    out["method-no-token"] = put(
        fields("method-no-token", "OPT{}IONS"), start="OPT{}IONS sip:9196@pbx.example.com SIP/2.0"
    )
    out["method-unknown"] = put(
        fields("method-unknown", "FROBNICATE"), start="FROBNICATE sip:9196@pbx.example.com SIP/2.0"
    )
    out["method-lower-case"] = put(
        fields("method-lower-case", "options"), start="options sip:9196@pbx.example.com SIP/2.0"
    )


def policy(out):
    out["proxy-require-unknown"] = added("proxy-require-unknown", ("Proxy-Require", "levitation"))
    out["require-unknown"] = added("require-unknown", ("Require", "levitation"))
    out["options-self"] = started("options-self", f"OPTIONS sip:{SERVER} SIP/2.0")
    out["publish"] = added("publish", ("Event", "presence"), method="PUBLISH")
    out["route-broadcast"] = added("route-broadcast", ("Route", "<sip:255.255.255.255;lr>"))
    out["route-port-0"] = added("route-port-0", ("Route", "<sip:192.0.2.66:0;lr>"))
    out["route-unreachable"] = added("route-unreachable", ("Route", "<sip:192.0.2.66;lr>"))
    out["route-garbage"] = added("route-garbage", ("Route", "<<>,;lr"))
    out["authorization-garbage"] = added("authorization-garbage", ("Authorization", 'Digest ,,=,"'))
    in_dialog = "<sip:9196@pbx.example.com>;tag=nobody"
    out["ack-stray"] = changed("ack-stray", "To", in_dialog, method="ACK")
    out["ack-doubled-call-id"] = changed("ack-doubled-call-id", "Call-ID", "one@192.0.2.77", "two@192.0.2.77", method="ACK")
    out["ack-missing-cseq"] = changed("ack-missing-cseq", "CSeq", method="ACK")
    out["ack-max-forwards-0"] = changed("ack-max-forwards-0", "Max-Forwards", "0", method="ACK")
    out["cancel-stray"] = changed("cancel-stray", "To", "<sip:9196@pbx.example.com>", method="CANCEL")
    out["bye-stray"] = changed("bye-stray", "To", in_dialog, method="BYE")


def responses(out):
    def forged(name, branch, **more):
        out[name] = response(name, branch, **more)

    forged("response-forged-branch-zeros", "z9hG4bK" + "0" * 32)
    forged("response-forged-branch-ones", "z9hG4bK" + "f" * 32)
    forged("response-forged-branch-short", "z9hG4bK0")
    forged("response-forged-branch-cookie-only", "z9hG4bK")
    forged("response-forged-branch-long", "z9hG4bK" + "0" * 3000)
    forged("response-forged-branch-no-hex", "z9hG4bK" + "-._!%*+`'~" * 4)
    forged("response-no-cookie", "old-style-branch")
    forged("response-for-nobody", "z9hG4bK" + "0" * 32, victim=False)
    forged("response-stray-invite-200", "z9hG4bK" + "0" * 32, cseq="1 INVITE")
    forged("response-stray-486", "z9hG4bK" + "0" * 32, status="486 Busy Here", cseq="1 INVITE")
    forged("response-status-99", "z9hG4bK" + "0" * 32, status="99 Too Low")
    forged("response-status-700", "z9hG4bK" + "0" * 32, status="700 Too High")
    forged("response-status-letters", "z9hG4bK" + "0" * 32, status="OK 200")
    out["response-other-via"] = response("response-other-via", "z9hG4bK-x").replace(SERVER.encode(), b"203.0.113.5:5060")
    out["response-no-via"] = b"\r\n".join(
        line for line in response("response-no-via", "z9hG4bK-x").split(b"\r\n") if not line.startswith(b"Via:")
    )
    out["response-doubled-cseq"] = response("response-doubled-cseq", "z9hG4bK" + "0" * 32, cseq="1 OPTIONS\r\nCSeq: 1 INVITE")


def streams(out):
    out["stream-two-requests"] = put(fields("stream-two-requests-1")) + put(fields("stream-two-requests-2"))
    out["stream-noise-after-request"] = put(fields("stream-noise-after-request")) + noise(64) + b"\r\n\r\n"


def messages():
    """Every message by name."""
    out = {}
    for part in (
        cut_short,
        no_sip,
        too_much,
        content_length,
        doubled,
        line_ends_and_control_bytes,
        numbers,
        missing_or_empty,
        vias,
        start_lines,
        policy,
        responses,
        streams,
    ):
        part(out)
    return out
