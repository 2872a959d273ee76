"""How samples are written: records as data, XML in each reporter's hand, containers, mail, and expected readings.

What is in them stands in make.py.
"""

import base64
import calendar
import email.utils
import json
import struct
import time
import zlib
from xml.sax.saxutils import escape

OUTPUT = {}        # path below samples/ -> bytes
SET = []           # every aggregate report that counts, for the hand count: (report, style)

# ---------------------------------------------------------------- the week, the hosts

MONDAY = calendar.timegm((2026, 8, 3, 0, 0, 0))
DAY = 86_400


def at(day, hour=0, minute=0, second=0):
    """Seconds since the epoch for a time on a day of the week, Monday being 0."""
    return MONDAY + day * DAY + hour * 3600 + minute * 60 + second


def rfc5322(seconds):
    return email.utils.formatdate(seconds).replace("-0000", "+0000")


def rfc3339(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


OWN_1, OWN_2, OWN_V6 = "192.0.2.10", "192.0.2.11", "2001:db8:10::25"    # our mail servers: DKIM and SPF aligned
NEWS_1, NEWS_2 = "198.51.100.20", "198.51.100.21"                       # newsletter service: DKIM aligned only
SHOP = "198.51.100.77"                                                  # shop system: SPF aligned only, signs nothing
FORWARDER = "203.0.113.5"                                               # forwards untouched: DKIM survives
ALUMNI = "203.0.113.6"                                                  # forwards with a footer: nothing survives
LIST, LIST_V6 = "203.0.113.40", "2001:db8:20::40"                       # mailing lists
PRINTER = "192.0.2.99"                                                  # ours, and forgotten: nothing aligned
SPOOFERS = ["203.0.113.%d" % (128 + i) for i in range(58)]              # not ours at all


# ---------------------------------------------------------------- aggregate reports as data

def row(ip, messages, dkim, spf, disposition="none", header_from="example.com", envelope_from=None, envelope_to=None,
        reasons=(), dkim_results=(), spf_results=(), sent=None):
    """One record. `dkim_results`: (domain, selector, result[, human_result]); `spf_results`: (domain, scope, result
    [, human_result]); `reasons`: (type, comment[, lang]). `sent`: fields that are spelled otherwise in the report."""
    return {
        "source_ip": ip, "messages": messages, "disposition": disposition, "dkim": dkim, "spf": spf,
        "header_from": header_from, "envelope_from": envelope_from, "envelope_to": envelope_to,
        "reasons": [dict(zip(("type", "comment", "lang"), reason)) for reason in reasons],
        "dkim_results": [dict(zip(("domain", "selector", "result", "human_result"), one)) for one in dkim_results],
        "spf_results": [dict(zip(("domain", "scope", "result", "human_result"), one)) for one in spf_results],
        "sent": sent or {},
    }


def own(ip, messages, domain="example.com", selector="mail", **more):
    return row(ip, messages, "pass", "pass", header_from=domain, envelope_from=domain,
               dkim_results=[(domain, selector, "pass")], spf_results=[(domain, "mfrom", "pass")], **more)


def news(ip, messages, **more):
    return row(ip, messages, "pass", "fail", envelope_from="bounce.mailer.example",
               dkim_results=[("example.com", "news", "pass"), ("mailer.example", "m1", "pass")],
               spf_results=[("bounce.mailer.example", "mfrom", "pass")], **more)


def shop(messages, **more):
    return row(SHOP, messages, "fail", "pass", header_from="shop.example.com", envelope_from="shop.example.com",
               spf_results=[("shop.example.com", "mfrom", "pass")], **more)


def spoof(ip, messages, disposition, domain="example.com", **more):
    return row(ip, messages, "fail", "fail", disposition, header_from=domain, envelope_from="bulk.spoofer.example",
               spf_results=[("bulk.spoofer.example", "mfrom", "none")], **more)


def report(org_name, org_email, report_id, domain, begin_at, end_at, rows, policy, rejected=(), **more):
    """`policy`: the children of policy_published after domain. `rejected`: rows that cannot be used, as raw children of
    <row>, with their position. `more`: version, namespace, generator, extra_contact_info, errors, extension."""
    return dict(more, org_name=org_name, org_email=org_email, report_id=report_id, domain=domain, begin_at=begin_at,
                end_at=end_at, rows=rows, policy=policy, rejected=list(rejected))


COLUMNS = ("source_ip", "messages", "disposition", "dkim", "spf", "header_from", "envelope_from", "envelope_to",
           "reasons", "dkim_results", "spf_results")
POLICY = ("p", "sp", "np", "adkim", "aspf", "pct", "fo", "testing", "discovery_method")


def without_nulls(value):
    if isinstance(value, dict):
        return {key: without_nulls(one) for key, one in value.items() if one not in (None, [], ())}
    if isinstance(value, (list, tuple)):
        return [without_nulls(one) for one in value]
    return value


def as_sent_by(one, style):
    """The row with only the fields that this reporter sends at all."""
    omit = style.get("omit", ())
    kept = {key: (None if key in omit else value) for key, value in one.items()}
    for results in ("dkim_results", "spf_results"):
        kept[results] = [{key: value for key, value in result.items() if key not in omit} for result in one[results]]
    return kept


def expected_aggregate(one, style):
    rows = [without_nulls({key: as_sent_by(line, style)[key] for key in COLUMNS}) for line in one["rows"]]
    policy = {key: one["policy"][key] for key in POLICY if one["policy"].get(key) is not None}
    if "pct" in policy:
        policy["pct"] = int(policy["pct"])
    return without_nulls({
        "kind": "aggregate", "org_name": one["org_name"], "org_email": one["org_email"], "report_id": one["report_id"],
        "domain": one["domain"], "begin_at": one["begin_at"], "end_at": one["end_at"], "records": len(rows),
        "messages": sum(line["messages"] for line in rows), "rejected": len(one["rejected"]),
        "version": one.get("version"), "namespace": one.get("namespace"), "generator": one.get("generator"),
        "extra_contact_info": one.get("extra_contact_info"),
        "errors": [{"text": text} for text in one.get("errors", ())], **policy, "rows": rows})


# ---------------------------------------------------------------- aggregate reports as XML, in each reporter's hand

class Writer:
    """XML text. `step` is the indentation; None writes everything on one line."""

    def __init__(self, step="  ", prefix=""):
        self.step, self.prefix, self.depth, self.parts = step, prefix, 0, []

    def line(self, text):
        self.parts.append(text if self.step is None else self.step * self.depth + text + "\n")

    def open(self, name, attributes="", prefix=""):
        self.line("<%s%s%s>" % (prefix, name, " " + attributes if attributes else ""))
        self.depth += 1

    def close(self, name, prefix=""):
        self.depth -= 1
        self.line("</%s%s>" % (prefix, name))

    def element(self, name, value, attributes=""):
        if value is not None:
            start = "%s %s" % (name, attributes) if attributes else name
            self.line("<%s>%s</%s>" % (start, escape(str(value)), name))

    def text(self):
        return "".join(self.parts)


def xml(one, **style):
    """The report's XML. `style`: declaration, root (attributes), prefix of the root, step, omit, reasons_empty_comment,
    empty_human_result, identifiers (order), result_first (order within dkim and spf), unevaluated (no dkim and spf in
    policy_evaluated)."""
    w = Writer(style.get("step", "  "))
    declaration = style.get("declaration", '<?xml version="1.0" encoding="UTF-8" ?>')
    if declaration:
        w.line(declaration)
    prefix = style.get("prefix", "")
    w.open("feedback", style.get("root", ""), prefix)
    w.element("version", one.get("version"))
    w.open("report_metadata")
    w.element("org_name", one["org_name"])
    w.element("email", one["org_email"])
    w.element("extra_contact_info", one.get("extra_contact_info"))
    w.element("report_id", one["report_id"])
    w.open("date_range")
    w.element("begin", one["begin_at"])
    w.element("end", one["end_at"])
    w.close("date_range")
    for error in one.get("errors", ()):
        w.element("error", error)
    w.element("generator", one.get("generator"))
    w.close("report_metadata")
    w.open("policy_published")
    w.element("domain", one["domain"])
    for key, value in one["policy"].items():
        w.element(key, value)
    w.close("policy_published")
    if "extension" in one:
        w.line(one["extension"])
    rejected = dict(one["rejected"])
    for position in range(len(one["rows"]) + len(rejected)):
        if position in rejected:
            w.line("<record>%s</record>" % rejected[position])
        else:
            write_record(w, as_sent_by(one["rows"][position - sum(p < position for p in rejected)], style), style)
    w.close("feedback", prefix)
    return w.text().rstrip("\n") + style.get("end", "\n")


def write_record(w, line, style):
    sent = dict({key: line[key] for key in COLUMNS}, **line["sent"])
    w.open("record")
    w.open("row")
    w.element("source_ip", sent["source_ip"])
    w.element("count", sent["messages"])
    w.open("policy_evaluated")
    w.element("disposition", sent["disposition"])
    w.element("dkim", sent["dkim"])
    w.element("spf", sent["spf"])
    for reason in line["reasons"]:
        w.open("reason")
        w.element("type", reason["type"])
        lang = 'lang="%s"' % reason["lang"] if "lang" in reason else ""
        empty = "" if style.get("empty_comment") else None
        w.element("comment", reason.get("comment") if reason.get("comment") is not None else empty, lang)
        w.close("reason")
    w.close("policy_evaluated")
    w.close("row")
    w.open("identifiers")
    for name in style.get("identifiers", ("envelope_to", "envelope_from", "header_from")):
        w.element(name, sent[name])
    w.close("identifiers")
    w.open("auth_results")
    for result in line["dkim_results"]:
        w.open("dkim")
        write_result(w, result, ("domain", "selector", "result"), style)
        w.close("dkim")
    for result in line["spf_results"]:
        w.open("spf")
        write_result(w, result, ("domain", "scope", "result"), style)
        w.close("spf")
    w.close("auth_results")
    if "extension" in line["sent"]:
        w.line(line["sent"]["extension"])
    w.close("record")


def write_result(w, result, names, style):
    for name in reversed(names) if style.get("result_first") else names:
        w.element(name, result.get(name))
    if "human_result" in result:
        w.element("human_result", result["human_result"])
    elif style.get("empty_human_result") and "selector" in names:
        w.line("<human_result/>")


# ---------------------------------------------------------------- containers

def gz(data, name=None, mtime=0):
    """One gzip member (RFC 1952), written here so that nothing of the machine gets into it."""
    head = b"\x1f\x8b\x08" + bytes([8 if name else 0]) + struct.pack("<I", mtime) + b"\x02\xff"
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    body = packer.compress(data) + packer.flush()
    name = name.encode() + b"\0" if name else b""
    return head + name + body + struct.pack("<II", zlib.crc32(data), len(data) & 0xFFFFFFFF)


def zipped(members, password=None):
    """A zip archive of (name, bytes), every member dated 2026-08-04 00:00:00."""
    local, central = b"", b""
    stamp, date = 0, (2026 - 1980) << 9 | 8 << 5 | 4
    for name, data in members:
        packer = zlib.compressobj(9, zlib.DEFLATED, -15)
        body = packer.compress(data) + packer.flush()
        crc, flags, raw_name = zlib.crc32(data), 0, name.encode()
        if password:
            body, flags = zip_encrypt(body, crc, password), 1
        common = struct.pack("<HHHHHIIIH", 20, flags, 8, stamp, date, crc, len(body), len(data), len(raw_name))
        central += (b"PK\x01\x02" + struct.pack("<H", 20) + common + struct.pack("<HHHHII", 0, 0, 0, 0, 0, len(local))
                    + raw_name)
        local += b"PK\x03\x04" + common + struct.pack("<H", 0) + raw_name + body
    end = struct.pack("<HHHHIIH", 0, 0, len(members), len(members), len(central), len(local), 0)
    return local + central + b"PK\x05\x06" + end


def zip_encrypt(data, crc, password):
    """The traditional cipher of zip (APPNOTE, section 6.1). Weak, and what a password on a zip means to most tools."""
    table = []
    for i in range(256):
        c = i
        for _ in range(8):
            c = c >> 1 ^ (0xEDB88320 if c & 1 else 0)
        table.append(c)
    keys = [0x12345678, 0x23456789, 0x34567890]

    def update(byte):
        keys[0] = keys[0] >> 8 ^ table[(keys[0] ^ byte) & 0xFF]
        keys[1] = ((keys[1] + (keys[0] & 0xFF)) * 134775813 + 1) & 0xFFFFFFFF
        keys[2] = keys[2] >> 8 ^ table[(keys[2] ^ keys[1] >> 24) & 0xFF]

    for byte in password:
        update(byte)
    out = bytearray()
    for byte in b"dmarcdbhead" + bytes([crc >> 24]) + data:
        temp = (keys[2] | 2) & 0xFFFF
        out.append(byte ^ (temp * (temp ^ 1) >> 8 & 0xFF))
        update(byte)
    return bytes(out)


# ---------------------------------------------------------------- mail

def b64(data):
    text = base64.b64encode(data).decode()
    return "\n".join(text[i:i + 76] for i in range(0, len(text), 76)) + "\n"


def fields(pairs):
    return "".join("%s: %s\n" % pair for pair in pairs)


def multipart(boundary, *parts):
    """`parts`: (header fields, body)."""
    body = "".join("--%s\n%s\n%s\n" % (boundary, fields(head), text) for head, text in parts)
    return "%s--%s--\n" % (body, boundary)


def received(host, ip, seconds):
    """What our own server puts on top of everything it takes in."""
    return [("Delivered-To", "dmarc@example.com"),
            ("Received", "from %s (%s [%s])\n\tby mx.example.com (Postfix) with ESMTPS id 4kXy2zABCDE\n"
                         "\tfor <dmarc@example.com>; %s" % (host, host, ip, rfc5322(seconds)))]


def authenticated(domain, mailfrom=None):
    """The Authentication-Results of our own server (RFC 8601) for mail that `domain` signed."""
    return ("Authentication-Results", "mx.example.com;\n\tdkim=pass header.d=%s header.s=s1;\n"
                                      "\tspf=pass smtp.mailfrom=%s;\n\tdmarc=pass header.from=%s"
            % (domain, mailfrom or domain, domain))


def mail(pairs, body):
    return (fields(pairs) + "\n" + body).encode()


# ---------------------------------------------------------------- putting a sample down

def put(name, data, outcome, reports=(), complaints=(), problems=(), bounces=()):
    """The sample and, under expected/, its reading. `reports` are readings already."""
    OUTPUT["mail/" + name] = data
    expected = {"outcome": outcome}
    for key, value in (("reports", reports), ("complaints", complaints), ("bounces", bounces), ("problems", problems)):
        if value:
            expected[key] = list(value)
    OUTPUT["expected/%s.json" % name] = compact(expected).encode()


def aggregate(one, counts=True, **style):
    """XML and reading of a report; remembers it for the hand count of the whole set."""
    if counts:
        SET.append((one, style))
    return xml(one, **style), expected_aggregate(one, style)


def compact(value, indent=0):
    """JSON with a line for each leaf object, so that a difference shows as the record it is in."""
    pad, flat = "  " * indent, json.dumps(value, ensure_ascii=False)
    if len(flat) + len(pad) <= 100 or not isinstance(value, (dict, list)):
        return flat + ("\n" if indent == 0 else "")
    inside = "  " * (indent + 1)
    if isinstance(value, dict):
        if "source_ip" in value and "messages" in value:
            return flat
        items = ["%s%s: %s" % (inside, json.dumps(key), compact(one, indent + 1)) for key, one in value.items()]
        text = "{\n%s\n%s}" % (",\n".join(items), pad)
    else:
        text = "[\n%s\n%s]" % (",\n".join(inside + compact(one, indent + 1) for one in value), pad)
    return text + ("\n" if indent == 0 else "")
