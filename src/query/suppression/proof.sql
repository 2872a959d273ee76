-- The message that brought a complaint or bounce.
SELECT m.id AS message, m.sha256, m.origin FROM v_message m
WHERE m.id = CASE :kind WHEN 'complaint' THEN (SELECT message FROM complaint WHERE id = :id)
                        WHEN 'bounce' THEN (SELECT message FROM bounce WHERE id = :id) END
