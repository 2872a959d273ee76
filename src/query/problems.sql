-- Problems that wait, newest first. The bound on time, wide as it is, is what the index is entered by.
SELECT p.id, p.message, coalesce((SELECT value FROM text WHERE text.id = m.folder), '') || m.origin AS origin, p.part, p.code, p.reason, p.declared_type, p.found_type, p.file_name, p.bytes, p.seen_at,
       p.solved_at, m.subject, f.value AS from_address,
       EXISTS (SELECT 1 FROM kept_message k WHERE k.message = p.message) AS kept
FROM problem p JOIN message m ON m.id = p.message LEFT JOIN text f ON f.id = m.from_address
WHERE p.solved_at IS NULL AND p.seen_at >= -9223372036854775808
ORDER BY p.seen_at DESC, p.id DESC
