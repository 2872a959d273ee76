-- Bounces that were told of in the window, newest first, one row for each recipient.
SELECT id, at, class, action, status, recipient, recipient_status, recipient_via, reported, final_recipient, diagnostic,
       remote_mta, reporting_mta, source_ip, header_from, message_id, trusted, trust_reason, decision, decision_reason,
       about_us, provider, arrived_at, told_at, last_attempt_at, will_retry_until, subject, sent_at, list_id, dkim_signatures,
       warnings, origin, seen_at
FROM v_bounce
WHERE told_at >= :since AND told_at < :until
  AND (:domain IS NULL OR header_from = :domain OR substr(header_from, -length(:domain) - 1) = '.' || :domain)
  AND (:class IS NULL OR class = :class)
ORDER BY told_at DESC, id DESC
