"""The failure report and the complaints: one function for each file."""

from shapes import (NEWS_1, NEWS_2, OWN_1, OWN_V6, SPOOFERS, at, authenticated, fields, mail, multipart, news, own,
                    put, received, report, rfc5322)


def feedback(name, head, human, machine, original, outcome="stored", original_type="message/rfc822", boundary="arf", **expected):
    """A feedback report (RFC 5965): text, fields, and the original or its header."""
    body = multipart(boundary,
                     ([("Content-Type", "text/plain; charset=us-ascii")], human),
                     ([("Content-Type", "message/feedback-report")], "".join("%s: %s\n" % pair for pair in machine)),
                     ([("Content-Type", original_type)], original))
    put(name, mail(head + [("MIME-Version", "1.0"), ("Content-Type",
                           'multipart/report; report-type=feedback-report;\n\tboundary="%s"' % boundary)], body), outcome, **expected)


def letter(number, to, seconds, first=(), last=()):
    """Our newsletter as it came back to us: its header and a line of its body."""
    return fields(list(first) + [
        ("DKIM-Signature", "v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.com; s=news;\n\th=from:to:subject:date; bh=x; b=x"),
        ("From", "Example News <news@example.com>")] + ([("To", to)] if to else []) + [
        ("Subject", "August offers"),
        ("Date", rfc5322(seconds)),
        ("Message-ID", "<issue-31.%d@mailer.example>" % number),
        ("List-Id", "Example News <news.example.com>"),
        ("List-Unsubscribe", "<https://example.com/u/%d>" % number)] + list(last)) + "\nHello, these are our offers.\n"


def failure_report():
    """A DMARC failure report (RFC 6591, RFC 9991): about one forged mail, and never a complaint."""
    feedback("failure-dmarc.eml", received("mail.receiver.example", "192.0.2.208", at(3, 14, 5)) + [
        authenticated("receiver.example"),
        ("From", '"Receiver Example" <dmarc-reports@receiver.example>'),
        ("To", "dmarc-failures@example.com"),
        ("Subject", "FW: Invoice 4711"),
        ("Date", rfc5322(at(3, 14, 5))),
        ("Message-ID", "<ruf-4711@receiver.example>"),
    ], "A message claiming to be from example.com failed DMARC.\n", [
        ("Feedback-Type", "auth-failure"), ("User-Agent", "ReceiverMTA/4.2"), ("Version", "1"), ("Auth-Failure", "dmarc"),
        ("Identity-Alignment", "none"), ("Delivery-Result", "reject"), ("Original-Mail-From", "<bulk@spoofer.example>"),
        ("Original-Rcpt-To", "<jan@receiver.example>"), ("Arrival-Date", rfc5322(at(3, 14, 4))), ("Source-IP", SPOOFERS[0]),
        ("Reported-Domain", "example.com"),
        ("Authentication-Results", "mail.receiver.example; dmarc=fail (p=quarantine)\n header.from=example.com; spf=none"
                                   "\n smtp.mailfrom=spoofer.example"),
    ], fields([("From", "Accounts <accounts@example.com>"), ("To", "jan@receiver.example"), ("Subject", "Invoice 4711"),
               ("Date", rfc5322(at(3, 14, 3))), ("Message-ID", "<4711@spoofer.example>")]),
        original_type="text/rfc822-headers", reports=[{
            "kind": "failure", "org_name": "Receiver Example", "org_email": "dmarc-reports@receiver.example",
            "report_id": "ruf-4711@receiver.example", "domain": "example.com", "begin_at": at(3, 14, 4), "end_at": at(3, 14, 4),
            "failure": {"auth_failure": ["dmarc"], "identity_alignment": "none", "delivery_result": "reject",
                        "source_ip": SPOOFERS[0], "original_mail_from": "bulk@spoofer.example", "header_from": "example.com",
                        "message_id": "4711@spoofer.example", "subject": "Invoice 4711"}}])


def complaint(feedback_type, provider, recipients, source_ip, message_id, trusted, **more):
    return dict({"feedback_type": feedback_type, "provider": provider, "recipients": recipients, "source_ip": source_ip,
                 "header_from": "example.com", "message_id": message_id, "trusted": trusted}, **more)


def ok(address):
    return {"address": address, "status": "ok"}


def complaint_yahoo():
    """Yahoo's feedback loop: the address in clear, version 0.1, Received-Date, and no Source-IP (it is in
    X-Originating-IP of the original). It arrives on the day that Yahoo's aggregate report is about."""
    feedback("complaint-yahoo.eml", received("arf.mail.bf1.yahoo.com", "192.0.2.205", at(2, 9, 31)) + [
        authenticated("arf.mail.yahoo.com"),
        ("Date", rfc5322(at(2, 9, 30))),
        ("From", "Yahoo! Mail AntiSpam Feedback <feedback@arf.mail.yahoo.com>"),
        ("To", "fbl@example.com"),
        ("Message-ID", "<1786094400.1001@arf.mail.yahoo.com>"),
        ("Subject", "FW: August offers"),
        ("X-Yahoo-Newman-Property", "cfl"),
    ], "This is an email abuse report for an email message from example.com on Wed, 5 Aug 2026.\n", [
        ("Feedback-Type", "abuse"), ("User-Agent", "Yahoo!-Mail-Feedback/2.0"), ("Version", "0.1"),
        ("Original-Mail-From", "<b-1001@bounce.mailer.example>"), ("Original-Rcpt-To", "nora@people.example"),
        ("Received-Date", "Wed, 5 Aug 2026 01:12:00 PST"), ("Reported-Domain", "example.com"),
        ("Authentication-Results", "authentication result string is not available"),
    ], letter(1001, "nora@people.example", at(2, 9, 11), [
        ("X-Apparently-To", "nora@people.example; Wed, 05 Aug 2026 09:12:00 +0000"),
        ("Return-Path", "<b-1001@bounce.mailer.example>"), ("X-Originating-IP", "[%s]" % NEWS_1)]),
        complaints=[complaint("abuse", "yahoo", [ok("nora@people.example")], NEWS_1, "issue-31.1001@mailer.example", 1,
                              arrived_at=at(2, 9, 12))])


def complaint_microsoft_legacy():
    """Microsoft's JMRP until 2026: no feedback part at all, only the original with the person in
    X-HmXmrOriginalRecipient; the address of the sender in the Subject, after two blanks."""
    original = letter(1002, "per@mailbox.example", at(2, 16, 0), [
        ("X-HmXmrOriginalRecipient", "per@mailbox.example"),
        ("X-Reporter-IP", "192.0.2.222"),
        ("Authentication-Results", "hotmail.com; spf=pass (sender IP is %s; identity alignment result is pass and\n"
                                   " alignment mode is relaxed) smtp.mailfrom=b-1002@bounce.mailer.example;\n"
                                   " dkim=pass header.d=example.com; x-hmca=pass" % NEWS_1)])
    put("complaint-microsoft-legacy.eml", mail(received("bay004-omc4s15.hotmail.com", "192.0.2.203", at(2, 18, 1)) + [
        authenticated("hotmail.com"),
        ("From", "<staff@hotmail.com>"),
        ("Subject", "complaint about message from  %s" % NEWS_1),
        ("To", "fbl@example.com"),
        ("Date", rfc5322(at(2, 18, 0))),
        ("Message-ID", "<jmrp-1002@hotmail.com>"),
        ("MIME-Version", "1.0"),
        ("Content-Type", 'multipart/mixed; boundary="jmrp-1002"'),
    ], multipart("jmrp-1002", ([("Content-Type", "message/rfc822"), ("Content-Disposition", "inline")], original))),
        "stored", complaints=[complaint("abuse", "microsoft", [ok("per@mailbox.example")], NEWS_1,
                                        "issue-31.1002@mailer.example", 1)])


def complaint_microsoft_2026():
    """Microsoft's JMRP since June 2026: three fields, the original's header only, and nobody named. A complaint, but
    nobody to suppress."""
    original = fields([
        ("Authentication-Results", "spf=pass (sender IP is %s)\n smtp.mailfrom=bounce.mailer.example; dkim=pass (signature was\n"
                                   " verified) header.d=example.com;dmarc=pass action=none header.from=example.com;" % NEWS_2),
        ("Received-SPF", "Pass (protection.outlook.com: domain of bounce.mailer.example\n designates %s as permitted sender)\n"
                         " receiver=protection.outlook.com; client-ip=%s;\n helo=out2.mailer.example;" % (NEWS_2, NEWS_2)),
        ("DKIM-Signature", "v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.com; s=news;\n\th=from:to:subject:date; bh=x; b=x"),
        ("From", "Example News <news@example.com>"), ("Subject", "August offers"), ("Date", rfc5322(at(3, 7, 0))),
        ("Message-ID", "<issue-31.1003@mailer.example>"), ("List-Unsubscribe", "<https://example.com/u/1003>"),
        ("Feedback-ID", "issue31:news:mailer")])
    feedback("complaint-microsoft-2026.eml", received("mail-dm3nam02.outbound.protection.outlook.com", "192.0.2.203", at(3, 8, 1)) + [
        authenticated("hotmail.com"),
        ("From", "<staff@hotmail.com>"),
        ("Subject", "complaint about message from %s" % NEWS_2),
        ("To", "fbl@example.com"),
        ("Date", rfc5322(at(3, 8, 0))),
        ("Message-ID", "<jmrp-1003@hotmail.com>"),
    ], "This is an email abuse report.\n", [("Feedback-Type", "abuse"), ("User-Agent", "JMRP/1.0"), ("Version", "1")],
        original, original_type="text/rfc822-headers", complaints=[
            complaint("abuse", "microsoft", [], NEWS_2, "issue-31.1003@mailer.example", 1)])


def complaint_validity():
    """Validity's universal feedback loop, here for Comcast: a hash in place of the person. Nothing to suppress without
    a list to match it against."""
    feedback("complaint-validity.eml", received("mrd.us-east-1a.returnpath.net", "192.0.2.210", at(4, 12, 41)) + [
        authenticated("comcastfbl.senderscore.net"),
        ("Date", rfc5322(at(4, 12, 40))),
        ("X-Rp-Fbl", "type=arf; subscriptionID=1004"),
        ("To", "fbl@example.com"),
        ("Subject", "Comcast Abuse Report"),
        ("From", "Comcast FBL Service <feedbackloop@comcastfbl.senderscore.net>"),
        ("Message-ID", "<1004.fbl@bounce.mailstream.senderscore.net>"),
    ], "This is a Comcast Abuse Report for an email message received from domain example.com.\n", [
        ("Source-Ip", NEWS_2), ("User-Agent", "ReturnPathFBL/2.0"),
        ("Original-Rcpt-To", "cb4a3f1e9d0b7c62a5e8f1d4b7093c6a@comcast.net"), ("Reported-Domain", "example.com"),
        ("Original-Mail-From", "b-1004@bounce.mailer.example"), ("Source", "Comcast"), ("Abuse-Type", "complaint"),
        ("Subscription-Link", "https://fbl.returnpath.net/manage/subscriptions/1004"), ("Feedback-Type", "abuse"),
        ("Version", "1"), ("Arrival-Date", rfc5322(at(4, 12, 2))),
    ], letter(1004, "<<cb4a3f1e9d0b7c62a5e8f1d4b7093c6a>>@comcast.net", at(4, 12, 0)), complaints=[
        complaint("abuse", "validity", [{"status": "hashed"}], NEWS_2, "issue-31.1004@mailer.example", 1,
                  provider_source="Comcast", arrived_at=at(4, 12, 2))])


def provider_head(number, seconds, subject="FW: August offers"):
    return received("out.fbl.provider.example", "192.0.2.211", seconds) + [
        authenticated("fbl.provider.example"),
        ("From", "Provider Feedback Loop <arf@fbl.provider.example>"),
        ("To", "fbl@example.com"),
        ("Subject", subject),
        ("Date", rfc5322(seconds)),
        ("Message-ID", "<%d@fbl.provider.example>" % number),
    ]


def complaint_plain():
    """A feedback report by the book (RFC 5965), about a mail to two people, signed by a provider that the configuration
    names under feedback_senders."""
    feedback("complaint-arf.eml", provider_head(1005, at(5, 6, 20)),
             "This is an email abuse report for an email message received from IP %s.\n" % OWN_V6, [
                 ("Feedback-Type", "abuse"), ("User-Agent", "ProviderLoop/1.0"), ("Version", "1"),
                 ("Original-Mail-From", "<news@example.com>"), ("Original-Rcpt-To", "<Lea.Maier@Provider.Example>"),
                 ("Original-Rcpt-To", "<ole@provider.example>"), ("Arrival-Date", rfc5322(at(5, 6, 0))),
                 ("Reporting-MTA", "dns; mx.provider.example"), ("Source-IP", "IPv6:" + OWN_V6), ("Reported-Domain", "example.com"),
                 ("Reported-URI", "https://example.com/offers"),
             ], letter(1005, "lea.maier@provider.example, ole@provider.example", at(5, 5, 59)), complaints=[
                 complaint("abuse", None, [ok("Lea.Maier@provider.example"), ok("ole@provider.example")], OWN_V6,
                           "issue-31.1005@mailer.example", 1, original_mail_from="news@example.com", arrived_at=at(5, 6, 0))])


def complaint_forged():
    """Somebody who wants another person off our list. Our own server saw that nothing authenticates; the header that
    says otherwise is not by our server. It stays pending, and its address is not exported."""
    feedback("complaint-forged.eml", received("dialup.spoofer.example", SPOOFERS[20], at(5, 11, 1)) + [
        ("Authentication-Results", "mx.example.com;\n\tdkim=none;\n\tspf=softfail smtp.mailfrom=arf.mail.yahoo.com;\n"
                                   "\tdmarc=fail header.from=arf.mail.yahoo.com"),
        ("Authentication-Results", "mx.yahoo.example; dkim=pass header.d=arf.mail.yahoo.com; dmarc=pass\n"
                                   "\theader.from=arf.mail.yahoo.com"),
        ("Date", rfc5322(at(5, 11, 0))),
        ("From", "Yahoo! Mail AntiSpam Feedback <feedback@arf.mail.yahoo.com>"),
        ("To", "fbl@example.com"),
        ("Message-ID", "<forged-1006@arf.mail.yahoo.com>"),
        ("Subject", "FW: August offers"),
    ], "This is an email abuse report.\n", [
        ("Feedback-Type", "abuse"), ("User-Agent", "Yahoo!-Mail-Feedback/2.0"), ("Version", "1"),
        ("Original-Rcpt-To", "<best.customer@people.example>"), ("Arrival-Date", rfc5322(at(5, 10, 59))), ("Source-IP", NEWS_1),
        ("Reported-Domain", "example.com"),
    ], letter(1006, "best.customer@people.example", at(5, 10, 58)), complaints=[
        complaint("abuse", "yahoo", [ok("best.customer@people.example")], NEWS_1, "issue-31.1006@mailer.example", 0,
                  arrived_at=at(5, 10, 59))])


def complaint_not_spam():
    """The opposite of a complaint (RFC 6430): somebody took our mail out of the spam folder. Suppresses nobody."""
    feedback("complaint-not-spam.eml", provider_head(1007, at(5, 19, 0)), "This message was marked as not spam.\n", [
        ("Feedback-Type", "not-spam"), ("User-Agent", "ProviderLoop/1.0"), ("Version", "1"),
        ("Original-Mail-From", "<news@example.com>"), ("Original-Rcpt-To", "<ida@provider.example>"),
        ("Arrival-Date", rfc5322(at(5, 18, 50))), ("Source-IP", OWN_1),
    ], letter(1007, "ida@provider.example", at(5, 18, 49)), complaints=[
        complaint("not-spam", None, [ok("ida@provider.example")], OWN_1, "issue-31.1007@mailer.example", 1,
                  arrived_at=at(5, 18, 50))])


def complaint_opt_out():
    """A wish to be taken off the list, in the words of the drafts before RFC 5965."""
    feedback("complaint-opt-out.eml", provider_head(1008, at(6, 8, 15)), "This person does not want these messages.\n", [
        ("Feedback-Type", "opt-out"), ("User-Agent", "ProviderLoop/1.0"), ("Version", "1"),
        ("Original-Mail-From", "<b-1008@bounce.mailer.example>"), ("Original-Rcpt-To", "<uwe+news@provider.example>"),
        ("Arrival-Date", rfc5322(at(6, 8, 10))), ("Source-IP", NEWS_1), ("Removal-Recipient", "<uwe+news@provider.example>"),
    ], letter(1008, "uwe+news@provider.example", at(6, 8, 9)), complaints=[
        complaint("opt-out", None, [ok("uwe+news@provider.example")], NEWS_1, "issue-31.1008@mailer.example", 1,
                  arrived_at=at(6, 8, 10))])


ALL = (failure_report, complaint_yahoo, complaint_microsoft_legacy, complaint_microsoft_2026, complaint_validity,
       complaint_plain, complaint_forged, complaint_not_spam, complaint_opt_out)
