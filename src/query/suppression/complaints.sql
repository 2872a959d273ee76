-- Complaints that name one address and have not led to a suppression: they wait for a person, or are not of a kind that
-- does.
SELECT CASE p.decision WHEN 'pending' THEN 'pending' ELSE 'ignored' END AS kind, coalesce(p.scope, f.value, '') AS scope,
       c.arrived_at AS at, NULL AS until_at, c.feedback_type AS reason, p.decision_reason, NULL AS author,
       c.id AS complaint, NULL AS bounce, c.provider, c.trusted, c.trust_reason, m.origin, c.about_us, c.incidents,
       s.ip AS source_ip, f.value AS header_from, c.message_id, c.subject, c.user_agent, p.via AS recipient_via,
       p.status AS recipient_status, p.spelled AS recipient_spelled, NULL AS diagnostic, NULL AS remote_mta,
       NULL AS reporting_mta, c.fields, m.id AS message, m.sha256, m.seen_at, m.auth, m.auth_domain,
       (SELECT json_group_array('imap://' || b.account || '/' || b.folder || ';uidvalidity=' || b.uid_validity || ';uid=' || l.uid)
        FROM place l JOIN mailbox b ON b.id = l.mailbox WHERE l.message = m.id) AS places
FROM complaint_recipient p CROSS JOIN complaint c ON c.id = p.complaint CROSS JOIN v_message m ON m.id = c.message
LEFT JOIN address s ON s.id = c.source
LEFT JOIN text f ON f.id = c.header_from
WHERE p.folded = :folded AND p.decision <> 'suppress' AND NOT EXISTS (SELECT 1 FROM suppression_event e WHERE e.complaint = c.id AND e.folded = :folded)
ORDER BY c.arrived_at, c.id
