-- A small database whose every count can be checked by hand. The week is 2026-11-14 to 2026-11-21, UTC.
INSERT INTO text (id, value) VALUES
  (1, 'google.com'), (2, 'Outlook'), (3, 'noreply-dmarc-support@google.com'), (4, 'example.com'), (5, 'example.org'),
  (6, 'news.example.com'), (7, 'other.test'), (8, 's1'), (9, ''), (10, 'bounces.example.com'), (11, 'mail.example.com'),
  (12, 'arc=pass'), (13, 'key not found'),
  -- A reporter that tries to write to the clipboard, turn the line round, and start a formula.
  (20, '=cmd|calc' || char(27) || ']52;c;aGk=' || char(7) || char(155) || '2J' || char(8238) || 'txt' || char(10) || '<b>'),
  (21, '日本語のとても長い組織名です、表の列よりも長いはずです、きっと');
INSERT INTO address (id, ip) VALUES (1, '192.0.2.10'), (2, '198.51.100.7'), (3, '2001:db8::25'), (4, '203.0.113.9');

INSERT INTO message (id, sha256, origin, seen_at, bytes, outcome, reason, subject, auth, auth_domain) VALUES
  (1, x'0101010101010101010101010101010101010101010101010101010101010101', 'imap://reports/INBOX;uidvalidity=1;uid=1', 1794970000, 2100, 'stored', NULL, 'Report domain: example.com', 'pass', 'google.com'),
  (2, x'0202020202020202020202020202020202020202020202020202020202020202', 'imap://reports/INBOX;uidvalidity=1;uid=2', 1795140000, 1900, 'stored', NULL, NULL, NULL, NULL),
  (3, x'0303030303030303030303030303030303030303030303030303030303030303', '/mail/outlook.zip', 1795141000, 900, 'partial', '1 of 2 parts could not be read', NULL, NULL, NULL),
  (4, x'0404040404040404040404040404040404040404040404040404040404040404', '/mail/again.eml', 1795142000, 2100, 'duplicate', 'all it holds is known', NULL, NULL, NULL),
  (5, x'0505050505050505050505050505050505050505050505050505050505050505', '/mail/hello' || char(27) || '[2J.eml', 1795143000, 300, 'not_a_report', 'no report in it', NULL, NULL, NULL),
  (6, x'0606060606060606060606060606060606060606060606060606060606060606', '/mail/cut.xml.gz', 1795144000, 77, 'problem', 'byte 77: ends before its end', NULL, NULL, NULL),
  (7, x'0707070707070707070707070707070707070707070707070707070707070707', '/mail/complaints.mbox', 1795180000, 5000, 'stored', NULL, NULL, NULL, NULL);

INSERT INTO problem (id, message, part, code, reason, declared_type, found_type, file_name, bytes, head, seen_at, solved_at) VALUES
  (1, 6, '', 'truncated', 'byte 77: ends before its end', 'application/gzip', 'gzip', 'cut.xml.gz', 77,
   CAST('<?xml version="1.0"?>' || char(10) || '<feedback>' || char(27) || ']0;owned' || char(7) || char(10) || '  <report_meta' || CAST(x'ff00' AS TEXT) AS BLOB), 1795144000, NULL),
  (2, 3, '2/note.txt', 'encrypted', 'member `note.txt` is encrypted', NULL, 'zip', NULL, 40, x'504b0304', 1795141000, 1795150000);

INSERT INTO aggregate (id, digest, version, p, sp, adkim, aspf, pct) VALUES
  (1, x'01', '1.0', 'reject', 'none', 'r', 'r', 100), (2, x'02', NULL, 'none', NULL, NULL, NULL, NULL),
  (3, x'03', '1.0', 'quarantine', 'none', 'r', 'r', 50), (4, x'04', NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO report (id, kind, message, part, org_name, org_email, report_id, domain, begin_at, end_at, identity, content_hash, verification, conflict_with, records_seen, records, messages, aggregate) VALUES
  (1, 'aggregate', 1, '1/google.xml', 1, 3, '1001', 4, 1794873600, 1794959999, x'01', x'01', 'verified', NULL, 5, 4, 1021, 1),
  (2, 'aggregate', 2, '1/google.xml', 1, 3, '1002', 4, 1795046400, 1795132799, x'02', x'02', 'verified', NULL, 2, 2, 240, 1),
  (3, 'aggregate', 3, '1/outlook.xml', 2, NULL, 'abc', 5, 1795046400, 1795132800, x'03', x'03', 'unverified', NULL, 1, 1, 5, 2),
  (4, 'aggregate', 2, '2/google.xml', 1, 3, '1001', 4, 1794873600, 1794959999, x'01', x'04', 'foreign', 1, 1, 1, 999, 1),
  (5, 'aggregate', 1, '2/google.xml', 1, 3, '0990', 4, 1794268800, 1794355199, x'05', x'05', 'verified', NULL, 2, 2, 500, 3),
  (6, 'aggregate', 3, '3/future.xml', 20, 21, '-2100', 7, 4102358400, 4102444800, x'06', x'06', 'unverified', NULL, 0, 0, 0, 4),
  (7, 'tls', 2, '3/tls.json', 1, 3, 'tls-1', 4, 1795046400, 1795132799, x'07', x'07', 'unverified', NULL, 0, 0, 0, NULL);
INSERT INTO warning (id, report, complaint, code, place, text, times) VALUES
  (1, 1, NULL, 'bad-ip', 'record[4]/row/source_ip', '`x.x.x.x` is no address', 1),
  (2, 3, NULL, 'result-absent', 'record[0]/row/policy_evaluated/dkim', 'absent; taken as unknown', 1),
  (3, 2, NULL, 'enum-case', 'record[0]/row/policy_evaluated/dkim', '`Pass` taken as pass', 2);
INSERT INTO rejected_record (report, ordinal, code, reason, content) VALUES (1, 4, 'bad-ip', '`x.x.x.x` is no address', '{"source_ip":"x.x.x.x"}');

INSERT INTO dkim_set (id, digest) VALUES (1, x'01'), (2, x'02'), (3, x'03');
INSERT INTO spf_set (id, digest) VALUES (1, x'01'), (2, x'02'), (3, x'03');
INSERT INTO dkim_result (dkim_set, ordinal, domain, selector, result, human_result) VALUES
  (1, 0, 4, 8, 'pass', NULL), (1, 1, 7, NULL, 'fail', 13), (2, 0, 4, 8, 'fail', 13);
INSERT INTO spf_result (spf_set, ordinal, domain, scope, result) VALUES (1, 0, 10, 'mfrom', 'pass'), (2, 0, 7, 'mfrom', 'softfail'), (3, 0, 5, 'helo', 'none');
INSERT INTO reason_set (id, digest) VALUES (1, x'01');
INSERT INTO reason (reason_set, ordinal, type, comment) VALUES (1, 0, 'forwarded', NULL), (1, 1, 'local_policy', 12);
INSERT INTO record (report, ordinal, source, messages, disposition, dkim, spf, header_from, envelope_from, envelope_to, dkim_set, spf_set, reason_set) VALUES
  (1, 0, 1, 1000, 0, 1, 1, 4, 10, NULL, 1, 1, NULL),
  (1, 1, 2, 12, 1, 0, 0, 4, 7, NULL, 2, 2, NULL),
  (1, 2, 2, 8, 2, 0, 0, 6, 9, NULL, 2, 2, NULL),
  (1, 3, 3, 1, 0, 0, 1, 4, NULL, NULL, 3, 3, 1),
  (2, 0, 1, 200, 0, 1, 1, 4, 10, NULL, 1, 1, NULL),
  (2, 1, 1, 40, 0, 1, 0, 6, 10, 5, 1, 1, NULL),
  (3, 0, 3, 5, NULL, NULL, 0, 5, NULL, NULL, 3, 3, NULL),
  (4, 0, 1, 999, 0, 1, 1, 4, 10, NULL, 1, 1, NULL),
  (5, 0, 1, 400, 0, 1, 1, 4, 10, NULL, 1, 1, NULL),
  (5, 1, 2, 100, 1, 0, 0, 4, 7, NULL, 2, 2, NULL);

INSERT INTO tls_policy (report, ordinal, policy_type, policy_domain, policy_string, mx_host, successful_sessions, failed_sessions) VALUES
  (7, 0, 'sts', 4, '["version: STSv1"]', '["mx.example.com"]', 5000, 12), (7, 1, 'tlsa', 5, '[]', '[]', 30, 0);
INSERT INTO tls_failure (report, policy, ordinal, result_type, sending_mta_ip, receiving_mx_hostname, failed_sessions) VALUES
  (7, 0, 0, 'certificate-expired', '198.51.100.7', 'mx1.example.com', 7), (7, 0, 1, 'certificate-expired', '198.51.100.8', 'mx1.example.com', 3),
  (7, 0, 2, 'starttls-not-supported', NULL, 'mx2.example.com', 2);

INSERT INTO complaint (id, message, identity, feedback_type, provider, user_agent, arrived_at, source, incidents, original_mail_from,
                       reported_domains, reported_uris, authentication_results, header_from, message_id, subject, dkim_signatures,
                       tokens, fields, trusted, trust_reason, about_us) VALUES
  (1, 7, x'01', 'abuse', 'yahoo', 'Yahoo!-Mail-Feedback/2.0', 1794909600, 1, 3, 'bounce@example.com', '[]', '[]', '[]', 4, 'm1@example.com', 'Offer', '[["example.com","s1"]]', '[]', '[]', 1, 'passes DKIM as arf.mail.yahoo.com', 1),
  (2, 7, x'02', 'abuse', NULL, NULL, 1795050000, 4, 1, NULL, '["example.com"]', '[]', '[]', 6, NULL, NULL, '[]', '[]', '[]', 0, 'no trusted Authentication-Results', 1),
  (3, 7, x'03', 'fraud', 'microsoft', NULL, 1795003200, NULL, 2, NULL, '[]', '[]', '[]', 7, NULL, NULL, '[]', '[]', '[]', 1, 'passes DKIM as hotmail.com', 0),
  (4, 7, x'04', 'not-spam', 'yahoo', NULL, 1795003300, 1, 5, NULL, '[]', '[]', '[]', 4, NULL, NULL, '[]', '[]', '[]', 1, 'passes DKIM as arf.mail.yahoo.com', 1),
  (5, 7, x'05', 'abuse', 'yahoo', NULL, 1794100000, 1, 1, NULL, '[]', '[]', '[]', 4, NULL, NULL, '[]', '[]', '[]', 1, 'passes DKIM as arf.mail.yahoo.com', 1);
INSERT INTO warning (id, report, complaint, code, place, text, times) VALUES (4, NULL, 2, 'version', 'Version', '`0.1` taken as 1', 1);
INSERT INTO complaint_recipient (complaint, ordinal, address, folded, status, via, spelled) VALUES
  (1, 0, 'Alice@customer.example', 'alice@customer.example', 'ok', 'original_rcpt_to', '<Alice@customer.example>'),
  (2, 0, 'bob@customer.example', 'bob@customer.example', 'ok', 'original_rcpt_to', 'bob@customer.example'),
  (3, 0, NULL, NULL, 'redacted', 'original_rcpt_to', 'redacted@hotmail.com'),
  (4, 0, 'carol@customer.example', 'carol@customer.example', 'ok', 'original_rcpt_to', 'carol@customer.example'),
  (5, 0, 'erin@customer.example', 'erin@customer.example', 'ok', 'original_rcpt_to', 'erin@customer.example');

UPDATE complaint_recipient SET scope = CASE complaint WHEN 2 THEN 'news.example.com' END,
  decision = CASE complaint WHEN 2 THEN 'pending' WHEN 1 THEN 'suppress' WHEN 5 THEN 'suppress' ELSE 'never' END,
  decision_reason = CASE complaint WHEN 2 THEN 'not known to come from a feedback loop' WHEN 3 THEN 'names no usable address' WHEN 4 THEN 'says that the mail is wanted' END;

INSERT INTO suppression_event (id, folded, address, scope, kind, at, until_at, reason, author, complaint) VALUES
  (1, 'erin@customer.example', 'erin@customer.example', '', 'complaint', 1794100000, NULL, 'abuse', NULL, 5),
  (2, 'alice@customer.example', 'Alice@customer.example', '', 'complaint', 1794909600, NULL, 'abuse', NULL, 1),
  (3, 'erin@customer.example', 'erin@customer.example', '', 'lift', 1794950000, NULL, 'asked to get it again', 'mia', NULL),
  (4, '+dave@customer.example', '+dave@customer.example', 'news.example.com', 'add', 1795000000, NULL, '=1+1 by phone', 'mia', NULL),
  (5, 'frank@customer.example', 'frank@customer.example', '', 'add', 1700000000, 1700086400, 'for a day', 'mia', NULL);

INSERT INTO bounce (id, message, identity, reporting_mta, arrived_at, told_at, header_from, message_id, dkim_signatures, tokens, fields, about_us) VALUES
  (1, 7, x'11', 'mx.example.com', 1794990000, 1795000000, 4, 'm7@example.com', '[]', '[]', '[]', 1),
  (2, 7, x'12', 'mx.example.com', NULL, 1795010000, 6, 'm8@news.example.com', '[]', '[]', '[]', 1);
INSERT INTO bounce_recipient (bounce, ordinal, address, folded, status, via, reported, reported_via, spelled, final_recipient, action, code, class,
                              diagnostic, remote_mta, source, at, trusted, trust_reason, decision, decision_reason, fields) VALUES
  (1, 0, 'gina@customer.example', 'gina@customer.example', 'ok', 'original-recipient', 'gina@customer.example', 'original-recipient',
   'gina@customer.example', 'gina@store.customer.example', 'failed', '5.2.2', 'soft', '552 5.2.2 mailbox full', 'mx.customer.example', NULL,
   1794999000, 1, 'written by your own server', 'never', 'may pass; counts with others like it', '[]'),
  (2, 0, 'hank@isp.example', 'hank@isp.example', 'ok', 'final-recipient', 'hank@isp.example', 'final-recipient', 'hank@isp.example',
   'hank@isp.example', 'failed', '5.7.1', 'policy', '550 5.7.1 [192.0.2.10] blocked '||char(27)||'[31m', 'mx.isp.example', 1,
   1795010000, 1, 'written by your own server', 'never', 'refused for our reputation or authentication, not for the person', '[]');
INSERT INTO trust_event (id, sender, kind, unauthenticated, at, author, reason) VALUES
  (1, 'fbl.isp.example', 'add', 0, 1794000000, 'mia', 'their loop'), (2, 'old.example', 'add', 0, 1794000000, 'mia', NULL),
  (3, 'old.example', 'remove', 0, 1794100000, 'mia', 'gone');
