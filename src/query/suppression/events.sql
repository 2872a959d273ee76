-- What speaks for or against mailing one address, in order, with the complaint or bounce and the message each rests on.
SELECT e.kind, e.scope, e.at, e.until_at, e.reason, NULL AS decision_reason, e.author, e.complaint, e.bounce,
       coalesce(c.provider, n.provider) AS provider, coalesce(c.trusted, q.trusted) AS trusted,
       coalesce(c.trust_reason, q.trust_reason) AS trust_reason, m.origin, coalesce(c.about_us, n.about_us) AS about_us,
       c.incidents, s.ip AS source_ip, f.value AS header_from, coalesce(c.message_id, n.message_id) AS message_id,
       coalesce(c.subject, n.subject) AS subject, c.user_agent, coalesce(p.via, q.via) AS recipient_via,
       coalesce(p.status, q.status) AS recipient_status, coalesce(p.spelled, q.spelled) AS recipient_spelled,
       q.diagnostic, q.remote_mta, n.reporting_mta, coalesce(c.fields, q.fields) AS fields,
       m.id AS message, m.sha256, m.seen_at, m.auth, m.auth_domain,
       (SELECT json_group_array('imap://' || b.account || '/' || b.folder || ';uidvalidity=' || b.uid_validity || ';uid=' || l.uid)
        FROM place l JOIN mailbox b ON b.id = l.mailbox WHERE l.message = m.id) AS places
FROM suppression_event e
LEFT JOIN complaint c ON c.id = e.complaint
LEFT JOIN complaint_recipient p ON p.complaint = e.complaint
     AND p.ordinal = (SELECT min(o.ordinal) FROM complaint_recipient o WHERE o.complaint = e.complaint AND o.folded = e.folded)
LEFT JOIN bounce n ON n.id = e.bounce
LEFT JOIN bounce_recipient q ON q.bounce = e.bounce
     AND q.ordinal = (SELECT min(o.ordinal) FROM bounce_recipient o WHERE o.bounce = e.bounce AND o.folded = e.folded)
LEFT JOIN address s ON s.id = coalesce(c.source, q.source)
LEFT JOIN text f ON f.id = coalesce(c.header_from, n.header_from)
LEFT JOIN v_message m ON m.id = coalesce(c.message, n.message)
WHERE e.folded = :folded
ORDER BY e.at, e.id
