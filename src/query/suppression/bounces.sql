-- Bounces that name one address and have not led to a suppression by themselves.
SELECT CASE p.decision WHEN 'pending' THEN 'pending' ELSE 'ignored' END AS kind, coalesce(p.scope, f.value, '') AS scope, p.at,
       NULL AS until_at, p.class || coalesce(' ' || p.code, '') AS reason, p.decision_reason, NULL AS author,
       NULL AS complaint, n.id AS bounce, n.provider, p.trusted, p.trust_reason, m.origin, n.about_us, NULL AS incidents,
       s.ip AS source_ip, f.value AS header_from, n.message_id, n.subject, NULL AS user_agent, p.via AS recipient_via,
       p.status AS recipient_status, p.spelled AS recipient_spelled, p.diagnostic, p.remote_mta, n.reporting_mta, p.fields,
       m.id AS message, m.sha256, m.seen_at, m.auth, m.auth_domain,
       (SELECT json_group_array('imap://' || b.account || '/' || b.folder || ';uidvalidity=' || b.uid_validity || ';uid=' || l.uid)
        FROM place l JOIN mailbox b ON b.id = l.mailbox WHERE l.message = m.id) AS places
FROM bounce_recipient p CROSS JOIN bounce n ON n.id = p.bounce CROSS JOIN v_message m ON m.id = n.message
LEFT JOIN address s ON s.id = p.source
LEFT JOIN text f ON f.id = n.header_from
WHERE p.folded = :folded AND NOT EXISTS (SELECT 1 FROM suppression_event e WHERE e.bounce = n.id AND e.folded = :folded)
ORDER BY p.at, n.id
