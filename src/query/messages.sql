-- Messages kept in the window, newest first.
SELECT id, sha256, origin, seen_at, bytes, outcome, reason, received_at, message_id, from_address, subject, sent_at, auth,
       auth_domain
FROM v_message
WHERE seen_at >= :since AND seen_at < :until AND (:outcome IS NULL OR outcome = :outcome)
ORDER BY seen_at DESC, id DESC
