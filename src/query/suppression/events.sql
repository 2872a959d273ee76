-- What speaks for or against mailing one address, in order, with the complaint and the message each rests on.
SELECT e.kind, e.scope, e.at, e.until_at, e.reason, e.author, e.complaint, c.provider, c.trusted, c.trust_reason, m.origin,
       c.about_us, c.incidents, s.ip AS source_ip, f.value AS header_from, c.message_id, c.subject, c.user_agent,
       p.via AS recipient_via, p.status AS recipient_status, p.spelled AS recipient_spelled, c.fields,
       m.id AS message, m.sha256, m.seen_at, m.auth, m.auth_domain,
       (SELECT json_group_array('imap://' || b.account || '/' || b.folder || ';uidvalidity=' || b.uid_validity || ';uid=' || l.uid)
        FROM place l JOIN mailbox b ON b.id = l.mailbox WHERE l.message = m.id) AS places
FROM suppression_event e
LEFT JOIN complaint c ON c.id = e.complaint
LEFT JOIN address s ON s.id = c.source
LEFT JOIN text f ON f.id = c.header_from
LEFT JOIN complaint_recipient p ON p.complaint = e.complaint
     AND p.ordinal = (SELECT min(q.ordinal) FROM complaint_recipient q WHERE q.complaint = e.complaint AND q.folded = e.folded)
LEFT JOIN v_message m ON m.id = c.message
WHERE e.folded = :folded
ORDER BY e.at, e.id
