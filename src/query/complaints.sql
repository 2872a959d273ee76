-- Complaints that arrived in the window, newest first.
SELECT id, feedback_type, provider, source_ip, arrived_at, incidents, recipient, recipient_status, recipient_via,
       original_mail_from, header_from, message_id, trusted, trust_reason, about_us, warnings, subject, sent_at, list_id,
       user_agent, provider_source, reported_domains, reported_uris, dkim_signatures, cfbl_feedback_id, source_ip_via,
       origin, seen_at, recipient_identity, decision, decision_reason, trusted_by, not_ours
FROM v_complaint
WHERE arrived_at >= :since AND arrived_at < :until
  AND (:domain IS NULL OR header_from = :domain OR substr(header_from, -length(:domain) - 1) = '.' || :domain)
  AND CASE coalesce(:which, 'all')
      WHEN 'pending' THEN decision = 'pending'
      WHEN 'not_ours' THEN about_us = 0
      WHEN 'unresolved' THEN feedback_type <> 'not-spam'
           AND NOT EXISTS (SELECT 1 FROM complaint_recipient q WHERE q.complaint = v_complaint.id AND q.status = 'ok')
      ELSE 1 END
ORDER BY arrived_at DESC, id DESC
