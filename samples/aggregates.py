"""The aggregate reports: one function for each file."""

from shapes import (ALUMNI, FORWARDER, LIST, LIST_V6, NEWS_1, NEWS_2, OWN_1, OWN_2, OWN_V6, PRINTER, SPOOFERS,
                    aggregate, at, authenticated, b64, gz, mail, multipart, news, own, put, received, report, rfc5322,
                    row, shop, spoof, xml, zipped)

COM = {"adkim": "r", "aspf": "r", "p": "quarantine", "sp": "quarantine", "pct": "100"}


def google():
    """Google: the whole mail is a zip; `np` without a version or a namespace; no envelope_from, no scope."""
    one = report("google.com", "noreply-dmarc-support@google.com", "10837405516529081475", "example.com", at(0), at(1) - 1, [
        own(OWN_1, 812), own(OWN_2, 640), own(OWN_V6, 211, sent={"source_ip": "2001:DB8:10:0:0:0:0:25"}),
        news(NEWS_1, 6120), news(NEWS_2, 5987), shop(143),
        row(FORWARDER, 37, "pass", "fail", dkim_results=[("example.com", "mail", "pass")],
            spf_results=[("forwarder.example", "mfrom", "pass")]),
        row(LIST, 25, "fail", "fail", reasons=[("local_policy", "arc=pass")],
            dkim_results=[("example.com", "mail", "fail"), ("lists.example.org", "list", "pass")],
            spf_results=[("lists.example.org", "mfrom", "pass")]),
        spoof(SPOOFERS[0], 12, "quarantine"),
    ], dict(COM, np="quarantine"), extra_contact_info="https://support.google.com/a/answer/2466580")
    text, expected = aggregate(one, omit=("envelope_from", "scope"), declaration='<?xml version="1.0" encoding="UTF-8" ?>')
    name = "google.com!example.com!%d!%d" % (at(0), at(1) - 1)
    put("aggregate-google.eml", mail(received("mail-ej1-f73.google.com", "192.0.2.201", at(1, 5, 12)) + [
        authenticated("google.com"),
        ("MIME-Version", "1.0"),
        ("Date", rfc5322(at(1, 5, 12))),
        ("Message-ID", "<10837405516529081475@google.com>"),
        ("Subject", "Report domain: example.com Submitter: google.com Report-ID: 10837405516529081475"),
        ("From", "noreply-dmarc-support@google.com"),
        ("To", "dmarc@example.com"),
        ("Content-Type", 'application/zip;\n\tname="%s.zip"' % name),
        ("Content-Disposition", 'attachment;\n\tfilename="%s.zip"' % name),
        ("Content-Transfer-Encoding", "base64"),
    ], b64(zipped([(name + ".xml", text.encode())]))), "stored", [expected])


def fastmail():
    """Fastmail: every part inline, tabs, human results, two override reasons on one record."""
    one = report("Fastmail Pty Ltd", "reports@fastmaildmarc.com", "912604377", "example.com", at(0), at(1) - 1, [
        own(OWN_1, 44), news(NEWS_1, 380),
        row(LIST, 9, "fail", "fail", envelope_from="bounces.lists.example.org",
            reasons=[("mailing_list", "Policy ignored due to a known list"), ("local_policy", "arc=pass; M&A <announce>")],
            dkim_results=[("example.com", "mail", "fail", "body hash did not verify"),
                          ("lists.example.org", "list", "pass", "pass")],
            spf_results=[("bounces.lists.example.org", "mfrom", "pass")]),
        row(ALUMNI, 4, "fail", "fail", envelope_from="example.com", reasons=[("trusted_forwarder", "Policy ignored due to local white list")],
            dkim_results=[("example.com", "mail", "fail", "message has been altered")],
            spf_results=[("example.com", "mfrom", "softfail")]),
    ], {"p": "quarantine", "sp": "quarantine", "pct": "100", "fo": "0"}, version="1.0",
        extra_contact_info="https://www.fastmail.com/")
    text, expected = aggregate(one, step="\t", declaration='<?xml version="1.0"?>')
    name = "fastmail.com!example.com!%d!%d!912604377.xml.gz" % (at(0), at(1) - 1)
    put("aggregate-fastmail.eml", mail(received("mx4.messagingengine.com", "192.0.2.202", at(1, 0, 40)) + [
        authenticated("fastmaildmarc.com"),
        ("MIME-Version", "1.0"),
        ("Content-Type", 'multipart/mixed; boundary="=-fm-912604377"'),
        ("Content-Disposition", "inline"),
        ("Subject", "Report Domain: example.com Submitter: fastmail.com Report-ID: 912604377"),
        ("From", "Fastmail DMARC <reports@fastmaildmarc.com>"),
        ("To", "dmarc@example.com"),
        ("Date", rfc5322(at(1, 0, 39))),
        ("Message-ID", "<912604377@fastmaildmarc.com>"),
    ], multipart("=-fm-912604377",
                 ([("Content-Type", "text/plain; charset=utf-8"), ("Content-Disposition", "inline")],
                  "This is an aggregate DMARC report for example.com.\n"),
                 ([("Content-Type", 'application/gzip; name="%s"' % name),
                   ("Content-Disposition", 'inline; filename="%s"' % name), ("Content-Transfer-Encoding", "base64")],
                  b64(gz(text.encode()))))), "stored", [expected])


def microsoft():
    """Microsoft: mixed > related > alternative, an encoded Subject, xsd and xsi on the root, envelope_to. The mail has
    CRLF line ends. Its period is the last to end in the whole set."""
    def to(line, domain):
        return dict(line, envelope_to=domain)
    one = report("Outlook.com", "dmarcreport@microsoft.com", "7b1f4c9a52d94cfa8f9e3f61b0f0f2b4", "example.com", at(6), at(7), [
        to(own(OWN_1, 391), "outlook.com"), to(own(OWN_1, 120), "hotmail.com"), to(own(OWN_2, 287), "outlook.com"),
        to(own(OWN_V6, 65), "outlook.com"), to(news(NEWS_1, 2950), "outlook.com"), to(news(NEWS_2, 2711), "hotmail.com"),
        to(shop(58), "outlook.com"), to(spoof(SPOOFERS[1], 21, "quarantine"), "hotmail.com"),
        to(row(PRINTER, 3, "fail", "fail", "quarantine", header_from="example.com", envelope_from="printer.example.com",
               spf_results=[("printer.example.com", "mfrom", "none")]), "outlook.com"),
    ], dict(COM, fo="0"), version="1.0")
    text, expected = aggregate(
        one, declaration='<?xml version="1.0"?>',
        root='xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"')
    name = "protection.outlook.com!example.com!%d!%d.xml.gz" % (at(6), at(7))
    subject = b64(b"Report Domain: example.com Submitter: protection.outlook.com Report-ID: "
                  b"7b1f4c9a52d94cfa8f9e3f61b0f0f2b4").replace("\n", "")
    page = b64(b"<div style = \"font-family:Segoe UI; font-size:14px;\">This is a DMARC aggregate report from Microsoft "
               b"Corporation. For Emails received between 2026-08-09 00:00:00 UTC to 2026-08-10 00:00:00 UTC.</div>")
    body = multipart(
        "_mv_outer",
        ([("Content-Type", 'multipart/related; boundary="_rv_inner"')], multipart(
            "_rv_inner",
            ([("Content-Type", 'multipart/alternative; boundary="_av_alt"')], multipart(
                "_av_alt",
                ([("Content-Type", "text/plain; charset=us-ascii"), ("Content-Transfer-Encoding", "base64")], ""),
                ([("Content-Type", "text/html; charset=us-ascii"), ("Content-Transfer-Encoding", "base64")], page))))),
        ([("Content-Type", "application/gzip"), ("Content-Transfer-Encoding", "base64"),
          ("Content-Disposition", 'attachment; filename="%s"' % name)], b64(gz(text.encode(), name[:-3]))))
    data = mail(received("mail-db5eur01on2100.outbound.protection.outlook.com", "192.0.2.203", at(7, 4, 2)) + [
        authenticated("microsoft.com"),
        ("From", '"DMARC Aggregate Report" <dmarcreport@microsoft.com>'),
        ("Subject", "=?utf-8?B?%s?=" % subject),
        ("Content-Type", 'multipart/mixed; boundary="_mv_outer"'),
        ("To", "dmarc@example.com"),
        ("Date", rfc5322(at(7, 4, 1))),
        ("Message-ID", "<7b1f4c9a52d94cfa8f9e3f61b0f0f2b4@microsoft.com>"),
        ("MIME-Version", "1.0"),
    ], body)
    put("aggregate-microsoft.eml", data.replace(b"\n", b"\r\n"), "stored", [expected])


def gmx():
    """GMX: RFC 9990 already, with its namespace, discovery_method, testing and generator."""
    one = report("GMX", "noreply-dmarc@sicher.gmx.net", "5e0d6f1c3b7a4e1f9c55f2a1de3b7a90", "example.com", at(1), at(2) - 1, [
        own(OWN_1, 96), own(OWN_2, 71), news(NEWS_2, 1340),
        row(FORWARDER, 6, "pass", "fail", envelope_from="forwarder.example", dkim_results=[("example.com", "mail", "pass")],
            spf_results=[("forwarder.example", "mfrom", "pass")]),
        spoof(SPOOFERS[2], 8, "quarantine"),
    ], {"discovery_method": "psl", "adkim": "r", "aspf": "r", "p": "quarantine", "sp": "quarantine", "testing": "n"},
        version="1.0", namespace="urn:ietf:params:xml:ns:dmarc-2.0", generator="1&1 Mail & Media DMARC Reporter",
        extra_contact_info="https://postmaster.gmx.net/en/case?c=r2002")
    text, expected = aggregate(one, step="   ", declaration='<?xml version="1.0" encoding="UTF-8"?>',
                               root='xmlns="urn:ietf:params:xml:ns:dmarc-2.0"')
    name = "gmx.net!example.com!%d!%d!5e0d6f1c3b7a4e1f9c55f2a1de3b7a90.xml.gz" % (at(1), at(2) - 1)
    put("aggregate-gmx.eml", mail(received("mout.gmx.net", "192.0.2.204", at(2, 6, 30)) + [
        authenticated("sicher.gmx.net"),
        ("MIME-Version", "1.0"),
        ("From", "noreply-dmarc@sicher.gmx.net"),
        ("To", "dmarc@example.com"),
        ("Subject", "Report Domain: example.com Submitter: gmx.net\n Report-ID: <5e0d6f1c3b7a4e1f9c55f2a1de3b7a90@gmx.net>"),
        ("Date", rfc5322(at(2, 6, 29))),
        ("Message-ID", "<5e0d6f1c3b7a4e1f9c55f2a1de3b7a90@gmx.net>"),
        ("Content-Type", 'application/gzip; name="%s"' % name),
        ("Content-Disposition", 'attachment; filename="%s"' % name),
        ("Content-Transfer-Encoding", "base64"),
    ], b64(gz(text.encode()))), "stored", [expected])


def yahoo():
    """Yahoo: a line of text, then gzip; override reasons with an empty comment."""
    one = report("Yahoo", "dmarchelp@yahooinc.com", "1786003206.471293", "example.com", at(2), at(3) - 1, [
        own(OWN_1, 205), own(OWN_2, 188), news(NEWS_1, 2210), news(NEWS_2, 2305), shop(31),
        row(ALUMNI, 7, "fail", "fail", reasons=[("forwarded", None)],
            dkim_results=[("example.com", "mail", "permerror")], spf_results=[("alumni.example.net", "mfrom", "pass")]),
        spoof(SPOOFERS[3], 17, "quarantine"),
    ], {"adkim": "r", "aspf": "r", "p": "quarantine", "pct": "100"})
    text, expected = aggregate(one, omit=("envelope_from", "scope"), empty_comment=True, declaration='<?xml version="1.0"?>')
    name = "yahoo.com!example.com!%d!%d.xml.gz" % (at(2), at(3) - 1)
    put("aggregate-yahoo.eml", mail(received("dmarc.mail.bf1.yahoo.com", "192.0.2.205", at(3, 1, 20)) + [
        authenticated("dmarc.yahoo.com"),
        ("Date", rfc5322(at(3, 1, 20))),
        ("From", "noreply@dmarc.yahoo.com"),
        ("To", "dmarc@example.com"),
        ("Message-ID", "<1071337.471293.1786003206@dmarc.yahoo.com>"),
        ("Subject", "Report Domain: example.com Submitter: yahoo.com Report-ID: <1786003206.471293>"),
        ("MIME-Version", "1.0"),
        ("Content-Type", 'multipart/mixed; boundary="----=_Part_471292_1301.1786003206"'),
    ], multipart("----=_Part_471292_1301.1786003206",
                 ([("Content-Type", "text/plain; charset=us-ascii"), ("Content-Transfer-Encoding", "7bit"),
                   ("Content-Disposition", "inline")], "This is an aggregate report from Yahoo Inc.\n"),
                 ([("Content-Type", "application/gzip"), ("Content-Transfer-Encoding", "base64"),
                   ("Content-Disposition", 'attachment; filename="%s"' % name)], b64(gz(text.encode()))))),
        "stored", [expected])


def amazon_ses():
    """Amazon SES: octet-stream, a file name split after RFC 2231, version 0.1."""
    one = report("AMAZON-SES", "postmaster@amazonses.com", "12007123-9847-4f23-a7d7-c6837cce89de", "example.org", at(3), at(4), [
        own(OWN_1, 66, "example.org"), own(OWN_V6, 12, "example.org"),
        spoof(SPOOFERS[4], 5, "none", "example.org"),
    ], {"adkim": "r", "aspf": "r", "p": "none", "sp": "none", "pct": "100", "fo": "0"}, version="0.1")
    text, expected = aggregate(one, step=None, declaration='<?xml version="1.0" encoding="UTF-8" standalone="yes"?>')
    put("aggregate-amazon-ses.eml", mail(received("a7-16.smtp-out.eu-west-1.amazonses.com", "192.0.2.206", at(4, 10, 23)) + [
        authenticated("amazonses.com", "eu-west-1.amazonses.com"),
        ("Date", rfc5322(at(4, 10, 23))),
        ("From", "postmaster@amazonses.com"),
        ("To", "dmarc@example.com"),
        ("Message-ID", "<01020179e5ffe776-12007123-9847-4f23-a7d7-c6837cce89de-000000@eu-west-1.amazonses.com>"),
        ("Subject", "Dmarc Aggregate Report Domain: {example.org}  Submitter: {Amazon\n SES}  Date: {2026-08-06}  "
                    "Report-ID:\n {12007123-9847-4f23-a7d7-c6837cce89de}"),
        ("MIME-Version", "1.0"),
        ("Content-Type", 'multipart/mixed;\n\tboundary="----=_Part_8428_1073105148.1786100623987"'),
    ], multipart("----=_Part_8428_1073105148.1786100623987",
                 ([("Content-Type", "text/plain; charset=us-ascii"), ("Content-Transfer-Encoding", "7bit")],
                  "This MIME email was sent through Amazon SES.\n"),
                 ([("Content-Type", 'application/octet-stream;\n\tname*0="amazonses.com!example.org!%d!%d.xm";\n\tname*1="l.gz"'
                    % (at(3), at(4))), ("Content-Transfer-Encoding", "base64"),
                   ("Content-Disposition", 'attachment;\n\tfilename*0="amazonses.com!example.org!%d!%d.xm";\n\tfilename*1="l.gz"'
                    % (at(3), at(4)))], b64(gz(text.encode()))))), "stored", [expected])


def mimecast():
    """Mimecast: the whole mail is gzip, with CRLF behind its end; empty human_result elements."""
    one = report("Mimecast", "no-reply@us-1.mimecastreport.com",
                 "a877f65e16f46789f8428d867e2393c86772449e2ae4711f7d0ec8bbc2447ea2", "example.com", at(4), at(5) - 1, [
                     own(OWN_1, 73), own(OWN_2, 59), news(NEWS_1, 455), shop(12),
                     spoof(SPOOFERS[5], 9, "quarantine"),
                 ], dict(COM), extra_contact_info="https://community.mimecast.com/s/knowledge")
    text, expected = aggregate(one, omit=("envelope_from", "scope"), empty_human_result=True,
                               declaration='<?xml version="1.0" encoding="UTF-8" standalone="yes"?>')
    name = "mimecast.org!example.com!%d!%d.xml.gz" % (at(4), at(5) - 1)
    put("aggregate-mimecast.eml", mail(received("us-smtp-delivery-1.mimecast.com", "192.0.2.207", at(5, 3, 15)) + [
        authenticated("us-1.mimecastreport.com"),
        ("From", "no-reply@us-1.mimecastreport.com"),
        ("To", "dmarc@example.com"),
        ("Subject", "Report Domain: example.com Submitter: mimecast.org Report-ID: a877f65e16f46789f8428d867e2393c8"),
        ("Date", rfc5322(at(5, 3, 15))),
        ("Message-ID", "<a877f65e16f46789@us-1.mimecastreport.com>"),
        ("MIME-Version", "1.0"),
        ("Content-Type", 'application/gzip; name="%s"' % name),
        ("Content-Disposition", 'attachment; filename="%s"' % name),
        ("Content-Transfer-Encoding", "base64"),
    ], b64(gz(text.encode()) + b"\r\n")), "stored", [expected])


def spoofing_burst():
    """One report of 60 records: on Thursday somebody sent as example.net from 58 addresses. In the way of GoDaddy: a
    multipart that holds nothing but a zip."""
    rows = [own(OWN_1, 18, "example.net"), own(OWN_2, 15, "example.net")]
    for i, ip in enumerate(SPOOFERS):
        rows.append(spoof(ip, 40 + i * 7 % 23, "reject" if i % 5 else "quarantine", "example.net"))
    one = report("Receiver Example", "dmarc-reports@receiver.example", "example.net-1786060800@receiver.example", "example.net",
                 at(3), at(4) - 1, rows, {"adkim": "s", "aspf": "s", "p": "reject", "sp": "reject", "pct": "100"})
    text, expected = aggregate(one, omit=("scope",))
    name = "receiver.example!example.net!%d!%d" % (at(3), at(4) - 1)
    put("aggregate-spoofing-burst.eml", mail(received("mail.receiver.example", "192.0.2.208", at(4, 2, 0)) + [
        authenticated("receiver.example"),
        ("From", "dmarc-reports@receiver.example"),
        ("To", "dmarc@example.com"),
        ("Subject", "Report domain: example.net submitter: dmarc-reports@receiver.example report-id: example.net-1786060800"),
        ("Date", rfc5322(at(4, 2, 0))),
        ("Message-ID", "<example.net-1786060800@receiver.example>"),
        ("MIME-Version", "1.0"),
        ("Content-Type", 'multipart/mixed; boundary="=_only_a_zip"'),
    ], multipart("=_only_a_zip",
                 ([("Content-Type", 'application/zip; name="%s.zip"' % name), ("Content-Transfer-Encoding", "base64"),
                   ("Content-Disposition", 'attachment; filename="%s.zip"' % name)],
                  b64(zipped([(name + ".xml", text.encode())]))))), "stored", [expected])


def bare_xml():
    """A plain file of RFC 7489, every element of it: the one to read first."""
    one = report("Mail Example", "postmaster@mail.example", "2026-08-08.1@mail.example", "example.net", at(5), at(6), [
        own(OWN_1, 9, "example.net"),
        row(SPOOFERS[9], 14, "fail", "fail", "reject", "example.net", "", spf_results=[("spoofer.example", "helo", "fail")]),
        row(LIST_V6, 2, "fail", "fail", "none", "example.net", "lists.example.org",
            reasons=[("sampled_out", None), ("other", "list known since 2011")],
            dkim_results=[("example.net", "mail", "fail"), ("lists.example.org", "list", "pass"),
                          ("spoofer.example", "x", "neutral"), ("other.example", "k1", "temperror")],
            spf_results=[("lists.example.org", "mfrom", "pass")]),
        row("198.51.100.200", 1, "fail", "fail", "reject", "xn--bcher-kva.example.net", "example.net",
            spf_results=[("example.net", "mfrom", "softfail")],
            sent={"header_from": "Bücher.Example.NET", "disposition": "Reject"}),
    ], {"adkim": "s", "aspf": "s", "p": "reject", "sp": "quarantine", "pct": "100", "fo": "1:d:s"}, version="1.0",
        extra_contact_info="https://mail.example/dmarc", errors=["3 messages could not be counted"])
    text, expected = aggregate(one)
    put("aggregate-bare.xml", text.encode(), "stored", [expected])
    # The same report once more, packed: nothing of it may be counted again.
    put("aggregate-duplicate.zip", zipped([("mail.example!example.net!%d!%d.xml" % (at(5), at(6)), text.encode())]), "stored",
        [expected])


def packed_xml():
    """A gzip file without a mail around it; elements in an unusual order."""
    one = report("Post Example", "dmarc@post.example", "post-77120", "example.com", at(1), at(2), [
        own(OWN_2, 27, selector="mail2"), shop(4), news(NEWS_1, 118),
    ], dict(COM), version="1.0")
    text, expected = aggregate(one, identifiers=("header_from", "envelope_from", "envelope_to"), result_first=True)
    put("aggregate-packed.xml.gz", gz(text.encode()), "stored", [expected])


def two_reports():
    """A zip with two reports for two domains, and what a Mac leaves in it."""
    first = report("Isp Example", "abuse@isp.example", "isp-20260805-com", "example.com", at(2), at(3) - 1, [
        own(OWN_1, 33), news(NEWS_2, 240)], dict(COM), version="1.0")
    second = report("Isp Example", "abuse@isp.example", "isp-20260805-org", "example.org", at(2), at(3) - 1, [
        own(OWN_2, 11, "example.org"), spoof(SPOOFERS[6], 3, "none", "example.org")],
        {"p": "none", "sp": "none", "pct": "100"}, version="1.0")
    (one, one_expected), (two, two_expected) = aggregate(first), aggregate(second)
    put("aggregate-two-reports.zip", zipped([
        ("reports/", b""), ("reports/example.com.xml", one.encode()), ("__MACOSX/reports/._example.com.xml", b"\0\5\x16\7\0\2\0\0Mac OS X"),
        ("reports/example.org.xml", two.encode())]), "stored", [one_expected, two_expected])


def rfc9990():
    """RFC 9990 with everything that it added: np, testing, discovery_method, generator, extension, policy_test_mode,
    disposition pass, human_result of SPF, languages."""
    one = report("Sample Reporter", "report_sender@reporter.example", "3v98abbp8ya9n3va8yr8oa3ya", "example.com", at(5), at(6) - 1, [
        own(OWN_1, 123, disposition="pass",
            sent={"extension": '<x:score xmlns:x="https://reporter.example/ns">0.98</x:score>'}),
        row(FORWARDER, 5, "pass", "fail", "pass", envelope_from="example.com", dkim_results=[("example.com", "mail", "pass")],
            spf_results=[("example.com", "mfrom", "fail", "not in the record of example.com")]),
        row(SPOOFERS[7], 31, "fail", "fail", "quarantine", envelope_from="", reasons=[
            ("policy_test_mode", "p=reject was published with t=y"), ("other", "zweite Meinung", "de")]),
    ], {"p": "reject", "sp": "none", "np": "reject", "adkim": "s", "aspf": "r", "fo": "1", "testing": "y",
        "discovery_method": "treewalk"}, version="1.0", namespace="urn:ietf:params:xml:ns:dmarc-2.0",
        generator="Example DMARC Aggregate Reporter v1.2", extra_contact_info="https://reporter.example/dmarc",
        extension='<extension><x:run xmlns:x="https://reporter.example/ns">nightly</x:run></extension>')
    text, expected = aggregate(one, declaration="", root='xmlns="urn:ietf:params:xml:ns:dmarc-2.0"')
    put("aggregate-rfc9990.xml", text.encode(), "stored", [expected])


def unevaluated():
    """AOL's old way: a prefix on the root, windows-1252, and policy_evaluated without dkim and spf. Nobody knows whether
    these messages passed, so they are neither passed nor failed."""
    def unknown(line):
        return dict(line, dkim=None, spf=None)
    one = report("AOL", "abuse_dmarc@abuse.aol.example", "example.com_1786060800", "example.com", at(4), at(5), [
        unknown(own(OWN_1, 52)), unknown(news(NEWS_1, 88)),
        dict(own(OWN_2, 19), spf=None),
    ], {"adkim": "r", "aspf": "r", "p": "quarantine", "pct": "100"}, extra_contact_info="Büro für Beschwerden")
    text, expected = aggregate(one, prefix="ns1:", root='xmlns:ns1="http://dmarc.org/dmarc-xml/0.1"', omit=("scope",),
                               declaration='<?xml version="1.0" encoding="windows-1252"?>')
    expected["namespace"] = "http://dmarc.org/dmarc-xml/0.1"
    put("aggregate-unevaluated.xml.gz", gz(text.encode("windows-1252")), "stored", [expected])


def null_row():
    """A reporter that saw nothing, and says so with a record in which everything is empty (wp.pl, o2.pl)."""
    empty = ("<row><source_ip></source_ip><count>0</count><policy_evaluated><disposition></disposition><dkim></dkim><spf></spf>"
             "</policy_evaluated></row><identifiers><header_from></header_from></identifiers><auth_results></auth_results>")
    one = report("Portal Example", "dmarc@portal.example", "portal-0", "example.org", at(5), at(6), [], {
        "p": "none", "sp": "none", "pct": "100"}, rejected=[(0, empty)])
    text, expected = aggregate(one, declaration="", step=None)
    put("aggregate-null-row.xml", text.encode(), "stored", [expected])


def rejected_row():
    """One record of four has no address, and one a count that is no number: those two are set aside, the others stand."""
    no_address = ("<row><source_ip/><count>6</count><policy_evaluated><disposition>none</disposition><dkim>fail</dkim><spf>fail</spf>"
                  "</policy_evaluated></row><identifiers><header_from>example.com</header_from></identifiers><auth_results/>")
    no_number = ("<row><source_ip>192.0.2.77</source_ip><count>many</count><policy_evaluated><disposition>none</disposition>"
                 "<dkim>fail</dkim><spf>fail</spf></policy_evaluated></row><identifiers><header_from>example.com</header_from>"
                 "</identifiers><auth_results/>")
    one = report("Hoster Example", "dmarcreports@hoster.example", "hoster-5511", "example.com", at(5), at(6), [
        own(OWN_1, 15), spoof(SPOOFERS[8], 2, "quarantine")], dict(COM), version="1.0",
        rejected=[(1, no_address), (3, no_number)])
    text, expected = aggregate(one)
    put("aggregate-rejected-rows.xml", text.encode(), "stored", [expected])


def partial():
    """A zip with one good report and one whose XML stops in the middle: half of it is stored, half is a problem."""
    good = report("Halves Example", "dmarc@halves.example", "halves-1", "example.org", at(6), at(7) - 1, [
        own(OWN_1, 8, "example.org"), own(OWN_V6, 3, "example.org")], {"p": "none"}, version="1.0")
    bad = report("Halves Example", "dmarc@halves.example", "halves-2", "example.com", at(6), at(7) - 1, [
        own(OWN_1, 999), own(OWN_2, 999)], dict(COM), version="1.0")
    text, expected = aggregate(good)
    put("aggregate-half-readable.zip", zipped([("1.xml", text.encode()), ("2.xml", xml(bad).encode()[:-400])]), "partial",
        [expected], problems=["truncated"])


def truncated():
    """Gzip cut off on the way: never half a report, so a problem and no rows."""
    lost = report("Cut Example", "dmarc@cut.example", "cut-1", "example.com", at(3), at(4), [
        own(OWN_1, 10 + i, selector="k%d" % (i * 7919 % 1000)) for i in range(20)], dict(COM), version="1.0")
    packed = gz(xml(lost).encode())
    put("aggregate-truncated.xml.gz", packed[:len(packed) * 3 // 4], "problem", problems=["truncated"])


def encrypted():
    """A zip with a password, which no reporter should send."""
    lost = report("Secret Example", "dmarc@secret.example", "secret-1", "example.com", at(3), at(4), [own(OWN_1, 77)], dict(COM))
    put("aggregate-encrypted.zip", zipped([("report.xml", xml(lost).encode())], b"dmarc"), "problem", problems=["encrypted"])


def forwarded():
    """A report that a colleague forwarded as an attachment: it is a mail within a mail."""
    one = report("Uni Example", "postmaster@uni.example", "uni-2026-216", "example.com", at(1), at(2) - 1, [
        own(OWN_2, 42), row(ALUMNI, 11, "fail", "fail", "none", envelope_from="alumni.example.net",
                            reasons=[("forwarded", "alumni forwarding")],
                            dkim_results=[("example.com", "mail", "fail")],
                            spf_results=[("alumni.example.net", "mfrom", "pass")])], dict(COM), version="1.0")
    text, expected = aggregate(one)
    inner = mail([
        ("From", "postmaster@uni.example"), ("To", "postmaster@example.com"), ("MIME-Version", "1.0"),
        ("Subject", "Report Domain: example.com Submitter: uni.example Report-ID: <uni-2026-216>"),
        ("Date", rfc5322(at(2, 7, 0))), ("Message-ID", "<uni-2026-216@uni.example>"),
        ("Content-Type", "text/xml; name=report.xml"), ("Content-Transfer-Encoding", "quoted-printable"),
    ], text.replace("=", "=3D")).decode()
    put("aggregate-forwarded.eml", mail([
        ("From", "Kim <kim@example.com>"), ("To", "dmarc@example.com"), ("Subject", "Fwd: is this for you?"),
        ("Date", rfc5322(at(2, 8, 30))), ("Message-ID", "<fwd-1@example.com>"), ("MIME-Version", "1.0"),
        ("Content-Type", 'multipart/mixed; boundary="fwd"'),
    ], multipart("fwd", ([("Content-Type", "text/plain; charset=utf-8")], "This came to postmaster. Yours?\n\nKim\n"),
                 ([("Content-Type", "message/rfc822"), ("Content-Disposition", "attachment")], inner))), "stored", [expected])


def mbox():
    """Two mails in one mbox file; in the first a line of the body begins with "From " and is quoted, as it must be."""
    def body(org, number, day, rows):
        one = report(org, "dmarc@%s" % org, "%s-%d" % (org, number), "example.com", at(day), at(day + 1) - 1, rows, dict(COM),
                     version="1.0")
        text, expected = aggregate(one)
        return mail([
            ("Return-Path", "<dmarc@%s>" % org), ("From", "dmarc@" + org), ("To", "dmarc@example.com"),
            ("Subject", "Report Domain: example.com Submitter: %s Report-ID: <%s-%d>" % (org, org, number)),
            ("Date", rfc5322(at(day + 1, 3))), ("Message-ID", "<%s-%d@%s>" % (org, number, org)), ("MIME-Version", "1.0"),
            ("Content-Type", 'multipart/mixed; boundary="b%d"' % number),
        ], multipart("b%d" % number,
                     ([("Content-Type", "text/plain")], ">From the postmaster of %s, with kind regards.\n" % org),
                     ([("Content-Type", "application/gzip; name=report.xml.gz"), ("Content-Transfer-Encoding", "base64")],
                      b64(gz(text.encode()))))), expected
    one, one_expected = body("north.example", 1, 5, [own(OWN_1, 21), news(NEWS_1, 64)])
    two, two_expected = body("south.example", 2, 6, [own(OWN_2, 17), spoof(SPOOFERS[10], 4, "quarantine")])
    put("mailbox.mbox", b"From dmarc@north.example Sun Aug  9 03:00:00 2026\n" + one + b"\n"
        b"From dmarc@south.example Mon Aug 10 03:00:00 2026\n" + two, ["stored", "stored"], [one_expected, two_expected])


ALL = (google, fastmail, microsoft, gmx, yahoo, amazon_ses, mimecast, spoofing_burst, bare_xml, packed_xml,
       two_reports, rfc9990, unevaluated, null_row, rejected_row, partial, truncated, encrypted, forwarded, mbox)
