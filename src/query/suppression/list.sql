-- Addresses not to be mailed now.
SELECT 'active' AS state, address, reason, scope, since_at, until_at, evidence
FROM v_suppression
WHERE (:scope IS NULL OR scope = '' OR scope = :scope)
ORDER BY address, scope
