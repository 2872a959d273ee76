-- Complaints of the window about mail of ours, with what they can be compared by.
SELECT c.arrived_at, c.incidents, c.provider, c.provider_source, c.trusted, s.ip AS source_ip, f.value AS header_from,
       c.dkim_signatures, c.list_id,
       (SELECT p.folded FROM complaint_recipient p WHERE p.complaint = c.id AND p.folded IS NOT NULL
        ORDER BY p.ordinal LIMIT 1) AS recipient
FROM complaint c LEFT JOIN address s ON s.id = c.source LEFT JOIN text f ON f.id = c.header_from
WHERE c.arrived_at >= :since AND c.arrived_at < :until AND c.feedback_type = 'abuse' AND c.about_us = 1
  AND (:domain IS NULL OR f.value = :domain OR substr(f.value, -length(:domain) - 1) = '.' || :domain)
