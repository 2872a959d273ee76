#!/usr/bin/env python3
"""Writes samples/mail, samples/expected and samples/expected-summary.json.

Every report and complaint stands here once, as plain data. From it come two things that must agree: the file as a
reporter would send it, and the reading of it that dmarcdb must arrive at. dmarcdb takes no part in either.

Needs Python 3.9 and nothing else. No clock and no chance: two runs write the same bytes (with the same zlib).

    samples/make.py            write everything again
    samples/make.py --check    say what would change, and fail if anything would
"""

import json
import sys
from pathlib import Path

sys.dont_write_bytecode = True
import aggregates
import feedback
from shapes import (OUTPUT, OWN_1, SET, aggregate, as_sent_by, at, authenticated, b64, compact, gz, fields, mail,
                    multipart, news, put, received, report, rfc3339, rfc5322, row, shop, xml)


# ---------------------------------------------------------------- SMTP TLS reports

def tls_mail(name, org, sender, domain, report_json, media_type, seconds, expected):
    packed = media_type.endswith("gzip")
    data = json.dumps(report_json, indent=2).encode()
    file_name = "%s!example.com!%d!%d!001.json%s" % (domain, at(1), at(2) - 1, ".gz" if packed else "")
    put(name, mail(received("mail." + domain, "192.0.2.209", seconds) + [
        authenticated(domain),
        ("From", sender),
        ("To", "tlsrpt@example.com"),
        ("Subject", "Report Domain: example.com Submitter: %s Report-ID: <%s>" % (domain, report_json["report-id"])),
        ("Date", rfc5322(seconds)),
        ("Message-ID", "<tls-%s@%s>" % (org, domain)),
        ("TLS-Report-Domain", "example.com"),
        ("TLS-Report-Submitter", domain),
        ("MIME-Version", "1.0"),
        ("Content-Type", 'multipart/report; report-type="tlsrpt"; boundary="tls-%s"' % org),
    ], multipart("tls-" + org,
                 ([("Content-Type", "text/plain; charset=utf-8")], "This is an aggregate TLS report.\n"),
                 ([("Content-Type", '%s; name="%s"' % (media_type, file_name)),
                   ("Content-Disposition", 'attachment; filename="%s"' % file_name), ("Content-Transfer-Encoding", "base64")],
                  b64(gz(data) if packed else data)))), "stored", [expected])


def tls_reports():
    """One with nothing but success, gzip; one with two kinds of failure under two policies, plain JSON."""
    policy = ["version: STSv1", "mode: enforce", "mx: mx.example.com", "max_age: 604800"]
    head = {"kind": "tls", "begin_at": at(1), "end_at": at(2) - 1}
    tls_mail("tls-google.eml", "google", "noreply-smtp-tls-reporting@google.com", "google.com", {
        "organization-name": "Google Inc.",
        "date-range": {"start-datetime": rfc3339(at(1)), "end-datetime": rfc3339(at(2) - 1)},
        "contact-info": "smtp-tls-reporting@google.com",
        "report-id": "2026-08-04T00:00:00Z_example.com",
        "policies": [{
            "policy": {"policy-type": "sts", "policy-string": policy, "policy-domain": "example.com", "mx-host": ["mx.example.com"]},
            "summary": {"total-successful-session-count": 512, "total-failure-session-count": 0}}],
    }, "application/tlsrpt+gzip", at(2, 10), dict(
        head, org_name="Google Inc.", org_email="smtp-tls-reporting@google.com", report_id="2026-08-04T00:00:00Z_example.com",
        domain="example.com", policies=[
            {"policy_type": "sts", "policy_domain": "example.com", "successful_sessions": 512, "failed_sessions": 0}]))
    tls_mail("tls-microsoft.eml", "microsoft", "tlsrpt-noreply@microsoft.com", "microsoft.com", {
        "organization-name": "Microsoft Corporation",
        "date-range": {"start-datetime": rfc3339(at(1)), "end-datetime": rfc3339(at(2) - 1)},
        "contact-info": "tlsrpt-noreply@microsoft.com",
        "report-id": "134307072000000000+example.com",
        "policies": [{
            "policy": {"policy-type": "sts", "policy-string": policy, "policy-domain": "example.com", "mx-host": ["mx.example.com"]},
            "summary": {"total-successful-session-count": 88, "total-failure-session-count": 7},
            "failure-details": [
                {"result-type": "certificate-expired", "sending-mta-ip": "192.0.2.222",
                 "receiving-mx-hostname": "mx.example.com", "receiving-ip": OWN_1, "failed-session-count": 5},
                {"result-type": "starttls-not-supported", "receiving-mx-hostname": "mx2.example.com", "failed-session-count": 2}],
        }, {
            "policy": {"policy-type": "no-policy-found", "policy-domain": "example.com"},
            "summary": {"total-successful-session-count": 3, "total-failure-session-count": 0}}],
    }, "application/tlsrpt+json", at(2, 11), dict(
        head, org_name="Microsoft Corporation", org_email="tlsrpt-noreply@microsoft.com", report_id="134307072000000000+example.com",
        domain="example.com", policies=[
            {"policy_type": "sts", "policy_domain": "example.com", "successful_sessions": 88, "failed_sessions": 7, "failures": [
                {"result_type": "certificate-expired", "sending_mta_ip": "192.0.2.222", "receiving_mx_hostname": "mx.example.com",
                 "receiving_ip": OWN_1, "failed_sessions": 5},
                {"result_type": "starttls-not-supported", "receiving_mx_hostname": "mx2.example.com", "failed_sessions": 2}]},
            {"policy_type": "no-policy-found", "policy_domain": "example.com", "successful_sessions": 3, "failed_sessions": 0}]))


# ---------------------------------------------------------------- mail that is no report

def no_reports():
    put("other-newsletter.eml", mail(received("out.shop.example", "192.0.2.212", at(4, 6, 0)) + [
        authenticated("shop.example"),
        ("From", "Shop Example <hello@shop.example>"), ("To", "dmarc@example.com"),
        ("Subject", "Your DMARC report is ready: 20 % off this week"), ("Date", rfc5322(at(4, 6, 0))),
        ("Message-ID", "<promo-9@shop.example>"), ("List-Unsubscribe", "<https://shop.example/u/9>"), ("MIME-Version", "1.0"),
        ("Content-Type", 'multipart/alternative; boundary="promo"'),
    ], multipart("promo", ([("Content-Type", "text/plain; charset=utf-8")], "Everything must go.\n"),
                 ([("Content-Type", "text/html; charset=utf-8")], "<html><body><p>Everything must go.</p></body></html>\n"))),
        "not_a_report")


def notification(name, head, reporting_mta, person, number, **bounce):
    """A delivery status notification (RFC 3464): there is no such mailbox."""
    put(name, mail(head + [
        ("To", "news@example.com"), ("Subject", "Undelivered Mail Returned to Sender"), ("Date", rfc5322(at(2, 13, 0))),
        ("Message-ID", "<dsn-%d@%s>" % (number, reporting_mta)), ("Auto-Submitted", "auto-replied"), ("MIME-Version", "1.0"),
        ("Content-Type", 'multipart/report; report-type=delivery-status;\n\tboundary="dsn"'),
    ], multipart("dsn", ([("Content-Type", "text/plain")], "No such user here.\n"),
                 ([("Content-Type", "message/delivery-status")],
                  "Reporting-MTA: dns; %s\n\nFinal-Recipient: rfc822; %s\nAction: failed\n"
                  "Status: 5.1.1\nRemote-MTA: dns; mx.people.example\nDiagnostic-Code: smtp; 550 5.1.1 No such user\n"
                  % (reporting_mta, person)),
                 ([("Content-Type", "text/rfc822-headers")], fields([
                     ("From", "Example News <news@example.com>"), ("To", person), ("Subject", "August offers"),
                     ("Message-ID", "<issue-31.%d@mailer.example>" % number)])))), "stored",
        bounces=[dict({"class": "hard", "action": "failed", "status": "5.1.1", "recipient": person, "header_from": "example.com",
                       "message_id": "issue-31.%d@mailer.example" % number, "diagnostic": "550 5.1.1 No such user",
                       "reporting_mta": reporting_mta}, **bounce)])


def bounces():
    """One that our own server wrote, and one that anybody may have sent: that one waits for a person."""
    notification("bounce-own-server.eml", [
        ("Return-Path", "<>"), ("Delivered-To", "dmarc@example.com"),
        ("Received", "by mx.example.com (Postfix)\n\tid 4kXy2zFGHIJ; %s" % rfc5322(at(2, 13, 0))),
        ("From", "Mail Delivery System <mailer-daemon@mx.example.com>")],
        "mx.example.com", "moved@people.example", 1010, trusted=1, decision="suppress")
    notification("bounce-unproven.eml", received("mx.people.example", "192.0.2.213", at(2, 13, 0)) + [
        ("From", "Mail Delivery Subsystem <mailer-daemon@people.example>")],
        "mx.people.example", "gone@people.example", 1009, trusted=0, decision="pending")


# ---------------------------------------------------------------- the hand count

FIGURES = ("messages", "dmarc_pass", "dkim_pass", "spf_pass", "unknown", "quarantine", "reject")


def hand_count():
    """What `summary --since 7d --until newest` must say of the whole set, counted from the data above."""
    totals, sources = dict.fromkeys(FIGURES, 0), {}
    for one, style in SET:
        for line in one["rows"]:
            line = as_sent_by(line, style)
            source = sources.setdefault(line["source_ip"], dict.fromkeys(FIGURES, 0))
            passed = "pass" in (line["dkim"], line["spf"])
            for figures in (totals, source):
                figures["messages"] += line["messages"]
                figures["dmarc_pass"] += line["messages"] * passed
                figures["dkim_pass"] += line["messages"] * (line["dkim"] == "pass")
                figures["spf_pass"] += line["messages"] * (line["spf"] == "pass")
                figures["unknown"] += line["messages"] * (not passed and None in (line["dkim"], line["spf"]))
                figures["quarantine"] += line["messages"] * (line["disposition"] == "quarantine")
                figures["reject"] += line["messages"] * (line["disposition"] == "reject")
    readings = [json.loads(data) for name, data in OUTPUT.items() if name.startswith("expected/")]
    suppressed = {one["recipient"] for reading in readings for one in reading.get("bounces", ())
                  if one["decision"] == "suppress"}
    suppressed |= {recipient["address"] for reading in readings for one in reading.get("complaints", ())
                  for recipient in one["recipients"]
                  if one["trusted"] and one["feedback_type"] in ("abuse", "opt-out") and recipient["status"] == "ok"}
    ordered = sorted(sources.items(), key=lambda item: (-item[1]["messages"], item[0]))
    return {"since_at": at(0), "until_at": at(7), "newest_end_at": max(one["end_at"] for one, _ in SET),
            "aggregate_reports": len(SET), "records": sum(len(one["rows"]) for one, _ in SET),
            "suppressed": sorted(suppressed), "totals": totals, "sources": [dict({"source_ip": ip}, **figures) for ip, figures in ordered]}


# Deviations that are plain to see in the data above. Every sample named here must give these warnings and no other.
WARNINGS = {
    "aggregate-amazon-ses.eml": [], "aggregate-fastmail.eml": [], "aggregate-forwarded.eml": [], "aggregate-gmx.eml": [],
    "aggregate-google.eml": [], "aggregate-microsoft.eml": [], "aggregate-packed.xml.gz": [], "aggregate-rfc9990.xml": [],
    "aggregate-spoofing-burst.eml": [], "aggregate-two-reports.zip": [], "aggregate-yahoo.eml": [], "mailbox.mbox": [],
    "tls-google.eml": [], "tls-microsoft.eml": [], "complaint-arf.eml": [],
    "aggregate-bare.xml": ["domain-form", "enum-case"],
    "aggregate-mimecast.eml": ["gzip-trailing-junk"],
    "aggregate-null-row.xml": ["rejected-record"],
    "aggregate-rejected-rows.xml": ["rejected-record"],
    "aggregate-unevaluated.xml.gz": ["encoding", "missing-element", "prefix"],
    "complaint-yahoo.eml": ["version"],
}


def main():
    for make in (*aggregates.ALL, tls_reports, *feedback.ALL, bounces, no_reports):
        make()
    for name, codes in WARNINGS.items():
        path = "expected/%s.json" % name
        OUTPUT[path] = compact(dict(json.loads(OUTPUT[path]), warnings=codes)).encode()
    OUTPUT["expected-summary.json"] = compact(hand_count()).encode()
    here = Path(__file__).resolve().parent
    there = {str(path.relative_to(here)) for folder in ("mail", "expected") for path in (here / folder).glob("*")}
    stale = sorted(there - set(OUTPUT))
    changed = sorted(name for name, data in OUTPUT.items()
                     if not (here / name).is_file() or (here / name).read_bytes() != data)
    for name in changed + stale:
        print("%s samples/%s" % ("delete" if name in stale else "write", name))
    if "--check" in sys.argv[1:]:
        return 1 if changed or stale else 0
    for name in changed:
        (here / name).parent.mkdir(exist_ok=True)
        (here / name).write_bytes(OUTPUT[name])
    for name in stale:
        (here / name).unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main())
